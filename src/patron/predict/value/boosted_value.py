"""Value at once from all features: boosted trees with a Tweedie loss, which benchmarks compare with."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.learner import Learner, forecasts
from patron.estimators.saving import SAME_FOLDER, Saved
from patron.predict.feature_matrix import Design
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.training_matrix import LATER, TrainingMatrix, cap_of, with_history
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

TWEEDIE = {"objective": "tweedie", "tweedie_variance_power": 1.3}
"""Between Poisson (1) and gamma (2): many zeros, a long tail; the mean stays the mean."""
MAX_LOG = 30.0


@dataclass(frozen=True)
class FittedBoosted(Saved, file="value.json"):
    """Trees over the features and what Pareto/NBD expects."""

    design: Design
    models: OrdersAndSpend
    trees: FittedTrees = field(metadata=SAME_FOLDER)
    scale_cents: float
    adding_up: float
    """Factor by which forecasts add up to what was paid, of the rows the trees learned from."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        matrix = self.design.matrix(with_history(table, self.models))
        logs = np.clip(self.trees.raw(matrix), -MAX_LOG, MAX_LOG)
        return forecasts(np.exp(logs) * self.scale_cents * self.adding_up)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast."""
        return self.design.names, self.trees.contributions(self.design.matrix(with_history(table, self.models)))


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
        return _fit(TrainingMatrix.of(table), self.trees, self.cap_quantile)


def _fit(training: TrainingMatrix, trees: Trees, cap_quantile: float) -> FittedBoosted:
    cap = cap_of(training.label, cap_quantile)
    if training.models is None or cap <= 0:
        raise NotEnoughData("nobody bought anything after the cutoffs to learn from", where="training", todo=LATER)
    label = np.minimum(training.label, cap)
    scale = max(float(label.mean()), 1.0)
    fitted = trees.fit(training.binned, label / scale, dict(TWEEDIE))
    # why: the loss does not make forecasts add up to what was paid, least of all where few buy
    adding_up = float(label.mean() / scale / np.exp(fitted.raw(training.matrix)).mean())
    return FittedBoosted(training.design, training.models, fitted, scale, adding_up)
