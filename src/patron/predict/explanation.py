"""What moved each forecast: feature by feature, and added up by reason code, in blocks so that memory is bounded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.learner import Explains, Fitted
from patron.schema.models.reason_codes import ReasonCode
from patron.schema.numbers import Numbers
from patron.schema.tables import SCORES

REASON_COUNT = 3
BLOCK_ROWS = 50_000
"""Rows whose contributions are in memory at once: 40 MB at a hundred features."""


@dataclass(frozen=True)
class Explanation:
    """One row per customer; nothing where the model does not explain itself."""

    moved_most: pa.Array
    """Names of the features that moved the forecast most, signed; NULL without an explanation."""
    codes: tuple[ReasonCode, ...]
    by_code: Numbers
    """Contributions added up within each code, and last those of features of no code, shape (customers, codes + 1)."""


def explain(
    fitted: Fitted, rows: pa.Table, codes: Sequence[ReasonCode] = (), *, block_rows: int = BLOCK_ROWS
) -> Explanation:
    """Explain the forecast of each row; the same whatever the blocks are."""
    by_code = np.zeros((rows.num_rows, len(codes) + 1))
    kind = SCORES.schema().field("reasons").type
    if not isinstance(fitted, Explains):
        return Explanation(pa.nulls(rows.num_rows, kind), tuple(codes), by_code)
    moved: list[pa.Array] = [pa.array([], kind)]
    for start in range(0, rows.num_rows, block_rows):
        names, values = fitted.contributions(rows.slice(start, block_rows))
        moved.append(pa.array(reasons(names, values), kind))
        if codes:
            by_code[start : start + len(values)] = sums_by_code(names, values, codes)
    return Explanation(pa.concat_arrays(moved), tuple(codes), by_code)


def sums_by_code(names: Sequence[str], values: Numbers, codes: Sequence[ReasonCode]) -> Numbers:
    """Contributions added up within each code, and last those of features of no code."""
    place_of = {name: place for place, one in enumerate(codes) for name in one.features}
    # why: a level of a text feature is named feature=level
    places = np.array([place_of.get(name.partition("=")[0], len(codes)) for name in names], dtype=np.int64)
    sums = np.zeros((len(values), len(codes) + 1))
    for place in range(len(codes) + 1):
        sums[:, place] = np.ascontiguousarray(values[:, places == place]).sum(axis=1)
    return sums


def reasons(names: tuple[str, ...], contributions: Numbers, count: int = REASON_COUNT) -> list[list[str]]:
    """Name the features that moved each forecast most, signed: `-days_since_last_order` lowered it."""
    top = _largest(np.abs(contributions), min(count, len(names)))
    chosen = np.take_along_axis(contributions, top, axis=1)
    return [
        [f"{'+' if size > 0 else '-'}{names[at]}" for at, size in zip(where, sizes, strict=True) if size != 0]
        for where, sizes in zip(top.tolist(), chosen.tolist(), strict=True)
    ]


def _largest(sizes: Numbers, count: int) -> npt.NDArray[np.int64]:
    """Places of the largest sizes of each row, the largest first; of equal ones the first. The sizes are used up."""
    # why not sort: three of a hundred are wanted, for every customer
    top = np.empty((len(sizes), count), dtype=np.int64)
    for rank in range(count):
        top[:, rank] = np.argmax(sizes, axis=1)
        np.put_along_axis(sizes, top[:, rank : rank + 1], -1.0, axis=1)
    return top
