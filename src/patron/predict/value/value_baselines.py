"""The two naive forecasts of spend that any learner has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.learner import LABEL, Baseline, forecasts, labelled
from patron.estimators.saving import Saved
from patron.schema.models.metrics import rmse_winsorised
from patron.schema.numbers import float_column

STEPS = 101


@dataclass(frozen=True)
class FittedShrinkage(Saved, file="rule.json"):
    """`mean + weight * (paid in the last 90 days - mean)`, cents; never below zero."""

    weight: float
    mean: float
    column: str = "paid_cents_90_days"
    """What was paid in the last 90 days."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        paid = float_column(table, self.column)
        return forecasts(np.maximum(self.mean + self.weight * (paid - self.mean), 0.0))


@dataclass(frozen=True)
class LastNinetyDays(Baseline):
    """The same as in the last 90 days, cents."""

    name: ClassVar[str] = "last_90_days"
    fitted: ClassVar[type] = FittedShrinkage

    def fit(self, table: pa.Table) -> FittedShrinkage:  # noqa: ARG002 - the protocol's signature
        """Learn nothing."""
        return FittedShrinkage(1.0, 0.0)


@dataclass(frozen=True)
class ShrunkenLastNinetyDays(Baseline):
    """The last 90 days, shrunken towards the mean outcome as much as would have been best so far."""

    name: ClassVar[str] = "shrunken_last_90_days"
    fitted: ClassVar[type] = FittedShrinkage

    def fit(self, table: pa.Table) -> FittedShrinkage:
        """Choose the weight with the best winsorised RMSE on the known labels. Raises NotEnoughData."""
        rows = labelled(table)
        weight, mean = best_shrinkage(rows, float_column(rows, LABEL), towards=float(float_column(rows, LABEL).mean()))
        return FittedShrinkage(weight, mean)


def best_shrinkage(rows: pa.Table, actual: np.ndarray, *, towards: float) -> tuple[float, float]:
    """Weight in 0..1 of the last 90 days, best in hindsight for `actual`, and the mean it shrinks towards."""

    def error(weight: float) -> float:
        forecast = FittedShrinkage(weight, towards).predict(rows)["forecast"].to_numpy()
        return float(rmse_winsorised(actual, forecast))

    return float(min(np.linspace(0.0, 1.0, STEPS), key=error)), towards
