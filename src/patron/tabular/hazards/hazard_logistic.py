"""Logistic hazards: the log-odds of leaving are a smooth function of time plus a weight for each column."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.hazards.life_table import LifeTable
from patron.tabular.hazards.person_periods import PersonPeriods
from patron.tabular.learners.standardising import Standardising

Matrix = npt.NDArray[np.float32]
ROWS_AT_ONCE = 50_000
MAX_STEPS = 50
MIN_STEP = 1e-9


@dataclass(frozen=True, eq=False)
class FittedHazardLogistic:
    """Weights of standardised columns and of the curve in time."""

    features: Standardising
    time: Standardising
    weights: Numbers
    """One for each standardised column, then of the curve in time, then the intercept."""
    standard_errors: Numbers
    centre: Numbers
    """Mean of the columns over the person-periods that were learned from."""
    longest_period: int

    kind: ClassVar[str] = "logistic"

    def hazard(self, matrix: Numbers | Matrix, periods: Index, ahead: Index | None) -> Numbers:
        """Probability of leaving in the period, 0 to 1, for each row."""
        return expit(self._columns(matrix, periods, ahead) @ self.weights)

    def contributions(self, matrix: Numbers | Matrix, periods: Index, ahead: Index | None) -> tuple[Numbers, float]:
        """Shapley values of the log-odds, the last column time; and where they start: at a mean person-period."""
        parts = (self._columns(matrix, periods, ahead) - self.centre) * self.weights
        of_features = parts[:, : len(self.features.middle)]
        sources = self._sources(matrix.shape[1])
        summed = np.zeros((len(periods), matrix.shape[1] + 1))
        for at, source in enumerate(sources):
            summed[:, source] += of_features[:, at]
        summed[:, -1] = parts[:, len(sources) :].sum(axis=1)
        return summed, float(self.centre @ self.weights)

    def facts(self) -> Mapping[str, str]:
        """What a summary shows."""
        return {"effects": "factor on the odds of leaving for one standard deviation more"}

    def effects(self, names: tuple[str, ...]) -> Mapping[str, list[Any]]:
        """Odds ratio of one standard deviation of each column, with its 95 % interval."""
        sources = self._sources(len(names))
        weights, errors = self.weights[: len(sources)], self.standard_errors[: len(sources)]
        reach = float(norm.isf(0.025)) * errors
        return {
            "column": [names[source] for source in sources],
            "is_missing_mark": [at >= len(names) for at in range(len(sources))],
            "odds_ratio": np.exp(weights).tolist(),
            "standard_error": errors.tolist(),
            "low_95": np.exp(weights - reach).tolist(),
            "high_95": np.exp(weights + reach).tolist(),
        }

    def _sources(self, width: int) -> list[int]:
        """The matrix's column that each standardised column comes from."""
        return [*range(width), *self.features.has_missing]

    def _columns(self, matrix: Numbers | Matrix, periods: Index, ahead: Index | None) -> Numbers:
        return _columns(self.features, self.time, matrix, _clocks(periods, ahead, self.longest_period))


@dataclass(frozen=True)
class HazardLogistic:
    """Logistic regression on person-periods with a curve in time; hazards of two customers keep their odds ratio."""

    penalty: float = 1.0
    """Of the squared weight of a column with a standard deviation of 1, in nats."""

    name: ClassVar[str] = "logistic"

    def fit(
        self,
        matrix: Matrix,
        rows: PersonPeriods,
        life_table: LifeTable,
        *,
        has_landmarks: bool,
        seed: int,  # noqa: ARG002 - the protocol's signature
    ) -> FittedHazardLogistic:
        """Newton's steps to the largest penalised likelihood; person-periods are looked at some at a time."""
        longest = life_table.longest_period
        clocks = _clocks(rows.periods, rows.ahead if has_landmarks else None, longest)
        features = Standardising.of(matrix.astype(np.float64), is_curved=False)
        time = Standardising.of(clocks, is_curved=True)
        ridge = np.append(np.full(len(features.middle) + len(time.middle), self.penalty), 0.0)
        weights = np.zeros(len(ridge))
        happened = float(rows.label @ rows.weight / rows.weight.sum())
        weights[-1] = np.log(happened) - np.log1p(-min(happened, 1 - 1e-9))

        def blocks() -> Iterator[tuple[Numbers, slice]]:
            for start in range(0, len(clocks), ROWS_AT_ONCE):
                some = slice(start, start + ROWS_AT_ONCE)
                yield _columns(features, time, matrix[rows.rows[some]], clocks[some]), some

        with threadpool_limits(1):  # why: sums must not depend on the machine
            weights, curvature = _newton(weights, ridge, blocks, rows)
            total = sum(rows.weight[some] @ columns for columns, some in blocks()) / rows.weight.sum()
            errors = np.sqrt(np.diag(np.linalg.pinv(curvature)))
        return FittedHazardLogistic(
            features, time, weights=weights, standard_errors=errors, centre=np.asarray(total), longest_period=longest
        )


def _newton(weights: Numbers, ridge: Numbers, blocks: Any, rows: PersonPeriods) -> tuple[Numbers, Numbers]:
    """The weights, and the curvature of the penalised loss at them; a step that does not help is halved."""
    loss, slope, curvature = _derivatives(weights, ridge, blocks, rows)
    for _ in range(MAX_STEPS):
        step = cho_solve(cho_factor(curvature + 1e-9 * np.eye(len(ridge))), slope)
        if np.abs(step).max() < MIN_STEP:
            break
        for _ in range(20):
            tried = _derivatives(weights - step, ridge, blocks, rows)
            if tried[0] <= loss:
                break
            step = step / 2
        else:
            break
        weights = weights - step
        is_done = loss - tried[0] < 1e-10 * max(loss, 1.0)
        loss, slope, curvature = tried
        if is_done:
            break
    return weights, curvature


def _derivatives(weights: Numbers, ridge: Numbers, blocks: Any, rows: PersonPeriods) -> tuple[float, Numbers, Numbers]:
    loss = float(ridge @ weights**2) / 2
    slope, curvature = ridge * weights, np.diag(ridge)
    for columns, some in blocks():
        z = columns @ weights
        label = rows.label[some]
        weight = rows.weight[some]
        probability = expit(z)
        loss += float(weight @ (np.logaddexp(0, z) - label * z))
        slope = slope + columns.T @ (weight * (probability - label))
        curvature = curvature + columns.T @ (columns * (weight * probability * (1 - probability))[:, None])
    return loss, slope, curvature


def _clocks(periods: Index, ahead: Index | None, longest: int) -> Numbers:
    """The number of the period, and how many ahead it is; as numbers, a column each."""
    times = np.minimum(periods, longest).astype(np.float64)
    return times[:, None] if ahead is None else np.column_stack([times, ahead.astype(np.float64)])


def _columns(features: Standardising, time: Standardising, matrix: Numbers | Matrix, clocks: Numbers) -> Numbers:
    return np.hstack([features.apply(matrix.astype(np.float64)), time.apply(clocks), np.ones((len(clocks), 1))])
