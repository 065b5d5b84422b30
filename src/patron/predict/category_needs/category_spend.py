"""What a customer pays in a category in the next 90 days: weighted rates of the past, and boosted trees."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import scipy

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.learner import LABEL, Learner, forecasts, labelled
from patron.estimators.saving import SAME_FOLDER, Saved
from patron.predict.category_needs.category_rules import HORIZON_DAYS, FittedPersonalRate, PersonalRate
from patron.predict.feature_matrix import Design
from patron.schema.errors import NotEnoughData
from patron.schema.models.metrics import WINSOR_SHARE
from patron.schema.numbers import Numbers, float_column

TWEEDIE = {"objective": "tweedie", "tweedie_variance_power": 1.3}
MAX_LOG = 30.0


@dataclass(frozen=True, eq=False)
class FittedRates(Saved, file="spend.json"):
    """Weights of four rates of spend in the category, cents in 90 days each."""

    personal_rate: FittedPersonalRate = field(metadata=SAME_FOLDER)
    weights: tuple[float, ...]

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast net paid in the category in the next 90 days, cents."""
        return forecasts((_rates(table, self.personal_rate) * np.asarray(self.weights)).sum(axis=1))


@dataclass(frozen=True)
class WeightedRates(Learner):
    """The category's mean, the own rate, the last 90 days, and purchases at the usual gap, each with a weight."""

    name: ClassVar[str] = "weighted_rates"
    complexity: ClassVar[int] = 1
    fitted: ClassVar[type] = FittedRates

    def fit(self, table: pa.Table) -> FittedRates:
        """Least squares with weights of at least 0, then as much as was paid in all. Raises NotEnoughData."""
        rows = labelled(table)
        label = _paid(rows)
        personal_rate = PersonalRate().fit(rows)
        rates = _rates(rows, personal_rate)
        cap = max(float(np.quantile(label, WINSOR_SHARE)), 1.0)
        weights, _ = scipy.optimize.nnls(np.minimum(rates, cap), np.minimum(label, cap))
        total = float((rates * weights).sum())
        return FittedRates(personal_rate, tuple((weights * (label.sum() / total if total > 0 else 0.0)).tolist()))


@dataclass(frozen=True, eq=False)
class FittedSpend(Saved, file="spend.json"):
    """Trees for the logarithm of spend."""

    design: Design
    trees: FittedTrees = field(metadata=SAME_FOLDER)
    start: float
    """Logarithm of the mean, where the trees start."""
    adding_up: float
    """Factor by which forecasts add up to what was paid, of the rows the trees learned from."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast net paid in the category in the next 90 days, cents."""
        logs = np.clip(self.start + self.trees.raw(self.design.matrix(table)), -MAX_LOG, MAX_LOG)
        return forecasts(np.exp(logs) * self.adding_up)


@dataclass(frozen=True)
class BoostedSpend(Learner):
    """Boosted trees with a Tweedie loss, from the rhythm and spend of a customer in a category."""

    trees: Trees = field(default_factory=lambda: Trees(rounds=60, learning_rate=0.08))

    name: ClassVar[str] = "boosted_spend"
    complexity: ClassVar[int] = 2
    fitted: ClassVar[type] = FittedSpend

    def fit(self, table: pa.Table) -> FittedSpend:
        """Fit to the rows whose label is known, the largest amounts capped, then levelled. Raises NotEnoughData."""
        rows = labelled(table)
        label = _paid(rows)
        capped = np.minimum(label, max(float(np.quantile(label, WINSOR_SHARE)), 1.0))
        design = Design.of(rows)
        matrix, start = design.matrix(rows), float(np.log(max(capped.mean(), 1e-6)))
        trees = self.trees.fit(matrix, capped, TWEEDIE, start=np.full(len(label), start))
        forecast = np.exp(np.clip(start + trees.raw(matrix), -MAX_LOG, MAX_LOG))
        return FittedSpend(design, trees, start, float(label.sum() / forecast.sum()))


def _paid(rows: pa.Table) -> Numbers:
    """The labels, at least 0. Raises NotEnoughData when nothing was ever paid."""
    label = np.maximum(float_column(rows, LABEL), 0.0)
    if not label.sum() > 0:
        raise NotEnoughData("no order line has a price", where="training", todo="Import prices of order lines.")
    return label


def _rates(table: pa.Table, personal_rate: FittedPersonalRate) -> Numbers:
    """Four forecasts of the spend of 90 days, cents, each by one rate."""
    last, per_purchase = (
        np.maximum(float_column(table, name), 0.0) for name in ("paid_in_category_90_days", "paid_per_purchase")
    )
    gap = np.nan_to_num(float_column(table, "purchase_gap_days", np.inf), nan=np.inf)
    expected = per_purchase * HORIZON_DAYS / np.maximum(gap, 1.0)
    return np.column_stack(
        [np.maximum(personal_rate.categories.of(table), 0.0), personal_rate.of(table), last, expected]
    )
