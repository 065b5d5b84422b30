"""What learners of questions can do besides: build on others, explain their forecasts, add up to the shop's total."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import Fitted, rows_where
from patron.schema.numbers import Numbers

REASON_COUNT = 3


@runtime_checkable
class FitsFromOthers(Protocol):
    """A learner that builds on others of its question."""

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> Fitted:
        """As `fit`, with learners that are fitted to this table already, by name. Raises NotEnoughData."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A fitted learner that knows what moved each forecast."""

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """Feature names, and one row of signed contributions per given row (log-odds, or the question's unit)."""
        ...


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


def newest(table: pa.Table) -> pa.Table:
    """The rows of the latest cutoff, labelled or not: the customers as they are known at the origin."""
    return rows_where(table, pc.equal(table["as_of"], pc.max(table["as_of"])))
