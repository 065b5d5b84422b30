"""How likely something is: logistic regression and boosted trees on a design's matrix, calibrated on other rows."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.boosted_trees import FittedTrees
from patron.estimators.calibration import Calibration
from patron.estimators.learner import forecasts
from patron.estimators.saving import SAME_FOLDER, Saved
from patron.schema.numbers import Numbers

MAX_Z_SCORE = 5.0
"""Standardised columns are kept within this many standard deviations: nobody is more extreme than that."""


class CalibratedClassifier(Saved):
    """Log-odds of a design's matrix, then calibration."""

    design: Any
    """Which columns of a table are seen: `names`, and `matrix(table)`, where what is missing is NaN."""
    calibration: Calibration

    @abstractmethod
    def scores(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix."""

    def log_odds(self, table: pa.Table) -> Numbers:
        """Log-odds before calibration."""
        return self.scores(self.design.matrix(table))

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the probability, 0 to 1."""
        return forecasts(self.calibration.probability(self.log_odds(table)))


@dataclass(frozen=True, eq=False)
class FittedLogistic(CalibratedClassifier):
    """Weights of standardised, log-scaled columns."""

    design: Any
    middle: Numbers
    spread: Numbers
    fill: Numbers | None
    """What stands in for a missing value: the median; None: the mean."""
    weights: Numbers
    intercept: float
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def of(  # noqa: PLR0913 - what a fit takes
        cls,
        design: Any,
        scaled: Numbers,
        label: npt.NDArray[Any],
        *,
        fills_with_median: bool,
        inverse_penalty: float,
        iterations: int,
        weight: Numbers | None = None,
    ) -> Self:
        """Fit to rows of the design's matrix that are log-scaled already."""
        middle, spread, fill = moments(scaled, fills_with_median=fills_with_median)
        columns = standardise(scaled, middle, spread, fill)
        weights, intercept = fit_weights(columns, label, inverse_penalty, iterations=iterations, weight=weight)
        return cls(design, middle, spread, fill, weights, intercept)

    def scaled(self, matrix: Numbers) -> Numbers:
        """The matrix as its columns are standardised."""
        return log_scaled(matrix)

    def scores(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix."""
        return self.scores_of_scaled(self.scaled(matrix))

    def scores_of_scaled(self, scaled: Numbers) -> Numbers:
        """The same of rows that are log-scaled already."""
        # why not `@`: BLAS sums in an order that depends on how many rows there are, and one must equal many
        return np.ascontiguousarray(self._columns(scaled) * self.weights).sum(axis=1) + self.intercept

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What each column adds to the log-odds, against the mean row; exact, as the model is linear."""
        columns = self._columns(self.scaled(self.design.matrix(table)))
        return self.design.names, columns * self.weights * self.calibration.slope

    def _columns(self, scaled: Numbers) -> Numbers:
        return standardise(scaled, self.middle, self.spread, self.fill)


@dataclass(frozen=True, eq=False)
class FittedTreeClassifier(CalibratedClassifier):
    """Trees for log-odds, then calibration."""

    design: Any
    trees: FittedTrees = field(metadata=SAME_FOLDER)
    calibration: Calibration = field(default_factory=Calibration)

    def scores(self, matrix: Numbers) -> Numbers:
        """Log-odds before calibration, of rows of the design's matrix."""
        return self.trees.raw(matrix)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """Exact Shapley values of each column, in log-odds."""
        values = self.trees.contributions(self.design.matrix(table))
        return self.design.names, values * self.calibration.slope


def fit_weights(
    columns: Numbers,
    label: npt.NDArray[Any],
    inverse_penalty: float,
    *,
    iterations: int,
    tolerance: float = 1e-3,
    weight: Numbers | None = None,
) -> tuple[Numbers, float]:
    """Weights and intercept of a ridge logistic regression; `inverse_penalty` is scikit-learn's C."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy: who only predicts must not wait

    model = LogisticRegression(C=inverse_penalty, max_iter=iterations, tol=tolerance)
    model.fit(columns, label, sample_weight=weight)
    return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])


def log_scaled(matrix: Numbers) -> Numbers:
    """Signed logarithm: amounts and counts spread over orders of magnitude."""
    return np.sign(matrix) * np.log1p(np.abs(matrix))


def moments(matrix: Numbers, *, fills_with_median: bool = False) -> tuple[Numbers, Numbers, Numbers | None]:
    """Mean and standard deviation of what is known in each column, and what stands in for the rest, if not the mean.

    A column where nothing is known has (0, 1), and a deviation of 0 is 1. With medians, rows are filled with the mean
    first, and count for all three.
    """
    is_missing = np.isnan(matrix)
    # why not nanmean: it warns of a column that nobody has a value of
    middle = np.nansum(matrix, axis=0) / np.maximum((~is_missing).sum(axis=0), 1)
    filled, fill = np.where(is_missing, middle, matrix), None
    if fills_with_median:
        fill = np.median(filled, axis=0)
        middle = filled.mean(axis=0)
        spread = filled.std(axis=0)
    else:
        spread = np.sqrt(((filled - middle) ** 2).sum(axis=0) / np.maximum((~is_missing).sum(axis=0), 1))
    return middle, np.where(spread > 0, spread, 1.0), fill


def standardise(matrix: Numbers, middle: Numbers, spread: Numbers, fill: Numbers | None) -> Numbers:
    """Columns in standard deviations from the mean, none far out, without missing values."""
    known = np.where(np.isnan(matrix), middle if fill is None else fill, matrix)
    return np.clip((known - middle) / spread, -MAX_Z_SCORE, MAX_Z_SCORE)
