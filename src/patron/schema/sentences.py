"""What Patron says to people: a sentence stands once, in English, under a code that catalogues translate.

A `Sentence` is a constant at the top of the module that says it; `schema/common_sentences.py` has those that several
modules say. Called with the values of its places it gives a `Text`, which reads as the English sentence and keeps code
and values.
"""

import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from string import Formatter
from typing import Any, Final, Self

REFUSAL: Final = "refusal."
"""The family of every code that names none itself."""
JOINT: Final = "; "
"""What stands between the texts of a list in English."""
KEPT: Final = (str, Real, type(None))
"""Types of values; of any other but a tuple, such as a right or the error that was the cause, its text is kept."""
declared: Final[dict[str, "Sentence"]] = {}
"""Every sentence of the modules that were imported, by its code."""


class Text(str):
    """An English text with the code of its sentence and what fills its places; both are empty for a text of others.

    A value is a number, a name as the shop writes it, a `Text`, or a tuple of texts: a list of problems.
    """

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, Any]

    def __new__(cls, english: str, code: str = "", values: Mapping[str, Any] | None = None) -> Self:
        """Text of a code; `english` has its values filled in."""
        text = super().__new__(cls, english)
        text.code, text.values = code, values or {}
        return text

    @property
    def key(self) -> str:
        """Where catalogues have it: codes are of refusals unless they name another family, as `state.draft` does."""
        return self.code if "." in self.code else f"{REFUSAL}{self.code}"

    @classmethod
    def read(cls, stored: Mapping[str, Any] | str) -> Self:
        """A text that `plain` wrote; one that was kept without its code has none."""
        if isinstance(stored, str):
            return cls(stored)
        values = {name: _read(value) for name, value in stored.get("values", {}).items()}
        return cls(stored["text"], stored.get("code", ""), values)

    def plain(self) -> dict[str, Any]:
        """Text, code and values for JSON, the same for texts within it."""
        return {"text": str(self), "code": self.code, "values": plain_values(self)}


class Sentence(Text):
    """A sentence as it is declared: a text of its own, or one whose places a call fills."""

    __slots__ = ("places",)
    places: frozenset[str]

    def __new__(cls, code: str, english: str) -> Self:
        """Declare a sentence. Raises ValueError when its code says something else already."""
        sentence = super().__new__(cls, english, code)
        sentence.places = frozenset(name for _, name, _, _ in Formatter().parse(english) if name)
        if declared.setdefault(code, sentence) != sentence:
            raise ValueError(code, english)
        return sentence

    def __call__(self, **values: object) -> Text:
        """The text with its places filled. Raises TypeError unless each place has a value, and each value a place."""
        if values.keys() != self.places:
            raise TypeError(self.code, sorted(values), sorted(self.places))
        kept = {name: value if _is_kept(value) else str(value) for name, value in values.items()}
        return Text(self.format(**{name: _english(value) for name, value in kept.items()}), self.code, kept)

    def values_in(self, text: str) -> dict[str, str] | None:
        """What fills the places of a text of this sentence that was kept without its values; None in other words."""
        parts = Formatter().parse(self)
        match = re.fullmatch(
            "".join(re.escape(said) + (f"(?P<{name}>.*)" if name else "") for said, name, *_ in parts), text, re.DOTALL
        )
        return match and match.groupdict()

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """A copy is the same sentence."""
        return type(self), (self.code, str(self))


def named(family: str, code: str, english: str = "") -> Text:
    """Name of a code, such as that of the state "a draft", as a value of a text: catalogues have it in that family."""
    return Text(english or code, f"{family}.{code}")


SEVERAL = Sentence("several", "{problems}")


def joined(texts: Iterable[str]) -> str:
    """A list of problems as one text, which keeps each; one alone is itself."""
    problems = tuple(texts)
    return problems[0] if len(problems) == 1 else SEVERAL(problems=problems)


def problems_of(text: str) -> tuple[str, ...]:
    """The texts that `joined` made one of."""
    return text.values["problems"] if isinstance(text, Text) and text.code == SEVERAL.code else (text,)


def plain_values(text: str) -> dict[str, Any]:
    """What fills the places of a text, for JSON."""
    return {name: _plain(value) for name, value in text.values.items()} if isinstance(text, Text) else {}


def _is_kept(value: object) -> bool:
    # why not every tuple: one with names for its parts, such as a right, is no list of texts
    return isinstance(value, KEPT) or type(value) is tuple


def _english(value: object) -> object:
    return JOINT.join(value) if isinstance(value, tuple) else value


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Text):
        return value.plain()
    if value is None or isinstance(value, bool | int | float):
        return value
    # why: numbers of NumPy are none of JSON's
    return int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real) else str(value)


def _read(value: object) -> object:
    if isinstance(value, list):
        return tuple(_read(one) for one in value)
    return Text.read(value) if isinstance(value, dict) else value
