"""The feature matrix: which columns of `features` a learner sees, and how text becomes numbers."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import LABEL
from patron.predict.sampling import SAMPLE_KEY
from patron.schema.models.month_columns import FIRST_ORDER_MONTH, ORDER_DAYS_BY_MONTH
from patron.schema.numbers import Numbers, float_column

ORDER_PROBABILITY = "order_probability_90_days"
"""Column of rows about value: the probability of an order by the champion of churn. It is no feature of spend."""
SEASON_PRIOR = "season_prior"
"""Column of rows: what was assumed of the season at their cutoff, as `SeasonPrior.to_text` writes it."""
NOT_FEATURES = frozenset(
    {
        *("run_id", "customer_id", "as_of", "feature_version", "until", LABEL, SAMPLE_KEY, ORDER_PROBABILITY),
        *(SEASON_PRIOR, FIRST_ORDER_MONTH, *ORDER_DAYS_BY_MONTH),
    }
)
"""Columns that no matrix has; months of orders are the shop's season, and too thin in a single customer."""
MAX_LEVELS = 12


@dataclass(frozen=True)
class Design:
    """Columns in a fixed order: numbers as they are (NULL is NaN), text as one 0/1 column per frequent level."""

    numeric: tuple[str, ...]
    levels: tuple[tuple[str, str], ...]
    """(column, level) pairs."""

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Choose the columns from training rows: constant ones are left out, and levels rarer than 1 %."""
        names = sorted(set(table.column_names) - NOT_FEATURES)
        text = [name for name in names if pa.types.is_string(table.schema.field(name).type)]
        numeric = [name for name in names if _is_number(table.schema.field(name).type) and _varies(table[name])]
        return cls(tuple(numeric), tuple((name, level) for name in text for level in _levels(table[name])))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the matrix's columns."""
        return self.numeric + tuple(f"{name}={level}" for name, level in self.levels)

    def matrix(self, table: pa.Table) -> Numbers:
        """One row per given row; what is missing is NaN, an unknown level is 0 everywhere."""
        filled = np.empty((table.num_rows, len(self.names)), dtype=np.float64, order="F")
        for at, name in enumerate(self.numeric):
            filled[:, at] = float_column(table, name, np.nan)
        for at, (name, level) in enumerate(self.levels, start=len(self.numeric)):
            is_level = pc.fill_null(pc.equal(table[name], level), False)
            filled[:, at] = is_level.combine_chunks().to_numpy(zero_copy_only=False)
        return filled


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _varies(values: pa.ChunkedArray) -> bool:
    extremes = pc.min_max(values).as_py()
    return extremes["min"] is not None and (extremes["min"] != extremes["max"] or values.null_count > 0)


def _levels(values: pa.ChunkedArray) -> list[str]:
    counts = [
        (count["counts"], count["values"])
        for count in pc.value_counts(values).to_pylist()
        if count["values"] is not None
    ]
    common = sorted((-count, level) for count, level in counts if count >= 0.01 * len(values))
    return sorted(level for _, level in common[:MAX_LEVELS])
