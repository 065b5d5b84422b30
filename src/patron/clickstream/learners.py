"""Models of the probability of an order later in the visit: a linear one and small trees, both calibrated.

Their tables have FEATURES, `label` (1 where an order came later in the visit), `weight`, and the start of the visit,
`started_at`, by which they are cut in time. No learner looks at ids.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.clickstream.design import Design
from patron.clickstream.features import NUMBERS, Row
from patron.clickstream.rates import BaseRate, RateByCartAndViews, RateByEventCount, RateByLastEvent
from patron.clickstream.training_rows import STARTED_AT, outcomes
from patron.estimators import classifiers
from patron.estimators.boosted_trees import fit_trees, tree_parameters
from patron.estimators.calibration import Calibration
from patron.estimators.classifiers import CalibratedClassifier, FittedTreeClassifier
from patron.estimators.learner import Learner
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

CALIBRATED_SHARE = 0.25
"""The newest share of the rows, by the start of their visits, that the calibration is learned from."""


class OrderModel(CalibratedClassifier):
    """A classifier that the service asks after each event."""

    def probability(self, row: Row) -> float:
        """The forecast of one row as `features_after` gives it."""
        return float(self.calibration.probability(self.scores(self.design.vector(row)))[0])


@dataclass(frozen=True, eq=False)
class FittedLogistic(OrderModel, classifiers.FittedLogistic, file="order_model.json", arrays="weights.npz"):
    """Weights of standardised, log-scaled numbers and of sequences of event types."""

    design: Design

    def scaled(self, matrix: Numbers) -> Numbers:
        """The matrix as its columns are standardised."""
        return _log_scaled(matrix)


@dataclass(frozen=True, eq=False)
class FittedBoosted(OrderModel, FittedTreeClassifier, file="order_model.json"):
    """Trees for log-odds, then calibration."""

    design: Design


@dataclass(frozen=True)
class LogisticOrder(Learner):
    """Logistic regression on counts, times and the last one, two and three event types, calibrated."""

    inverse_penalty: float = 0.05
    """scikit-learn's C: smaller shrinks more."""
    iterations: int = 200

    name: ClassVar[str] = "logistic"
    complexity: ClassVar[int] = 3
    fitted: ClassVar[type] = FittedLogistic

    def fit(self, table: pa.Table) -> FittedLogistic:
        """Fit to labelled rows. Raises NotEnoughData."""
        return _calibrated(table, self._fit)

    def _fit(self, rows: pa.Table) -> FittedLogistic:
        label, weight = outcomes(rows)
        design = Design.of(rows)
        settings = {"inverse_penalty": self.inverse_penalty, "iterations": self.iterations, "weight": weight}
        return FittedLogistic.of(design, _log_scaled(design.matrix(rows)), label, fills_with_median=False, **settings)


@dataclass(frozen=True)
class BoostedOrder(Learner):
    """LightGBM on the same columns, small trees, calibrated."""

    rounds: int = 100
    leaves: int = 8
    learning_rate: float = 0.06
    fewest_in_leaf: int = 80
    leaf_penalty: float = 10.0
    """L2 penalty on leaf values."""

    name: ClassVar[str] = "boosted_order"
    complexity: ClassVar[int] = 4
    fitted: ClassVar[type] = FittedBoosted

    def fit(self, table: pa.Table) -> FittedBoosted:
        """Fit to labelled rows. Raises NotEnoughData."""
        return _calibrated(table, self._fit)

    def _fit(self, rows: pa.Table) -> FittedBoosted:
        label, weight = outcomes(rows)
        design = Design.of(rows)
        settings = {"objective": "binary", "feature_fraction": 0.6, "max_bin": 63, **tree_parameters(self)}
        trees = fit_trees(design.matrix(rows), label, settings, rounds=self.rounds, weight=weight)
        return FittedBoosted(design, trees)


FittedOrder = TypeVar("FittedOrder", FittedLogistic, FittedBoosted)


def _calibrated(table: pa.Table, fit: Callable[[pa.Table], FittedOrder]) -> FittedOrder:
    """The model of all rows, calibrated by how one of the earlier visits did on the newest; unchanged with too few."""
    started = table[STARTED_AT].to_numpy()
    cut = np.quantile(started, 1 - CALIBRATED_SHARE)
    is_new = pa.array(started >= cut)
    earlier, newest = table.filter(pc.invert(is_new)), table.filter(is_new)
    whole = fit(table)
    try:
        label, weight = outcomes(newest)
        past = fit(earlier)
    except NotEnoughData:
        return whole
    log_odds = past.log_odds(newest)
    return replace(whole, calibration=Calibration.fit(log_odds, label, weight))


def _log_scaled(matrix: Numbers) -> Numbers:
    """Logarithm of one more than the numbers, which are counts and times, never below zero; sequences are 0 or 1."""
    numbers = np.log1p(np.maximum(matrix[:, : len(NUMBERS)], 0.0))
    return np.hstack([numbers, matrix[:, len(NUMBERS) :]])


LEARNERS = (
    BaseRate(),
    RateByEventCount(),
    RateByCartAndViews(),
    RateByLastEvent(),
    LogisticOrder(),
    BoostedOrder(),
)
