"""Traits and properties beyond the catalogue, split into those in clear and those that only the vault may hold."""

from typing import Any

import msgspec

from patron.schema.personal_keys import kind_of_property, kind_of_trait, names_a_person, snake_case

MAX_DEPTH = 8
"""Objects nested deeper than this go to the vault whole."""
MAX_PATH_LENGTH = 200
"""What lies under longer keys goes there whole too: the path would be repeated for each value."""


def text_of(value: object) -> str | None:
    """Write a scalar as trimmed text; empty is missing, objects become JSON."""
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


def split_traits(traits: dict[str, Any], personal: dict[str, Any]) -> dict[str, str]:
    """Return plain traits under their catalogue names; all others go to the vault's part."""
    plain: dict[str, str] = {}
    for name, value in traits.items():
        text = text_of(value)
        if text is None:
            continue
        if kind_of_trait(name) == "plain" and not names_a_person(text):
            plain[snake_case(name)] = text
        else:
            personal[snake_case(name)] = value
    return plain


def split_extras(extras: dict[str, Any], kept: dict[str, Any], vault: dict[str, dict[str, Any]]) -> None:
    """Keep unknown properties that name nobody; put the others, at any depth, into the vault's parts."""
    for key, value in extras.items():
        if value is None:
            continue
        place = _place(key, value)
        if place:
            vault[place][key] = value
            continue
        clear = _clear(value, key, vault, 1)
        if clear is not None:
            kept[key] = clear


def _place(key: str, value: object) -> str | None:
    kind = kind_of_property(key)
    if kind in {"identifying", "sensitive"} or (isinstance(value, str) and names_a_person(value)):
        return "personal"
    has_words = isinstance(value, str) and len(value.split()) > 1
    # why: nobody classed the key, and several words are what people are called, where they live or what they write
    return "texts" if kind == "free_text" or has_words else None


def _clear(value: Any, path: str, vault: dict[str, dict[str, Any]], depth: int) -> Any:
    """Return what of a nested value may stay in clear; the rest is filed under its path."""
    if not isinstance(value, dict | list):
        return value
    if depth >= MAX_DEPTH or len(path) > MAX_PATH_LENGTH:
        vault["texts"][path] = value
        return None
    inside = list(value.items()) if isinstance(value, dict) else [(str(n), item) for n, item in enumerate(value)]
    kept = {}
    for key, item in inside:
        place = _place(key, item) or ("personal" if snake_case(key) == "name" else None)
        if place:
            vault[place][f"{path}.{key}"] = item
        else:
            clear = _clear(item, f"{path}.{key}", vault, depth + 1)
            if clear is not None:
                kept[key] = clear
    return (kept if isinstance(value, dict) else list(kept.values())) or None
