"""Frames of users: whatever speaks Arrow comes in, and goes out in the same kind."""

import sys
from typing import Any

import pyarrow as pa


def arrow(table: Any) -> pa.Table:
    """Whatever speaks the Arrow C stream (pandas, Polars, DuckDB), or columns by name, as an Arrow table.

    Raises TypeError for anything else.
    """
    if isinstance(table, pa.Table):
        return table
    try:
        return _without_views(pa.table(table))
    except (TypeError, ValueError) as error:
        what = f"a table is needed (pandas, Polars, DuckDB, Arrow, or columns by name), not {type(table).__name__}"
        raise TypeError(f"{what}: {error}" if isinstance(error, ValueError) else what) from error


def table_without_index(table: Any) -> pa.Table:
    """As `arrow`, but without the index of a pandas frame: it says where a row was, and nothing about it."""
    if frame_kind(table) != "pandas":
        return _without_views(arrow(table))
    try:
        return pa.Table.from_pandas(table, preserve_index=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"a column holds values of several kinds: {error}") from error


def _without_views(table: pa.Table) -> pa.Table:
    """Texts as Arrow's functions take them: Polars hands out views of texts, which few of them know."""
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_dictionary(field.type) and pa.types.is_string_view(field.type.value_type):
            texts = pa.large_string()
            parts = [
                pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(texts)) for chunk in column.chunks
            ]
            table = table.set_column(
                place, field.name, pa.chunked_array(parts, pa.dictionary(field.type.index_type, texts))
            )
        elif pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, column.cast(pa.large_string()))
    return table


def frame_kind(frame: Any) -> str:
    """Package that a frame is of: pandas or polars; arrow for any other."""
    package = type(frame).__module__.partition(".")[0]
    return package if package in {"pandas", "polars"} and hasattr(frame, "columns") else "arrow"


def to_kind(table: pa.Table, kind: str) -> Any:
    """An Arrow table as the kind of frame that `frame_kind` names."""
    if kind == "pandas":
        return table.to_pandas()
    return sys.modules["polars"].from_arrow(table) if kind == "polars" else table
