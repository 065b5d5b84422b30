"""Change values of a TOML file and leave all else as its writer has it: comments, order, layout."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence

LAYOUT_NOT_EDITABLE = Sentence("layout_not_editable", "the file is laid out in a way that the form cannot edit")
EDIT_TEXT = Sentence("edit_text", "Edit its text.")

Place = tuple[str | int, ...]
"""Where a value is: ("budget", "amount"), or ("offers", 0, "name") in the first [[offers]]."""
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?\s*(#.*)?")


def set_values(text: str, changes: Mapping[Place, object]) -> str:
    """The text with other values; None takes a key away. A new [[offers]] is a place right after the last one.

    Raises SettingsError for a text that is laid out in a way which is not understood.
    """
    expected, edited = tomllib.loads(text), text.splitlines()
    for place, value in changes.items():
        _set_in_content(expected, place, value)
        edited = _set_line(edited, place, value)
    result = "\n".join(edited) + "\n"
    try:
        is_right = tomllib.loads(result) == expected
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        what = LAYOUT_NOT_EDITABLE
        raise SettingsError(what, where="policy.toml", todo=EDIT_TEXT)
    return result


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """Number of the line, from 1, on which a value stands; None where it is not found."""
    lines = text.splitlines()
    span = _section(lines, tuple(place[:-1]))
    number = _key_line(lines, span, str(place[-1])) if span else None
    return None if number is None else number + 1


def _set_in_content(content: dict[str, Any], place: Place, value: object) -> None:
    held: Any = content
    for part in place[:-1]:
        if isinstance(part, int):
            held.extend({} for _ in range(part + 1 - len(held)))
        elif part not in held:
            held[part] = [] if "offers" in place[:1] else {}
        held = held[part]
    if value is None:
        held.pop(place[-1], None)
    else:
        held[place[-1]] = value


def _set_line(lines: list[str], place: Place, value: object) -> list[str]:
    section, key = place[:-1], str(place[-1])
    span = _section(lines, section)
    if span is None:
        name = str(section[0])
        header = f"[[{name}]]" if len(section) > 1 else f"[{name}]"
        return lines if value is None else [*lines, "", header, f"{key} = {literal(value)}"]
    number = _key_line(lines, span, key)
    if number is None:
        if value is None:
            return lines
        end = next(n for n in range(span[1], span[0], -1) if _is_content(lines[n - 1]))
        return [*lines[:end], f"{key} = {literal(value)}", *lines[end:]]
    if value is None:
        return [*lines[:number], *lines[number + 1 :]]
    comment = _comment(lines[number])
    fresh = f"{key} = {literal(value)}"
    if comment:
        fresh = f"{fresh:<32} {comment}"
    return [*lines[:number], fresh, *lines[number + 1 :]]


def _section(lines: Sequence[str], section: Place) -> tuple[int, int] | None:
    """First line of a section, its header, and the one after its last."""
    headers = [(number, match[1]) for number, line in enumerate(lines) if (match := HEADER.fullmatch(line))]
    ends = [*(number for number, _ in headers), len(lines)][1:]
    spans = [(start, end) for (start, name), end in zip(headers, ends, strict=True) if name == section[0]]
    index = int(section[1]) if len(section) > 1 else 0
    return spans[index] if index < len(spans) else None


def _key_line(lines: Sequence[str], span: tuple[int, int], key: str) -> int | None:
    written = re.compile(rf"\s*{re.escape(key)}\s*=")
    return next((number for number in range(*span) if written.match(lines[number])), None)


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _comment(line: str) -> str:
    """The comment at the end of a line; a # in quotes begins none."""
    quote = ""
    for number, character in enumerate(line):
        if quote:
            quote = "" if character == quote and line[number - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[number:]
    return ""


def key_literal(key: str) -> str:
    """A key as TOML has it: in quotes where it is not letters, digits, _ and - alone."""
    return key if BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def literal(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(one) for one in value)}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key_literal(key)} = {literal(one)}" for key, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return repr(value)
