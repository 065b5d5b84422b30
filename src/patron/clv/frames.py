"""Frames of users: whatever speaks Arrow comes in, and answers go out beside the customers in the same kind."""

import sys
from collections.abc import Sized
from typing import Any

import numpy as np
import pyarrow as pa

CUSTOMER = "customer_id"


def arrow(table: Any) -> pa.Table:
    """Whatever speaks the Arrow C stream (pandas, Polars, DuckDB), or columns by name, as an Arrow table.

    Raises TypeError for anything else.
    """
    if isinstance(table, pa.Table):
        return table
    try:
        return _without_views(pa.table(table))
    except (TypeError, pa.ArrowInvalid) as error:
        what = f"a table is needed (pandas, Polars, DuckDB, Arrow, or columns by name), not {type(table).__name__}"
        raise TypeError(f"{what}: {error}" if isinstance(error, pa.ArrowInvalid) else what) from error


def _without_views(table: pa.Table) -> pa.Table:
    """Texts as Arrow's functions take them: Polars hands out views of texts, which few of them know."""
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_dictionary(field.type) and pa.types.is_string_view(field.type.value_type):
            texts = pa.large_string()
            parts = [pa.DictionaryArray.from_arrays(one.indices, one.dictionary.cast(texts)) for one in column.chunks]
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


def with_answers(summary: Any, **answers: Any) -> Any:
    """Answers beside their customers: a row for each of a summary, in the kind of frame that the summary is.

    An answer is one number a customer, such as `expected_purchases` gives, a `Span` (columns x, x_low and x_high), or a
    distribution of counts (columns x_0, x_1 ...). A pandas frame keeps its index. Raises ValueError for an answer that
    has not one entry for each customer.
    """
    table, kind = arrow(summary), frame_kind(summary)
    columns: dict[str, Any] = {CUSTOMER: table[CUSTOMER]} if CUSTOMER in table.column_names else {}
    for name, answer in answers.items():
        columns |= _columns_of(name, answer, table.num_rows)
    frame = to_kind(pa.table(columns), kind)
    if kind == "pandas":
        frame.index = summary.index
        is_index = CUSTOMER not in summary.columns and CUSTOMER in frame.columns
        return frame.drop(columns=CUSTOMER) if is_index else frame
    return frame


def _columns_of(name: str, answer: Any, count: int) -> dict[str, Any]:
    if hasattr(answer, "low") and hasattr(answer, "high"):
        columns = {name: answer.mean, f"{name}_low": answer.low, f"{name}_high": answer.high}
    elif np.ndim(answer) == 2:
        columns = {f"{name}_{place}": np.asarray(answer)[:, place] for place in range(np.shape(answer)[1])}
    else:
        columns = {name: answer}
    for column, values in columns.items():
        if not isinstance(values, Sized) or len(values) != count:
            entries = len(values) if isinstance(values, Sized) else 1
            raise ValueError(f"{column} has {entries} entries, and the summary {count} customers")
    return columns
