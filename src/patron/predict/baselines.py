"""Naive rules that any learner has to beat, for any question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.learner import IS_BASELINE, LABEL, Baseline, forecasts, labelled
from patron.estimators.saving import Saved
from patron.estimators.shrunken_rates import shrunk_means
from patron.schema.numbers import float_column

SEES_NO_CUSTOMER = {**IS_BASELINE, "depends on the row": "everybody gets the same forecast"}


@dataclass(frozen=True)
class FittedMean(Saved, file="rule.json"):
    """The same number for everybody, in the question's unit."""

    mean: float

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the mean for each row."""
        return forecasts(np.full(table.num_rows, self.mean))


@dataclass(frozen=True)
class Mean(Baseline):
    """The mean outcome of the past for everybody (for a probability: the base rate)."""

    name: ClassVar[str] = "mean"
    exemptions: ClassVar[Mapping[str, str]] = SEES_NO_CUSTOMER
    fitted: ClassVar[type] = FittedMean

    def fit(self, table: pa.Table) -> FittedMean:
        """Average the known labels. Raises NotEnoughData."""
        return FittedMean(float(float_column(labelled(table), LABEL).mean()))


@dataclass(frozen=True)
class Zero(Baseline):
    """Nothing happens."""

    name: ClassVar[str] = "zero"
    exemptions: ClassVar[Mapping[str, str]] = SEES_NO_CUSTOMER
    fitted: ClassVar[type] = FittedMean

    def fit(self, table: pa.Table) -> FittedMean:  # noqa: ARG002 - the protocol's signature
        """Learn nothing."""
        return FittedMean(0.0)


@dataclass(frozen=True)
class FittedRecency(Saved, file="rule.json"):
    """The share of outcomes by days since the last order, in groups of equal size."""

    edges: tuple[float, ...]
    """Days since the last order at which the next group begins."""
    shares: tuple[float, ...]

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the share of the row's group, 0 to 1."""
        group = np.searchsorted(np.asarray(self.edges), float_column(table, "days_since_last_order"), side="right")
        return forecasts(np.asarray(self.shares)[group])


@dataclass(frozen=True)
class RecencyOnly(Baseline):
    """What became of customers who had ordered as long ago: the rule most shops go by."""

    groups: int = 10

    name: ClassVar[str] = "recency_only"
    fitted: ClassVar[type] = FittedRecency

    def fit(self, table: pa.Table) -> FittedRecency:
        """Share of outcomes in each group, one observation added at the overall share. Raises NotEnoughData."""
        rows = labelled(table)
        days, label = float_column(rows, "days_since_last_order"), float_column(rows, LABEL)
        edges = np.unique(np.quantile(days, np.linspace(0, 1, self.groups + 1)[1:-1]))
        group = np.searchsorted(edges, days, side="right")
        shares = shrunk_means(group, label, np.full(len(edges) + 1, label.mean()), 1.0)
        return FittedRecency(tuple(edges.tolist()), tuple(shares.tolist()))
