"""How likely something is, from all features: logistic regression and boosted trees, calibrated on other customers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from patron.clv.boosted_trees import BinnedMatrix, FittedTrees, Rows, Trees
from patron.predict.calibration import fit_calibration
from patron.predict.feature_matrix import Design
from patron.predict.learner import LABEL, forecasts, labelled
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json, write_json
from patron.schema.models.calibration import Calibration
from patron.schema.numbers import Numbers, float_column

SAVED = "chance.json"
WEIGHTS = "weights.npz"
FARTHEST = 5.0
"""Standardised features are kept within this many standard deviations: nobody is more extreme than that."""


@dataclass(frozen=True, eq=False)
class FittedLogistic:
    """Weights of standardised, log-scaled features."""

    design: Design
    middle: Numbers
    spread: Numbers
    fill: Numbers
    """What stands in for a missing value: the median."""
    weights: Numbers
    intercept: float
    calibration: Calibration

    def log_odds(self, table: pa.Table) -> Numbers:
        """Log-odds before calibration."""
        return self.log_odds_of(_log_scaled(self.design.matrix(table)))

    def log_odds_of(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix, log-scaled."""
        known = _standardise(matrix, self.fill, self.middle, self.spread)
        # why not `@`: BLAS sums in an order that depends on how many rows there are, and one must equal many.
        return np.ascontiguousarray(known * self.weights).sum(axis=1) + self.intercept

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the probability, 0 to 1."""
        return forecasts(self.calibration.probability(self.log_odds(table)))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What each feature adds to the log-odds, against the mean customer; exact, as the model is linear."""
        matrix = _log_scaled(self.design.matrix(table))
        known = _standardise(matrix, self.fill, self.middle, self.spread)
        return self.design.names, known * self.weights * self.calibration.slope

    def save(self, folder: Path) -> None:
        """Write weights as npz and the rest as JSON."""
        np.savez(folder / WEIGHTS, middle=self.middle, spread=self.spread, fill=self.fill, weights=self.weights)
        content = {"design": self.design.saved(), "intercept": self.intercept, "calibration": self.calibration.saved()}
        write_json(folder / SAVED, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in ("middle", "spread", "fill", "weights")}
        calibration = Calibration(**saved["calibration"])
        return cls(Design.restored(saved["design"]), **parts, intercept=saved["intercept"], calibration=calibration)


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on log-scaled, standardised features, a probability."""

    inverse_penalty: float = 0.1
    """scikit-learn's C: smaller shrinks more."""
    iterations: int = 200
    columns: tuple[str, ...] = ()
    """The features that it knows; all of them where this is empty."""
    is_calibrated_on_newest: bool = True
    """Whether only the newest cutoff calibrates, as where the labels of cutoffs share outcomes; otherwise all do."""

    name: ClassVar[str] = "logistic"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 1
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedLogistic

    def fit(self, table: pa.Table) -> FittedLogistic:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        rows = labelled(table)
        label = _both_outcomes(rows)
        design = Design.of(rows.select([*self.columns, LABEL]) if self.columns else rows)
        matrix = _log_scaled(design.matrix(rows))

        def log_odds(fitted: Rows, others: Rows) -> Numbers:
            return self._fit(design, matrix[fitted], label[fitted], Calibration()).log_odds_of(matrix[others])

        calibration = fit_calibration(rows, log_odds, is_on_newest=self.is_calibrated_on_newest)
        return self._fit(design, matrix, label, calibration)

    def _fit(self, design: Design, matrix: Numbers, label: Numbers, calibration: Calibration) -> FittedLogistic:
        is_missing = np.isnan(matrix)
        # why not nanmean: it warns of a column that nobody has a value of
        means = np.nansum(matrix, axis=0) / np.maximum((~is_missing).sum(axis=0), 1)
        known = np.where(is_missing, means, matrix)
        fill, middle, spread = np.median(known, axis=0), known.mean(axis=0), known.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        model = LogisticRegression(C=self.inverse_penalty, max_iter=self.iterations, tol=1e-3)
        model.fit(_standardise(matrix, fill, middle, spread), label)
        return FittedLogistic(
            design, middle, spread, fill, np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]), calibration
        )


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


@dataclass(frozen=True)
class FittedChance:
    """Trees for log-odds, then calibration."""

    design: Design
    trees: FittedTrees
    base: float
    """Log-odds of the base rate, where the trees start."""
    calibration: Calibration

    def log_odds(self, table: pa.Table) -> Numbers:
        """Log-odds before calibration."""
        return self.base + self.trees.raw(self.design.matrix(table))

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the probability, 0 to 1."""
        return forecasts(self.calibration.probability(self.log_odds(table)))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """Exact Shapley values of each feature, in log-odds."""
        values = self.trees.contributions(self.design.matrix(table))
        return self.design.names, values * self.calibration.slope

    def save(self, folder: Path) -> None:
        """Write trees as LightGBM's text and the rest as JSON."""
        self.trees.save(folder)
        content = {"design": self.design.saved(), "base": self.base, "calibration": self.calibration.saved()}
        write_json(folder / SAVED, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        calibration = Calibration(**saved["calibration"])
        return cls(Design.restored(saved["design"]), FittedTrees.load(folder), saved["base"], calibration)


@dataclass(frozen=True)
class BoostedChance:
    """LightGBM with log loss, a probability."""

    trees: Trees = field(default_factory=lambda: Trees(rounds=80))
    is_calibrated_on_newest: bool = True
    """Whether only the newest cutoff calibrates, as where the labels of cutoffs share outcomes; otherwise all do."""

    name: ClassVar[str] = "boosted_chance"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 2
    exemptions: ClassVar[Mapping[str, str]] = {}
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
        return FittedChance(design, *self._fit(binned, label, None), calibration)

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


def _log_scaled(matrix: Numbers) -> Numbers:
    """Signed logarithm: amounts and counts spread over orders of magnitude."""
    return np.sign(matrix) * np.log1p(np.abs(matrix))


def _standardise(matrix: Numbers, fill: Numbers, middle: Numbers, spread: Numbers) -> Numbers:
    known = np.where(np.isnan(matrix), fill, matrix)
    return np.clip((known - middle) / spread, -FARTHEST, FARTHEST)
