"""Refusals in the reader's language: an error is raised in English, and recognised by its sentence.

An entry `refusal.*` of the catalogues is one sentence; its English text is the pattern that finds it, and what stands
in its {places} is carried over. Of a list of problems each is looked up alone. What has no entry stays English, marked
as such (`lang="en"`), so that it is seen, read aloud rightly, and missed.
"""

import re
from functools import cache

from markupsafe import Markup

from patron.interfaces.i18n.translations import Words, words

FAMILY = "refusal."
SEPARATOR, JOINT = "; ", "\uff1b"
REASONS = "reasons"
"""The place of a sentence that holds sentences itself."""
ENGLISH = "en"


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every sentence that is known as a pattern, the most particular first."""
    texts = {
        key: text for key, text in words(ENGLISH).texts.items() if key.startswith(FAMILY) and isinstance(text, str)
    }
    order = sorted(texts, key=lambda key: (-len(re.sub(r"\{\w+\}", "", texts[key])), key))
    return tuple((key, _pattern(texts[key])) for key in order)


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", text)
    literal = (re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+?)" for place, part in enumerate(parts))
    return re.compile("".join(literal), re.DOTALL)


def translate(text: str, texts: Words) -> str | None:
    """A sentence of an error, or a list of them, in the reader's language; None where one is not known."""
    parts = [_sentence(part, texts) for part in text.split(SEPARATOR)]
    if None not in parts:
        return JOINT.join(part for part in parts if part)
    return _sentence(text, texts)


def _sentence(text: str, texts: Words) -> str | None:
    for key, pattern in _patterns():
        if match := pattern.fullmatch(text):
            values = match.groupdict()
            if REASONS in values:
                values[REASONS] = translate(values[REASONS], texts) or values[REASONS]
            return texts(key, **values)
    return None


def refusal_text(text: str, texts: Words) -> Markup:
    """What an error says for a page: translated, or in English and marked as English."""
    if texts.locale == ENGLISH or not text:
        return Markup.escape(text)
    translated = translate(text, texts)
    return Markup.escape(translated) if translated else Markup('<span lang="en">{}</span>').format(text)


def refusal_line(what: str, todo: str, texts: Words) -> Markup:
    """What is wrong and what to do, as one line of a page."""
    line = Markup(texts("privacy.problem"))  # noqa: S704 - a text of ours; what goes into it is escaped
    return line.format(what=refusal_text(what, texts), todo=refusal_text(todo, texts))
