"""Refusals and findings in the reader's language: a text carries the code of its sentence, and a catalogue has it.

The English sentence stands at the code; no catalogue has it again. What is no text of a declared sentence, such as what
a mail server answered, stays as it is, marked as English (`lang="en"`), so that it is seen and read aloud rightly.
"""

from markupsafe import Markup

from patron.interfaces.i18n.translations import Words
from patron.schema.data.dead_letter_reasons import stored_rejection
from patron.schema.sentences import Text, problems_of

JOINT = "\uff1b"
"""What stands between the texts of a list in other languages than English."""
ENGLISH = "en"
ENGLISH_MARK = Markup('<span lang="en">{}</span>')


def translate(text: str, texts: Words) -> str:
    """A text in the reader's language; one without a translation stays as it is."""
    return _translation(text, texts) or str(text)


def _translation(text: str, texts: Words) -> str | None:
    pattern = texts.texts.get(text.key) if isinstance(text, Text) else None
    if texts.locale == ENGLISH or not isinstance(text, Text) or not isinstance(pattern, str):
        return None
    try:
        return pattern.format(**{name: _value(value, texts) for name, value in text.values.items()})
    except (KeyError, ValueError):  # why: a text that was kept by another version, which had other places
        return None


def _value(value: object, texts: Words) -> object:
    if isinstance(value, tuple):
        return JOINT.join(translate(one, texts) for one in value)
    return translate(value, texts) if isinstance(value, Text) else value


def refusal_text(text: str, texts: Words) -> Markup:
    """What an error says for a page: each problem translated, or in English and marked as English."""
    if texts.locale == ENGLISH or not text:
        return Markup.escape(text)
    translated = ((problem, _translation(problem, texts)) for problem in problems_of(text))
    return Markup(JOINT).join(  # noqa: S704 - a mark of ours
        ENGLISH_MARK.format(problem) if words is None else words for problem, words in translated
    )


def rejection_text(reason: str, message: str, texts: Words) -> Markup:
    """Why a row was rejected, as its message says."""
    return refusal_text(stored_rejection(reason, message), texts)


def refusal_line(what: str, todo: str, texts: Words) -> Markup:
    """What is wrong and what to do, as one line of a page."""
    line = Markup(texts("privacy.problem"))  # noqa: S704 - a text of ours; what goes into it is escaped
    return line.format(what=refusal_text(what, texts), todo=refusal_text(todo, texts))
