"""Objects of raw events that were not made of messages: a file of raw events, or rows of our own, may hold anything.

They are split as messages are: what no event class or tracking plan declares plain goes to the vault.
"""

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.consent_check import PREFERENCES
from patron.collect.segment_message import NOTHING_PLAIN, SETTINGS, PlainProperties, is_setting
from patron.govern.privacy.personal_data import (
    ExtrasSplit,
    is_plain_amount,
    is_plain_key,
    is_plain_scalar,
    json_text,
    split_traits,
)
from patron.schema.events import BY_NAME, properties_of
from patron.schema.events.event_fields import Item

CONTEXT = frozenset({*SETTINGS, "campaign_source", "campaign_medium", "campaign_content"})
"""What of a message's context stays in clear."""
PARTS = ("personal", "texts")


def split_objects(rows: pa.Table, plain: PlainProperties = NOTHING_PLAIN) -> pa.Table:
    """Split the properties and traits of raw events into those in clear and those for the vault."""
    is_concerned = pc.or_(pc.is_valid(rows["properties"]), pc.is_valid(rows["traits"]))
    names = ["name", "properties", "traits", *PARTS]
    split = [_split(row, plain) for row in rows.filter(is_concerned).select(names).to_pylist()]
    for name in names[1:] if split else ():
        fresh = pa.array([one[name] for one in split], pa.string())
        column = pc.replace_with_mask(rows[name].combine_chunks(), is_concerned.combine_chunks(), fresh)
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def _split(row: dict[str, Any], plain: PlainProperties) -> dict[str, str | None]:
    parts = {name: _object_of(row[name], name) for name in ("properties", "traits", *PARTS)}
    split = ExtrasSplit({name: parts[name] for name in PARTS}, plain.get(row["name"], ()))
    kept: dict[str, Any] = {}
    _split_properties(row["name"], parts["properties"], kept, split)
    traits = split_traits(parts["traits"], split.vault["personal"])
    return {"properties": json_text(kept), "traits": json_text(traits)} | {
        name: json_text(split.vault[name]) for name in PARTS
    }


def _split_properties(name: str, properties: dict[str, Any], kept: dict[str, Any], split: ExtrasSplit) -> None:
    declared = {property_.name: property_ for property_ in properties_of(BY_NAME[name])} if name in BY_NAME else {}
    extras = dict(properties)
    for key, one in declared.items():
        value = extras.get(key)
        if one.vault and value is not None:
            split.vault[one.vault][key] = extras.pop(key)
        elif is_plain_scalar(value) or (
            one.kind == "amount" and isinstance(value, int | float) and is_plain_amount(value)
        ):
            kept[key] = extras.pop(key)
    _split_nested(extras, "context", CONTEXT, kept, split)
    if name == PREFERENCES and isinstance(extras.get("preferences"), dict):
        answers = extras.pop("preferences").items()
        kept["preferences"] = {key: one for key, one in answers if isinstance(one, bool) and is_plain_key(key)}
    if "products" in declared and isinstance(extras.get("products"), dict):
        of_items: dict[str, Any] = {}
        for number, item in extras.pop("products").items():
            _split_item(number, item, of_items, split)
        kept |= {"products": of_items} if of_items else {}
    parts = {f"{key}.{part}" for key, one in declared.items() if one.kind == "any" for part in ("type", "value")}
    ExtrasSplit(split.vault, split.plain, parts).split(extras, kept)


def _split_nested(
    extras: dict[str, Any], key: str, names: frozenset[str], kept: dict[str, Any], split: ExtrasSplit
) -> None:
    """Keep the plain scalars of an object that are declared; the rest stays for the vault."""
    if isinstance(extras.get(key), dict):
        inside = extras[key].items()
        plain = {name: one for name, one in inside if name in names and _is_plain_of_context(name, one)}
        rest = {name: one for name, one in extras.pop(key).items() if name not in plain}
        if rest:
            split.vault["personal"][key] = rest
        if plain:
            kept[key] = plain


def _split_item(number: str, item: Any, kept: dict[str, Any], split: ExtrasSplit) -> None:
    """Split what a list's column does not hold of one product."""
    inner = ExtrasSplit({part: {} for part in PARTS}, split.plain)
    others = item if isinstance(item, dict) else {"item": item}
    clear = {key: one for key, one in others.items() if key in PLAIN_OF_ITEM and is_plain_scalar(one)}
    inner.split({key: one for key, one in others.items() if key not in clear}, clear, within="products.")
    for part, values in inner.vault.items():
        split.vault[part].update({f"products.{number}.{key}": one for key, one in values.items()})
    if clear:
        kept[number] = clear


PLAIN_OF_ITEM = frozenset(property_.name for property_ in properties_of(Item) if not property_.vault)


def _is_plain_of_context(name: str, value: Any) -> bool:
    return is_setting(name, value) if name in SETTINGS else is_plain_scalar(value)


def _object_of(text: str | None, name: str) -> dict[str, Any]:
    """An object of a row; what is none is kept whole, under the column's name."""
    try:
        decoded = msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, RecursionError):
        decoded = text
    return decoded if isinstance(decoded, dict) else {name: decoded}
