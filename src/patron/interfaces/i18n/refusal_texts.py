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
VALUE = f"(?:(?!{SEPARATOR}).)+?"
"""What stands in any other place: not what is between problems, which would swallow those next to one that is known."""
LONGEST, DEEPEST = 2_000, 3
"""Characters of a sentence that is looked up, and how deep sentences hold others."""
CODES = ("state", "step", "job")
"""Places that hold a code; names of codes are in the family of that name."""
ENGLISH = "en"
ENGLISH_MARK = Markup('<span lang="en">{}</span>')


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every sentence that is known as a pattern, the most particular first."""
    texts = {
        key: text for key, text in words(ENGLISH).texts.items() if key.startswith(FAMILY) and isinstance(text, str)
    }
    order = sorted(texts, key=lambda key: (-len(re.sub(r"\{\w+\}", "", texts[key])), key))
    return tuple((key, _pattern(texts[key])) for key in order)


def _pattern(text: str) -> re.Pattern[str]:
    parts = [
        f"(?P<{part}>{'.+?' if part == REASONS else VALUE})" if place % 2 else re.escape(part)
        for place, part in enumerate(re.split(r"\{(\w+)\}", text))
    ]
    return re.compile("".join(parts), re.DOTALL)


def translate(text: str, texts: Words, depth: int = 0) -> str | None:
    """A sentence of an error, or a list of them, in the reader's language; None where one is not known."""
    parts = [_sentence(part, texts, depth) for part in text.split(SEPARATOR)]
    if None not in parts:
        return JOINT.join(part for part in parts if part)
    return _sentence(text, texts, depth)


def _sentence(text: str, texts: Words, depth: int = 0) -> str | None:
    if len(text) > LONGEST or depth > DEEPEST:
        return None
    for key, pattern in _patterns():
        if match := pattern.fullmatch(text):
            values = {name: _code_name(name, value, texts) for name, value in match.groupdict().items()}
            if REASONS in values:
                reasons = translate(values[REASONS], texts, depth + 1)
                if reasons is None:
                    continue
                values[REASONS] = reasons
            return texts(key, **values)
    return None


def _code_name(place: str, value: str, texts: Words) -> str:
    """The name of a code, such as that of the state "a draft"; what is none stays."""
    name = texts.texts.get(f"{place}.{value.removeprefix('a ')}") if place in CODES else None
    return name if isinstance(name, str) else value


def refusal_text(text: str, texts: Words) -> Markup:
    """What an error says for a page: each problem translated, or in English and marked as English."""
    if texts.locale == ENGLISH or not text:
        return Markup.escape(text)
    if translated := translate(text, texts):
        return Markup.escape(translated)
    parts = text.split(SEPARATOR)
    known = [_sentence(part, texts) for part in parts] if len(parts) > 1 else [None]
    if not any(known):
        return ENGLISH_MARK.format(text)
    return Markup(JOINT).join(  # noqa: S704 - a mark of ours
        one or ENGLISH_MARK.format(part) for one, part in zip(known, parts, strict=True)
    )


def refusal_line(what: str, todo: str, texts: Words) -> Markup:
    """What is wrong and what to do, as one line of a page."""
    line = Markup(texts("privacy.problem"))  # noqa: S704 - a text of ours; what goes into it is escaped
    return line.format(what=refusal_text(what, texts), todo=refusal_text(todo, texts))
