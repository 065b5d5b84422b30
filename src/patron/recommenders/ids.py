"""Ids of users and items as they come in: plain columns of them, and their places among the known ones."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadInteractions

Codes = npt.NDArray[np.int64]
Ids: TypeAlias = pa.Array | pa.ChunkedArray
NUMBERS = "numbers"
TEXTS = "texts"
BYTES = "bytes"
DIGITS = 38
"""Of the widest whole numbers, such as DuckDB's HUGEINT."""


def codes_of_ids(ids: Any, known: pa.Array) -> Codes:
    """Place of each id among the known ones, which are plain; -1 where it is not there.

    Numbers are compared by value, so that 7 is 7.0; ids of different kinds by how they are written, so that "7" is 7
    and "007" is not. Raises BadInteractions for what holds no ids.
    """
    values, among = _comparable(_id_column(ids), known)
    places = pc.index_in(values, value_set=among, skip_nulls=True).fill_null(-1)
    return np.asarray(places, dtype=np.int64)


def id_array(ids: Any) -> pa.Array:
    """One id, or several in a list, an array or a column, as a plain Arrow array. Raises BadInteractions."""
    return _id_column(ids).combine_chunks()


def _id_column(ids: Any) -> pa.ChunkedArray:
    todo = "Pass a list of ids, or one column."
    if hasattr(ids, "columns"):
        raise _bad(f"ids are needed, not {type(ids).__name__}", todo)
    if isinstance(ids, str | bytes | int | float | np.generic):
        ids = [ids]
    try:
        column = ids if isinstance(ids, pa.ChunkedArray) else pa.chunked_array([pa.array(ids)])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _bad(f"ids are needed, not {type(ids).__name__}: {error}", todo) from error
    return plain_ids(column)


def plain_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of ids without dictionaries, views and 64-bit offsets. Raises BadInteractions for lists and the like."""
    column = without_dictionary(column)
    kind = column.type
    if is_text(kind):
        return column.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType) or pa.types.is_float16(kind):
        raise _bad(f"ids are of type {kind}", "Pass texts or whole numbers.")
    return column


def without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column, each written out."""
    if not pa.types.is_dictionary(column.type):
        return column
    kind = pa.string() if is_text(column.type.value_type) else column.type.value_type
    return pa.chunked_array([chunk.dictionary.cast(kind).take(chunk.indices) for chunk in column.chunks], kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of a type are texts, whatever their offsets."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def check_same_kind(name: str, ids: Ids, known: pa.Array) -> None:
    """Raise BadInteractions where ids of one kind are looked up among those of another: one of both was misread."""
    kinds = id_kind(ids.type), id_kind(known.type)
    if kinds[0] != kinds[1] and len(ids) and len(known):
        what = f"{name} has {kinds[0]} in the test part and {kinds[1]} in the training part"
        raise _bad(what, "Read both parts in the same way.")


def id_kind(kind: pa.DataType) -> str:
    """What ids of a type are: numbers, texts, bytes, or the type's name."""
    if _is_whole(kind) or pa.types.is_floating(kind):
        return NUMBERS
    if is_text(kind):
        return TEXTS
    return BYTES if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) else str(kind)


def _is_whole(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0)


def _comparable(*both: Ids) -> list[Ids]:
    """Arrays of ids as one type in which equal ids are equal; an id that it cannot hold is NULL."""
    kinds = [one.type for one in both]
    if len(set(kinds)) == 1:
        return list(both)
    if any(id_kind(kind) != NUMBERS for kind in kinds):
        return [_as_bytes(one) for one in both]
    if all(pa.types.is_floating(kind) for kind in kinds):
        return [one.cast(pa.float64()) for one in both]
    whole = [_without_fractions(one) if pa.types.is_floating(one.type) else one for one in both]
    is_wide = any(pa.types.is_decimal(one.type) or pa.types.is_uint64(one.type) for one in whole)
    return [one.cast(pa.decimal128(DIGITS, 0) if is_wide else pa.int64()) for one in whole]


def _without_fractions(numbers: Ids) -> Ids:
    """Floats as whole numbers; what has a fraction, or is beyond 64 bits, is NULL."""
    values = numbers.cast(pa.float64())
    is_whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**63))
    return pc.if_else(is_whole, values, pa.scalar(None, pa.float64())).cast(pa.int64(), safe=False)


def _as_bytes(ids: Ids) -> Ids:
    """Ids as they are written: of all kinds bytes alone need not be texts."""
    return ids.cast(pa.binary()) if id_kind(ids.type) == BYTES else ids.cast(pa.string()).cast(pa.binary())


def _bad(what: str, todo: str) -> BadInteractions:
    return BadInteractions(what, where="interactions", todo=todo)
