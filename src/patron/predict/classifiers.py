"""How likely something is, from all features: logistic regression and boosted trees, calibrated on other customers."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators import classifiers
from patron.estimators.boosted_trees import BinnedMatrix, FittedTrees, Rows, Trees
from patron.estimators.classifiers import FittedTreeClassifier, log_scaled
from patron.estimators.learner import LABEL, Learner, labelled
from patron.predict.calibration import fit_calibration
from patron.predict.feature_matrix import Design
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column


@dataclass(frozen=True, eq=False)
class FittedLogistic(classifiers.FittedLogistic, file="chance.json", arrays="weights.npz"):
    """Weights of standardised, log-scaled features."""

    design: Design


@dataclass(frozen=True)
class Logistic(Learner):
    """Logistic regression on log-scaled, standardised features, a probability."""

    inverse_penalty: float = 0.1
    """scikit-learn's C: smaller shrinks more."""
    iterations: int = 200
    columns: tuple[str, ...] = ()
    """The features that it knows; all of them where this is empty."""
    is_calibrated_on_newest: bool = True
    """Whether only the newest cutoff calibrates, as where the labels of cutoffs share outcomes; otherwise all do."""

    name: ClassVar[str] = "logistic"
    complexity: ClassVar[int] = 1
    fitted: ClassVar[type] = FittedLogistic

    def fit(self, table: pa.Table) -> FittedLogistic:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        rows = labelled(table)
        label = _both_outcomes(rows)
        design = Design.of(rows.select([*self.columns, LABEL]) if self.columns else rows)
        scaled = log_scaled(design.matrix(rows))

        def log_odds(fitted: Rows, others: Rows) -> Numbers:
            return self._fit(design, scaled[fitted], label[fitted]).scores_of_scaled(scaled[others])

        calibration = fit_calibration(rows, log_odds, is_on_newest=self.is_calibrated_on_newest)
        return replace(self._fit(design, scaled, label), calibration=calibration)

    def _fit(self, design: Design, scaled: Numbers, label: Numbers) -> FittedLogistic:
        settings = {"inverse_penalty": self.inverse_penalty, "iterations": self.iterations}
        return FittedLogistic.of(design, scaled, label, fills_with_median=True, **settings)


@dataclass(frozen=True)
class RfmLogistic(Logistic):
    """Logistic regression on recency, frequency and amount paid, and how old they are, a probability.

    With the few outcomes of a young shop, a hundred features are more noise than these five.
    """

    columns: tuple[str, ...] = (
        "days_since_last_order",
        "order_day_count_lifetime",
        "paid_cents_lifetime",
        "days_since_first_order",
        "days_from_first_to_last_order",
    )

    name: ClassVar[str] = "logistic_rfm"


@dataclass(frozen=True, eq=False)
class FittedChance(FittedTreeClassifier, file="chance.json"):
    """Trees for log-odds, then calibration."""

    design: Design
    base: float = 0.0
    """Log-odds of the base rate, where the trees start."""

    def scores(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix."""
        return self.base + self.trees.raw(matrix)


@dataclass(frozen=True)
class BoostedChance(Learner):
    """LightGBM with log loss, a probability."""

    trees: Trees = field(default_factory=lambda: Trees(rounds=80))
    is_calibrated_on_newest: bool = True
    """Whether only the newest cutoff calibrates, as where the labels of cutoffs share outcomes; otherwise all do."""

    name: ClassVar[str] = "boosted_chance"
    complexity: ClassVar[int] = 2
    fitted: ClassVar[type] = FittedChance

    def fit(self, table: pa.Table) -> FittedChance:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        rows = labelled(table)
        label = _both_outcomes(rows)
        design = Design.of(rows)
        binned = BinnedMatrix(design.matrix(rows))

        def log_odds(fitted: Rows, others: Rows) -> Numbers:
            trees, base = self._fit(binned, label, fitted)
            return base + trees.raw(binned.values[others])

        calibration = fit_calibration(rows, log_odds, is_on_newest=self.is_calibrated_on_newest)
        trees, base = self._fit(binned, label, None)
        return FittedChance(design, trees, calibration, base)

    def _fit(self, binned: BinnedMatrix, label: Numbers, rows: Rows | None) -> tuple[FittedTrees, float]:
        """Trees, and the log-odds of the base rate where they start."""
        label = label if rows is None else label[rows]
        base = float(np.log(label.mean()) - np.log1p(-label.mean()))
        objective = {"objective": "binary", "boost_from_average": False}
        return self.trees.fit(binned, label, objective, start=np.full(len(label), base), rows=rows), base


def _both_outcomes(rows: pa.Table) -> Numbers:
    """The labels. Raises NotEnoughData when only one outcome was ever seen."""
    label = float_column(rows, LABEL)
    if label.min() == label.max():
        raise NotEnoughData("only one outcome was ever seen", where="training", todo="Import a longer history.")
    return label
