"""Value from all features: boosted trees with a Tweedie loss, from scratch or on top of the buying history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.learner import Fitted, Learner, forecasts
from patron.estimators.saving import SAME_FOLDER, Saved
from patron.predict.feature_matrix import Design
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.btyd_learners import FittedBtyd, RecentBlend
from patron.predict.value.training_matrix import TrainingMatrix, cap_of, with_history
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

TWEEDIE = {"objective": "tweedie", "tweedie_variance_power": 1.3}
"""Between Poisson (1) and gamma (2): many zeros, a long tail; the mean stays the mean."""
LARGEST_LOG = 30.0
START_FLOOR = 0.1
"""Part of the mean forecast that everybody begins with, so that nobody starts at log(0)."""


@dataclass(frozen=True)
class FittedBoosted(Saved, file="value.json"):
    """Trees over the features and what Pareto/NBD expects; with a blend, they correct it by a factor."""

    design: Design
    models: OrdersAndSpend
    trees: FittedTrees = field(metadata=SAME_FOLDER)
    scale_cents: float
    recent_share: float | None
    """Weight of the last 90 days in the forecast that the trees correct; None when they start from the mean."""
    adding_up: float
    """Factor by which forecasts add up to what was paid, of the rows the trees learned from."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        rows = with_history(table, self.models)
        return forecasts(self.forecast(rows, self.design.matrix(rows)))

    def forecast(self, rows: pa.Table, matrix: Numbers) -> Numbers:
        """The forecast of rows `with_history`, cents; `matrix` is the design's of them."""
        start = _start(rows, self.models, self.recent_share, self.scale_cents)
        logs = np.clip(start + self.trees.raw(matrix), -LARGEST_LOG, LARGEST_LOG)
        return np.exp(logs) * self.scale_cents * self.adding_up

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast; a blend's own size counts as one feature."""
        rows = with_history(table, self.models)
        names, values = self.design.names, self.trees.contributions(self.design.matrix(rows))
        if self.recent_share is None:
            return names, values
        start = _start(rows, self.models, self.recent_share, self.scale_cents)
        return (*names, "expected_paid_cents_90_days"), np.column_stack([values, start])


LATER = "Import what happened since, or run at an earlier cutoff."


@dataclass(frozen=True)
class Boosted(Learner):
    """LightGBM with a Tweedie loss on all features and on what Pareto/NBD and Gamma-Gamma expect, cents."""

    trees: Trees = field(default_factory=Trees)
    cap_quantile: float = 0.99
    """Labels above this quantile of buyers' count as its value: a few customers make most of the squared error."""

    name: ClassVar[str] = "boosted"
    complexity: ClassVar[int] = 4
    fitted: ClassVar[type] = FittedBoosted

    def fit(self, table: pa.Table) -> FittedBoosted:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        return self.fit_matrix(TrainingMatrix.of(table))

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> FittedBoosted:
        """As `fit`, with the models of buying history that are fitted already. Raises NotEnoughData."""
        return self.fit_matrix(TrainingMatrix.of(table, history_models(others)))

    def fit_matrix(self, training: TrainingMatrix) -> FittedBoosted:
        """Fit to a matrix. Raises NotEnoughData."""
        return _fit(training, self.trees, self.cap_quantile, None)


@dataclass(frozen=True)
class BoostedBlend(Learner):
    """Trees that correct the blend of buying history and the last 90 days by a factor, cents.

    The factor keeps the forecast of the largest customers in proportion where capped labels could not follow.
    """

    trees: Trees = field(default_factory=lambda: Trees(rounds=80, learning_rate=0.04))
    recent_share: float = 0.3
    cap_quantile: float = 0.99

    name: ClassVar[str] = "boosted_blend"
    complexity: ClassVar[int] = 3
    fitted: ClassVar[type] = FittedBoosted

    def fit(self, table: pa.Table) -> FittedBoosted:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        return self.fit_matrix(TrainingMatrix.of(table))

    def fit_matrix(self, training: TrainingMatrix) -> FittedBoosted:
        """Fit to a matrix. Raises NotEnoughData."""
        return _fit(training, self.trees, self.cap_quantile, self.recent_share)


def history_models(others: Mapping[str, Fitted]) -> OrdersAndSpend | None:
    """The models of buying history that another learner has fitted to the same table; None without one."""
    blend = others.get(RecentBlend.name)
    return blend.models if isinstance(blend, FittedBtyd) else None


def _fit(training: TrainingMatrix, trees: Trees, cap_quantile: float, recent_share: float | None) -> FittedBoosted:
    cap = cap_of(training.label, cap_quantile)
    if training.models is None or cap <= 0:
        raise NotEnoughData("nobody bought anything after the cutoffs to learn from", where="training", todo=LATER)
    label = np.minimum(training.label, cap)
    scale = max(float(label.mean()), 1.0)
    objective = {**TWEEDIE, "boost_from_average": False}
    start = np.minimum(_start(training.rows, training.models, recent_share, scale), np.log(cap / scale))
    fitted = trees.fit(training.binned, label / scale, objective, start=start)
    # why: the loss does not make forecasts add up to what was paid, least of all where few buy
    adding_up = float(label.mean() / scale / np.exp(start + fitted.raw(training.matrix)).mean())
    return FittedBoosted(training.design, training.models, fitted, scale, recent_share, adding_up)


def _start(rows: pa.Table, models: OrdersAndSpend, recent_share: float | None, scale_cents: float) -> Numbers:
    """Logarithm of the forecast the trees begin with, in units of `scale_cents`; of rows `with_history`."""
    if recent_share is None:
        return np.zeros(rows.num_rows)
    expected = float_column(rows, "expected_paid_cents_90_days")
    return np.log(models.blended(rows, expected, recent_share) / scale_cents + START_FLOOR)
