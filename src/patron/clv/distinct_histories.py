"""Distinct rows of a summary: customers with the same history are one row that counts for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.clv.foreign_signatures import hint_for_missing
from patron.schema.errors import NotEnoughData
from patron.schema.frames import arrow
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers, float_column

Indices = npt.NDArray[np.int64]
MIN_CUSTOMERS = 10
HISTORY = ("frequency", "recency", "T")
WEIGHT = "weight"


@kernel(nogil=True)
def _distinct(columns: Numbers) -> tuple[Indices, Indices]:
    """First place of each distinct column of a matrix, and the distinct one of each, by hashing their bits."""
    width, count = columns.shape
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, np.int64)
    place = np.empty(count, np.int64)
    first = np.empty(count, np.int64)
    bits = columns.view(np.uint64)
    count_distinct = 0
    for n in range(count):
        mixed = np.uint64(1469598103934665603)
        for row in range(width):
            mixed = (mixed ^ bits[row, n]) * np.uint64(1099511628211)
            mixed ^= mixed >> np.uint64(29)
        slot = np.int64(mixed & np.uint64(size - 1))
        while True:
            known = slots[slot]
            if known < 0:
                slots[slot] = count_distinct
                first[count_distinct] = n
                place[n] = count_distinct
                count_distinct += 1
                break
            is_same = True
            for row in range(width):
                if bits[row, n] != bits[row, first[known]]:
                    is_same = False
                    break
            if is_same:
                place[n] = known
                break
            slot = (slot + 1) & (size - 1)
    return first[:count_distinct].copy(), place


def distinct_rows(*columns: Numbers) -> tuple[Indices, Indices]:
    """First place of each distinct row of columns of equal length, and which distinct row each row is."""
    return _distinct(np.ascontiguousarray(np.vstack(columns) + 0.0))  # why: adding 0 makes -0 and 0 one


@dataclass(frozen=True)
class DistinctValues:
    """Distinct values of one column, and which of them each row has."""

    values: Numbers
    inverse: Indices

    @classmethod
    def of(cls, column: Numbers) -> Self:
        """Find them; logarithms and gamma functions are then computed once a value."""
        first, place = distinct_rows(column)
        return cls(column[first], place)


@dataclass(frozen=True)
class Histories:
    """Distinct histories. Times are in the summary's unit, or divided by `scale` while a model is fitted."""

    frequency: Numbers
    recency: Numbers
    T: Numbers
    weight: Numbers
    """Customers each row stands for."""
    inverse: Indices
    """Row of each customer of the summary, in the summary's order."""
    extras: Mapping[str, Numbers]
    """Other columns that distinguish rows, such as the sum of log gaps."""

    @classmethod
    def of(cls, summary: Any, *others: str) -> Self:
        """Rows of a summary, or of anything that speaks Arrow with its columns. Raises NotEnoughData, ValueError."""
        table = arrow(summary)
        columns = {name: finite_column(table, name) for name in (*HISTORY, *others)}
        _check_histories(*(columns[name] for name in HISTORY))
        first, place = distinct_rows(*columns.values())
        weight = finite_column(table, WEIGHT) if WEIGHT in table.column_names else np.ones(table.num_rows)
        kept = {name: column[first] for name, column in columns.items()}
        weight = np.bincount(place, weight, len(first)).astype(np.float64)
        frequency, recency, T = (kept.pop(name) for name in HISTORY)
        return cls(frequency, recency, T, weight, place, kept)

    def per_customer(self, values: Numbers) -> Numbers:
        """A number for each customer, from that of each row."""
        return values[self.inverse]

    @property
    def customer_count(self) -> float:
        """Customers of the summary, by weight."""
        return float(self.weight.sum())


def finite_column(table: pa.Table, name: str) -> Numbers:
    """A column as float64. Raises ValueError when it is missing or not a number everywhere."""
    if name not in table.column_names:
        known = f"the summary has no column {name}; it has {', '.join(table.column_names)}"
        raise ValueError(known + hint_for_missing(table.column_names))
    values = float_column(table, name, np.nan)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: {int((~np.isfinite(values)).sum())} values are missing or infinite")
    return values


def _check_histories(frequency: Numbers, recency: Numbers, T: Numbers) -> None:
    """Reject rows that no customer can have, with their number. Raises ValueError."""
    tests = {
        "frequency below 0": frequency < 0,
        "recency below 0": recency < 0,
        "recency after T": recency > T * (1 + 1e-12),
        "recency without a repeat order": (frequency == 0) & (recency > 0),
    }
    wrong = [f"{int(is_wrong.sum())} rows have {what}" for what, is_wrong in tests.items() if is_wrong.any()]
    if wrong:
        raise ValueError("; ".join(wrong))


def check_customer_count(rows: Histories, model: str) -> None:
    """Reject to fit to next to nobody. Raises NotEnoughData."""
    if rows.customer_count < MIN_CUSTOMERS:
        raise NotEnoughData(
            f"{rows.customer_count:g} customers with an order", where=model, todo="Import a longer history."
        )


FEW_ROWS = 2_000
"""Of more distinct rows, some are fitted first: the whole is then met close to its maximum."""
SAMPLE_SEED = 20050501


def sample_rows(rows: Histories, count: int = FEW_ROWS) -> Histories:
    """Some of the distinct rows, chosen at random with a fixed seed."""
    chosen = np.sort(np.random.default_rng(SAMPLE_SEED).choice(len(rows.T), count, replace=False))
    extras = {name: column[chosen] for name, column in rows.extras.items()}
    frequency, recency, T, weight = (one[chosen] for one in (rows.frequency, rows.recency, rows.T, rows.weight))
    return Histories(frequency, recency, T=T, weight=weight, inverse=np.arange(count), extras=extras)


def mean_age(rows: Histories) -> float:
    """Mean of T: the unit of time in which parameters are of a size that can be sought."""
    return max(float(np.average(rows.T, weights=rows.weight)), 1e-9)


def rescale(rows: Histories, scale: float) -> Histories:
    """Rows with their times in another unit."""
    return Histories(
        rows.frequency,
        rows.recency / scale,
        T=rows.T / scale,
        weight=rows.weight,
        inverse=rows.inverse,
        extras=rows.extras,
    )
