"""Model cards as people read them: names in their language, settings one by one."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from patron.answers.models import Question
from patron.interfaces.i18n.translations import Words

NAMES = {"learner": "learner", "best_baseline": "learner"}
"""Entries that hold a code, and the family of its name."""
SHOWN_ABOVE = frozenset({"question", "unit", "why"})
"""Entries that the page tells in the reader's language already."""


@dataclass(frozen=True)
class CardRow:
    """One entry of a model card: its name, and its text or its settings."""

    name: str
    text: str
    settings: tuple[tuple[str, str], ...] = ()
    is_english: bool = False


def card_rows(question: Question, words: Words) -> tuple[CardRow, ...]:
    """Entries of a question's model card that the page does not tell elsewhere."""
    return tuple(_row(key, text, words) for key, text in question.card.items() if text and key not in SHOWN_ABOVE)


def _row(key: str, text: str, words: Words) -> CardRow:
    name = words.code("card", key)
    if key in NAMES:
        return CardRow(name, words.code(NAMES[key], text))
    settings = settings_of(text) if key == "settings" else ()
    return CardRow(name, "" if settings else text, settings, is_english=words.locale != "en" and not settings)


def settings_of(text: str) -> tuple[tuple[str, str], ...]:
    """Settings written as `name = value, ...`, one by one, nested ones too; empty when they are not so written."""
    try:
        call = ast.parse(f"dict({text})", mode="eval").body
        given = {one.arg: ast.literal_eval(one.value) for one in call.keywords} if isinstance(call, ast.Call) else {}
    except (SyntaxError, ValueError):
        return ()
    return tuple(_flat(given))


def _flat(given: dict[str | None, object]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield str(name).replace("_", " "), str(value)
