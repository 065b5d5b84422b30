"""Personal data in columns that stay in clear: what a detector recognises there is replaced before anything is stored.

An identifier (an order, a product, a coupon, an event) becomes a token of the vault, the same wherever it occurs, so
that joins hold; any other value becomes NULL. The value itself goes to the personal values of its event, which the
vault keeps and an erasure shreds. Columns are searched as a whole by one pattern: few values are looked at one by one.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.event_flags import PERSONAL_VALUE, add_flag
from patron.govern.privacy.personal_data import MAX_NUMBER, json_text, text_of
from patron.govern.privacy.value_detectors import HARMLESS, MAX_LENGTH, SUSPECT, is_harmless, personal_kind
from patron.govern.vault import Vault
from patron.schema.events import BY_NAME
from patron.schema.privacy.personal_keys import is_identifier

THINGS = ("order_id", "product_id", "coupon", "campaign_id", "decision_id")
"""Identifiers of the shop's things; an erasure finds which of them only one person's events held."""
IDENTIFIERS = ("event_id", *THINGS)
WORDS = ("product_name", "department", "category", "brand", "channel", "device")
OBJECTS = ("properties", "traits")
HARMLESS_ADDRESS = r'"https?://[!#$&-+\--:=A-Z_a-z~]*(?:\?(?:[\w-]{1,20}=[0-9.x]*&?)*)?"'
"""A web address in JSON, such as a picture's, with numbers only in its query; most events of products have one."""
FEW_CHARACTERS = 4_000
"""Up to so many in all, looking at each identifier takes less time than compiling one pattern for all."""
KNOWN_NAMES = pa.array(sorted(BY_NAME))
VaultValues = dict[int, dict[str, Any]]
"""Values for the vault, by row and then by where they were."""
Columns = dict[str, pa.Array]


def identifier_tokens(vault: Vault, values: Sequence[str]) -> dict[str, str]:
    """Tokens of the identifiers that a detector recognises; the others stay as they are."""
    likely = [value for value in values if not is_harmless(value)]
    if sum(map(len, likely)) > FEW_CHARACTERS:
        with suppress(UnicodeEncodeError):  # why: a text may hold half a character; then all are looked at
            texts = pa.array(likely, pa.string())
            likely = texts.filter(_is_likely(texts)).to_pylist()
    return {one: vault.token("identifier", one) for one in likely if personal_kind(one)}


def replace_personal_values(vault: Vault, rows: pa.Table) -> pa.Table:
    """Raw events without values in clear that a detector recognises; the vault's part of a row has them instead."""
    for_vault: VaultValues = defaultdict(dict)
    changed: Columns = {}
    _replace_texts(vault, rows, for_vault, changed)
    _replace_products(vault, rows, for_vault, changed)
    for name in OBJECTS:
        _replace_in_objects(vault, name, rows[name].combine_chunks(), for_vault, changed)
    _replace_flags(rows["flags"].combine_chunks(), for_vault, changed)
    if for_vault:
        changed["personal"] = _with_values(rows["personal"].combine_chunks(), for_vault)
    for name, column in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return add_flag(rows, PERSONAL_VALUE, [n in for_vault for n in range(rows.num_rows)]) if for_vault else rows


def replaced_identifiers(vault: Vault, rows: pa.Table) -> list[str]:
    """Identifiers of the shop's things whose tokens stand in columns now, so that the shop can be told them again."""
    is_replaced = [PERSONAL_VALUE in (flags or ()) for flags in rows["flags"].to_pylist()]
    replaced: set[str] = set()
    for row in rows.filter(pa.array(is_replaced, pa.bool_())).select([*THINGS, "products", "personal"]).to_pylist():
        values = _object_of(row["personal"])
        places = [(name, row[name]) for name in THINGS]
        for number, product in enumerate(row["products"] or ()):
            places += [(f"products.{number}.{name}", (product or {}).get(name)) for name in THINGS]
        known = ((values.get(place), token) for place, token in places if token is not None)
        replaced |= {one for one, token in known if isinstance(one, str) and vault.token("identifier", one) == token}
    return sorted(replaced)


def _personal_values(values: pa.Array) -> pa.Array:
    """The distinct values that a detector recognises."""
    # why: values of one event each are searched as fast as they would be made distinct
    likely = values.filter(_is_likely(values))
    likely = pc.unique(likely.filter(pc.invert(_is_harmless(likely)))).to_pylist()
    return pa.array([one for one in likely if personal_kind(one)], pa.string())


def _is_likely(texts: pa.Array) -> pa.Array:
    """Whether a text has to be looked at: it has a form of personal data somewhere, or is long."""
    is_long = pc.greater(pc.binary_length(texts), MAX_LENGTH)
    return pc.fill_null(pc.or_(is_long, pc.match_substring_regex(texts, SUSPECT)), False)


def _is_harmless(texts: pa.Array) -> pa.Array:
    """As `is_harmless`, of a column without NULL."""
    is_short = pc.less_equal(pc.binary_length(texts), MAX_LENGTH)
    return pc.and_(is_short, pc.match_substring_regex(texts, HARMLESS))


def _tokenized_identifiers(vault: Vault, values: pa.Array, personal: pa.Array) -> pa.Array:
    """Identifiers with tokens instead of those that a detector recognised."""
    tokens = pa.array([vault.token("identifier", one) for one in personal.to_pylist()], pa.string())
    return pc.coalesce(tokens.take(pc.index_in(values, personal)), values)


def _replace_texts(vault: Vault, rows: pa.Table, for_vault: VaultValues, changed: Columns) -> None:
    for name in (*IDENTIFIERS, *WORDS, "name"):
        values = rows[name].combine_chunks()
        checked = pc.if_else(pc.is_in(values, KNOWN_NAMES), None, values) if name == "name" else values
        personal = _personal_values(checked)
        if len(personal):
            is_personal = pc.is_in(checked, personal)
            _note(for_vault, name, np.flatnonzero(is_personal), values.filter(is_personal))
            fresh = None if name in WORDS else _tokenized_identifiers(vault, checked, personal)
            changed[name] = pc.if_else(is_personal, fresh, values)


def _note(for_vault: VaultValues, where: str, numbers: np.ndarray, values: pa.Array) -> None:
    for number, value in zip(numbers.tolist(), values.to_pylist(), strict=True):
        for_vault[number][where] = value


def _replace_products(vault: Vault, rows: pa.Table, for_vault: VaultValues, changed: Columns) -> None:
    """Check the lists of products; only those with a personal value are made anew."""
    lists = rows["products"].combine_chunks()
    parents, items = pc.list_parent_indices(lists).to_numpy(), lists.flatten()
    concerned: set[int] = set()
    for field in items.type:
        if field.type == pa.string():
            values = items.field(field.name)
            personal = _personal_values(values)
            if len(personal):
                concerned.update(parents[np.flatnonzero(pc.is_in(values, personal))].tolist())
    if not concerned:
        return
    numbers = sorted(concerned)
    fresh = []
    for number, products in zip(numbers, lists.take(pa.array(numbers)).to_pylist(), strict=True):
        checks = ((f"products.{n}.", product) for n, product in enumerate(products))
        fresh.append(
            [product and _checked(vault, product, where, for_vault[number], is_typed=True) for where, product in checks]
        )
    changed["products"] = _with_rows(lists, numbers, pa.array(fresh, lists.type))


def _checked(vault: Vault, value: Any, where: str, for_vault: dict[str, Any], *, is_typed: bool = False) -> Any:
    """An object without what a detector recognises in it, keys included; a typed one's numbers are declared."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    kept: dict[Any, Any] = {}
    for key, one in inside:
        path = f"{where}{key}"
        if isinstance(key, str) and personal_kind(key):
            for_vault[path] = one
        elif isinstance(one, dict | list):
            kept[key] = _checked(vault, one, f"{path}.", for_vault, is_typed=is_typed)
        elif (text := _text_to_search(one, is_typed=is_typed)) and personal_kind(text):
            for_vault[path] = one
            if isinstance(key, str) and is_identifier(key):
                kept[key] = vault.token("identifier", text)
        else:
            kept[key] = one
    return kept if isinstance(value, dict) else list(kept.values())


def _text_to_search(value: Any, *, is_typed: bool) -> str | None:
    """The text of a text, and of a number that is long enough to be somebody's."""
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and not is_typed
    return text_of(value) if is_number and abs(value) >= MAX_NUMBER else None


def _replace_in_objects(vault: Vault, name: str, texts: pa.Array, for_vault: VaultValues, changed: Columns) -> None:
    """Check columns of JSON: texts in which nothing looks like personal data are not even decoded."""
    searched = pc.replace_substring_regex(texts, HARMLESS_ADDRESS, '""')
    is_likely = _is_likely(searched)
    numbers, fresh = [], []
    for number, text in zip(np.flatnonzero(is_likely).tolist(), texts.filter(is_likely).to_pylist(), strict=True):
        values: dict[str, Any] = {}
        kept = _checked(vault, msgspec.json.decode(text), f"{name}.", values)
        if values:
            for_vault[number].update(values)
            numbers.append(number)
            fresh.append(json_text(kept))
    if numbers:
        changed[name] = _with_rows(texts, numbers, pa.array(fresh, pa.string()))


def _replace_flags(flags: pa.Array, for_vault: VaultValues, changed: Columns) -> None:
    """Drop flags that a file states and a detector recognises."""
    if not len(_personal_values(flags.flatten())):
        return
    fresh = []
    for number, listed in enumerate(flags.to_pylist()):
        kept = [one for one in listed or () if not personal_kind(one)]
        if len(kept) < len(listed or ()):
            for_vault[number]["flags"] = listed
        fresh.append(kept or None)
    changed["flags"] = pa.array(fresh, flags.type)


def _with_values(personal: pa.Array, for_vault: VaultValues) -> pa.Array:
    """The vault's parts with what was taken from the other columns."""
    numbers = sorted(for_vault)
    texts = personal.take(pa.array(numbers)).to_pylist()
    fresh = [json_text({**_object_of(text), **for_vault[n]}) for n, text in zip(numbers, texts, strict=True)]
    return _with_rows(personal, numbers, pa.array(fresh, pa.string()))


def _object_of(text: str | None) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(text) if text else {}
    except msgspec.DecodeError:
        decoded = text  # why: a file of raw events may hold anything here, and the vault keeps it as it is
    return decoded if isinstance(decoded, dict) else {"personal": decoded}


def _with_rows(column: pa.Array, numbers: Sequence[int], fresh: pa.Array) -> pa.Array:
    """A column with some rows replaced."""
    index = np.arange(len(column))
    index[list(numbers)] = len(column) + np.arange(len(fresh))
    return pa.concat_arrays([column, fresh]).take(pa.array(index))
