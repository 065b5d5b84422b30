"""How people write the values of a policy, by the kind of a value: to text and back."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from patron.storage.outreach.message_policy import MessageCap
from patron.storage.toml_edit import key_literal, literal

NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,6}|,(?!\d{3}$)\d{1,6})?")
"""1,500 is refused: it may be a thousand and a half, or one and a half."""
PAIR = re.compile(r'("(?:[^"\\]|\\.)*"|[^="]+?)\s*=\s*(.+)')
ITEM = re.compile(r'\s*"(?:[^"\\]|\\.)*"\s*|[^,]+')
LIMIT = re.compile(r"(\d{1,6})\s*/\s*(\d{1,6})")
OPTIONAL = "optional_"
"""What the kind of a value begins with that may be left out."""


def write_value(kind: str, value: Any) -> str:
    """A value as people write it; empty for None."""
    return "" if value is None else WRITERS.get(kind.removeprefix(OPTIONAL), str)(value)


def read_value(kind: str, text: str) -> Any:
    """The value of a text; None for an empty one that may be left out. Raises ValueError."""
    if not text and kind.startswith(OPTIONAL):
        return None
    return READERS[kind.removeprefix(OPTIONAL)](text)


def _share(value: float) -> str:
    return f"{value * 100:.4f}".rstrip("0").rstrip(".")


def _list(values: Sequence[str]) -> str:
    return ", ".join(map(_quoted, values))


def _quoted(text: str) -> str:
    """A text that stands for itself in a list or a pair: in quotes where it holds what divides them."""
    is_plain = text.isprintable() and text == text.strip() and text and not set(text) & set('",=')
    return text if is_plain else json.dumps(text, ensure_ascii=not text.isprintable())


def _pairs(values: Mapping[str, str]) -> str:
    return "\n".join(f"{_quoted(name)} = {_quoted(text)}" for name, text in values.items())


def _limits(limits: Sequence[MessageCap]) -> str:
    return "\n".join(f"{one.most} / {one.within_days}" for one in limits)


def _toml(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{key_literal(name)} = {literal(one)}" for name, one in values.items())


def _read_number(text: str) -> float:
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text.replace(",", "."))


def _read_count(text: str) -> int:
    number = _read_number(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _read_list(text: str) -> list[str]:
    return [_unquoted(part.strip()) for part in ITEM.findall(text) if part.strip()]


def _unquoted(text: str) -> str:
    """What a text stands for. Raises ValueError for a quote that does not end."""
    return json.loads(text) if text.startswith('"') else text


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read_pairs(text: str) -> dict[str, str]:
    matches = [PAIR.fullmatch(line) for line in _lines(text)]
    if not all(matches):
        raise ValueError(text)
    return {_unquoted(match[1]): _unquoted(match[2]) for match in matches if match}


def _read_limits(text: str) -> list[dict[str, int]]:
    matches = [LIMIT.fullmatch(line) for line in _lines(text)]
    if not all(matches):
        raise ValueError(text)
    return [{"most": int(match[1]), "within_days": int(match[2])} for match in matches if match]


def _read_limit(text: str) -> dict[str, int]:
    (limit,) = _read_limits(text)
    return limit


WRITERS: Mapping[str, Callable[[Any], str]] = {
    "money": "{:.2f}".format,
    "cents": lambda cents: f"{cents / 100:.2f}",
    "share": _share,
    "number": "{:g}".format,
    "flag": lambda is_set: "1" if is_set else "",
    "list": _list,
    "choices": ", ".join,
    "pairs": _pairs,
    "limit": lambda limit: _limits([limit]),
    "limits": _limits,
    "toml": _toml,
}
READERS: Mapping[str, Callable[[str], Any]] = {
    "money": _read_number,
    "cents": lambda text: round(_read_number(text) * 100),
    "share": lambda text: round(_read_number(text) / 100, 6),
    "number": _read_number,
    "count": _read_count,
    "day": date.fromisoformat,
    "flag": bool,
    "text": str,
    "choice": str,
    "list": _read_list,
    "choices": _read_list,
    "pairs": _read_pairs,
    "limit": _read_limit,
    "limits": _read_limits,
    "toml": tomllib.loads,
}
