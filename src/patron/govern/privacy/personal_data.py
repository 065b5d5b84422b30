"""Traits and properties beyond the catalogue, split into those in clear and those that only the vault may hold."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from patron.govern.privacy.value_detectors import personal_kind
from patron.schema.amounts import MAX_CENTS
from patron.schema.privacy.personal_keys import kind_of_property, kind_of_trait, snake_case
from patron.schema.short_text_cache import cache_short_texts

MAX_DEPTH = 8
"""Objects nested deeper than this go to the vault whole."""
MAX_PATH_LENGTH = 200
"""What lies under longer keys goes there whole too: the path would be repeated for each value."""
MAX_NUMBER = 10**6
MAX_DECIMALS = 3
"""Larger or finer numbers can be telephone numbers, cards, dates of birth or places."""
_KEY = re.compile(r"[^\W\d][\w.$-]{0,99}|\$[\w.$-]{1,99}")


def text_of(value: object) -> str | None:
    """Write a scalar as trimmed text; empty is missing, objects become JSON."""
    if value.__class__ is str:  # why: nearly all values are, and the collector reads ten of each event
        return value.strip() or None  # pyright: ignore[reportAttributeAccessIssue]
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, dict | list):
        return json_text(value)
    return str(value).strip() or None


def json_text(value: object) -> str | None:
    """Write JSON with sorted keys; nothing to say is NULL."""
    return msgspec.json.encode(value, order="sorted").decode() if value else None


def json_object(text: str | None) -> dict[str, Any]:
    """Read a JSON object; what is none is empty."""
    try:
        decoded = msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, RecursionError):
        return {}  # why: a file of raw events may hold anything here
    return decoded if isinstance(decoded, dict) else {}


def is_short_number(value: float) -> bool:
    """Whether a number is too short to be anybody's: at most 6 digits and 3 decimals."""
    return abs(value) < MAX_NUMBER and round(value, MAX_DECIMALS) == value


def is_plain_scalar(value: object) -> bool:
    """Whether a value is a text, a flag, or a number that is too short to be anybody's."""
    return isinstance(value, str | bool) or (isinstance(value, int | float) and is_short_number(value))


def is_plain_amount(value: float) -> bool:
    """Whether a declared amount can be one: it is bounded as the columns of amounts are, in whole and in cents."""
    return abs(value) <= MAX_CENTS // 100


@cache_short_texts(10_000)
def is_plain_key(key: str) -> bool:
    """Whether a key is the shop's word for something, and neither an address nor a sentence that a person wrote."""
    return bool(_KEY.fullmatch(key)) and personal_kind(key) is None


def _is_place(value: object) -> bool:
    """Whether a value is two numbers with decimals, as a place on a map is."""
    return (
        isinstance(value, list)
        and len(value) == len(("latitude", "longitude"))
        and all(isinstance(one, float) and not one.is_integer() for one in value)
    )


def split_traits(traits: dict[str, Any], personal: dict[str, Any]) -> dict[str, str]:
    """Return plain traits under their catalogue names; all others go to the vault's part."""
    plain: dict[str, str] = {}
    for name, value in traits.items():
        text = text_of(value)
        if text is None:
            continue
        if kind_of_trait(name) == "plain" and not isinstance(value, dict | list) and personal_kind(text) is None:
            plain[snake_case(name)] = text
        else:
            personal[snake_case(name)] = value
    return plain


@dataclass(slots=True)
class ExtrasSplit:
    """Splits properties that no event class declares: words go to the vault, flags and short numbers stay in clear."""

    vault: dict[str, dict[str, Any]]
    """The vault's parts, `personal` and `texts`, by the path of each value."""
    plain: Collection[str] = ()
    """Paths that the tracking plan declares plain, without the numbers of lists; they stay, with all in them."""
    plain_scalars: Collection[str] = ()
    """Paths that an event class declares plain: a text, a flag or a short number stays there, and a list of them."""

    def split(self, extras: dict[str, Any], kept: dict[str, Any], within: str = "") -> None:
        """Keep what may stay in clear, at any depth; put the rest into the vault's parts."""
        for key, value in extras.items():
            clear = self._clear(value, key, key, f"{within}{key}", 1)
            if clear is not None:
                kept[key] = clear

    def _clear(self, value: Any, key: str, path: str, name: str, depth: int) -> Any:
        """Return what of a value may stay in clear; the rest is filed under its path."""
        if value is None or name in self.plain or (name in self.plain_scalars and is_plain_scalar(value)):
            return value
        kind = kind_of_property(key)
        place = "personal" if kind in {"identifying", "sensitive"} else "texts"
        if kind == "plain" and is_plain_key(key) and not _is_place(value):
            if isinstance(value, dict | list) and depth < MAX_DEPTH and len(path) <= MAX_PATH_LENGTH:
                return self._clear_within(value, key, path, name, depth)
            if isinstance(value, bool) or (isinstance(value, int | float) and is_short_number(value)):
                return value
        if value not in ("", [], {}):
            self.vault[place][path] = value
        return None

    def _clear_within(self, value: Any, key: str, path: str, name: str, depth: int) -> Any:
        if isinstance(value, list):
            items = (self._clear(one, key, f"{path}.{n}", name, depth + 1) for n, one in enumerate(value))
            return [item for item in items if item is not None] or None
        inside = ((k, self._clear(one, k, f"{path}.{k}", f"{name}.{k}", depth + 1)) for k, one in value.items())
        return {k: one for k, one in inside if one is not None} or None
