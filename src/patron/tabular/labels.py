"""The label: which rows have one, and which of its two values counts as positive."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.numbers import Numbers
from patron.tabular.columns import is_text, text_values

POSITIVE_TEXTS = frozenset({"1", "1.0", "true", "t", "yes", "y"})


def read_label(column: pa.ChunkedArray, name: str, positive: Any = None) -> tuple[Numbers, npt.NDArray[np.bool_], str]:
    """0 or 1 for each row, whether it is known, and the positive value as it is printed.

    Raises BadComparison for a label that does not have two values, NotEnoughData for one that has fewer.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise BadComparison(f"has {column.type}", where=name, todo="A label is numbers, booleans or texts.")
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float64())
    if is_text(column.type):
        blank = pc.equal(pc.utf8_trim_whitespace(text_values(column)), "")
        column = pc.if_else(blank, pa.scalar(None, pa.large_string()), text_values(column))
    elif pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    values = [value for value in pc.unique(column).to_pylist() if value is not None]
    if len(values) < 2:
        what = f"every row has the same label, {values[0]}" if values else "no row has a label"
        raise NotEnoughData(what, where=name, todo="A model learns from rows of both kinds.")
    if len({str(value).strip().lower() for value in values}) < len(values):
        what = f"has {values[0]!r} and {values[1]!r}, which mean the same"
        raise BadComparison(what, where=name, todo="Write each value in one way.")
    if len(values) > 2:
        shown = ", ".join(str(value) for value in values[:4])
        what = f"has {len(values)} different values ({shown} ...)"
        raise BadComparison(what, where=name, todo="A label has two, such as 0 and 1.")
    chosen = _positive(values, name, positive)
    is_known = pc.is_valid(column).to_numpy()
    is_positive = pc.fill_null(pc.equal(column, pa.scalar(chosen, column.type)), False).to_numpy()
    return is_positive.astype(np.float64), np.asarray(is_known, dtype=bool), str(chosen)


def _positive(values: list[Any], name: str, positive: Any) -> Any:
    texts = {str(value).strip().lower(): value for value in values}
    if positive is not None:
        wanted = str(positive).strip().lower()
        same = [value for value in values if value == positive] or [
            value for value in values if str(value).strip().lower() == wanted
        ]
        if not same:
            same = [value for value in values if isinstance(value, int | float) and f"{value:g}" == wanted]
        if not same:
            what = f"has no value {positive!r}"
            raise BadComparison(what, where=name, todo=f"It has {values[0]!r} and {values[1]!r}.")
        return same[0]
    known = [value for text, value in texts.items() if text in POSITIVE_TEXTS]
    if len(known) != 1:
        what = f"which of {values[0]!r} and {values[1]!r} is positive?"
        raise BadComparison(what, where=name, todo=f"Name it, for example positive={values[0]!r}.")
    return known[0]
