"""A linear model of a mean, logistic for 0/1, whose penalty the data choose; the default base of every learner."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy

from patron.schema.numbers import Numbers

RATIOS = np.geomspace(1e-3, 1e2, 31)
"""Penalties that are tried, as a multiple of the number of rows: from hardly any to no slopes at all."""
LEAST_SHARE = 1e-4
"""Penalties less likely than this are left out of the average."""
MOST_STEPS = 25
SMALLEST_STEP = 1e-7
LEAST_VARIANCE = 1e-6
"""Of a 0/1 outcome at its mean: below, a row has no say about the slope."""


@dataclass(frozen=True, eq=False)
class FittedLinear:
    """Coefficients of a matrix's columns, with what is known of their errors."""

    intercept: float
    slopes: Numbers
    covariance: Numbers
    """Of intercept and slopes: sampling error that is robust to unequal variances, and the error of the penalty."""
    is_logistic: bool

    def predict(self, matrix: Numbers) -> Numbers:
        """Mean of the outcome, in its unit, one number a row."""
        line = matrix @ self.slopes + self.intercept
        return scipy.special.expit(line) if self.is_logistic else line

    def standard_error(self, matrix: Numbers) -> Numbers:
        """Standard error of `predict` of a linear mean, in the outcome's unit."""
        spread = matrix @ self.covariance[1:, 1:]
        variance = np.einsum("ij,ij->i", spread, matrix) + 2 * matrix @ self.covariance[1:, 0] + self.covariance[0, 0]
        return np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True)
class Linear:
    """Ridge regression, logistic for 0/1 outcomes; slopes are shrunk as far as the evidence of the data says."""

    name: ClassVar[str] = "linear"
    penalty: float | None = None
    """Pull of each slope towards 0, in rows of a standardised column; None: as the data say."""

    def fit(
        self,
        matrix: Numbers,
        outcome: Numbers,
        weight: Numbers | None = None,
        *,
        is_binary: bool = False,
        seed: int = 0,
    ) -> FittedLinear:
        """Fit a mean: least squares, or the logistic likelihood for 0/1; nothing here is random.

        Slopes count as drawn from a normal distribution. Least squares averages over its variance, the logistic fit
        takes the one with the largest marginal likelihood.
        """
        del seed
        weights = np.ones(len(outcome)) if weight is None else weight
        return self._logistic(matrix, outcome, weights) if is_binary else self._least_squares(matrix, outcome, weights)

    def _least_squares(self, matrix: Numbers, outcome: Numbers, weight: Numbers) -> FittedLinear:
        """Average over penalties, each as likely as the data say, and add how far apart they are to the covariance."""
        problem = _Problem.of(matrix, outcome, weight)
        penalties, shares = ([self.penalty], [1.0]) if self.penalty is not None else problem.likely_penalties()
        every = np.array([problem.solve(penalty) for penalty in penalties])
        coefficients = np.average(every, axis=0, weights=shares)
        error = outcome - matrix @ coefficients[1:] - coefficients[0]
        meat, squares = problem.squared_scores(matrix, weight * error), float((weight * error**2).sum())
        covariance = np.cov(every.T, aweights=shares, bias=True).reshape(len(every.T), -1)
        for penalty, share in zip(penalties, shares, strict=True):
            covariance += share * problem.covariance(meat, penalty, squares)
        return FittedLinear(float(coefficients[0]), coefficients[1:], covariance, is_logistic=False)

    def _logistic(self, matrix: Numbers, outcome: Numbers, weight: Numbers) -> FittedLinear:
        """Newton's steps as weighted least squares; the penalty is chosen again at each until it settles."""
        mean = np.clip(np.average(outcome, weights=weight), LEAST_VARIANCE, 1 - LEAST_VARIANCE)
        coefficients = np.zeros(matrix.shape[1] + 1)
        coefficients[0] = np.log(mean / (1 - mean))
        line, penalty = np.full(len(outcome), coefficients[0]), self.penalty
        problem = _working_problem(matrix, outcome, weight, line)
        for step in range(MOST_STEPS):
            if self.penalty is None and step < 3:  # why: it settles at once, and must stand still for Newton's steps
                penalty = problem.best_penalty()
            before, coefficients = coefficients, problem.solve(float(penalty or 0.0))
            line = matrix @ coefficients[1:] + coefficients[0]
            if abs(coefficients - before).max() < SMALLEST_STEP:
                break
            problem = _working_problem(matrix, outcome, weight, line)
        error = weight * (outcome - scipy.special.expit(line))
        meat = problem.squared_scores(matrix, error)
        covariance = problem.covariance(meat, float(penalty or 0.0), problem.weight_sum, scale=1.0)
        return FittedLinear(float(coefficients[0]), coefficients[1:], covariance, is_logistic=True)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Weighted least squares as sums over the rows, centred, so that the intercept has no penalty."""

    centre: Numbers
    outcome_mean: float
    weight_sum: float
    roots: Numbers
    axes: Numbers
    """Eigenvalues and eigenvectors of the centred cross product."""
    projected: Numbers
    """Cross product with the outcome, along the axes."""
    total: float
    """Weighted sum of squares of the outcome about its mean."""
    row_count: int

    @classmethod
    def of(cls, matrix: Numbers, outcome: Numbers, weight: Numbers) -> Self:
        """Sum over the rows."""
        weight_sum = float(weight.sum())
        weighted = matrix * weight[:, None]
        centre = weighted.sum(axis=0) / weight_sum
        mean = float(weight @ outcome) / weight_sum
        cross = matrix.T @ weighted - weight_sum * np.outer(centre, centre)
        with_outcome = weighted.T @ outcome - weight_sum * centre * mean
        roots, axes = np.linalg.eigh(cross)
        total = float(weight @ (outcome - mean) ** 2)
        roots = np.where(roots > 1e-10 * max(roots.max(initial=0.0), 1e-300), roots, 0.0)
        return cls(centre, mean, weight_sum, roots, axes, axes.T @ with_outcome, total, len(outcome))

    def best_penalty(self) -> float:
        """The penalty with the largest marginal likelihood, of errors of variance 1."""
        penalties, misfits = self._misfits(error_variance=1.0)
        return float(penalties[np.argmin(misfits)])

    def likely_penalties(self) -> tuple[Numbers, Numbers]:
        """Penalties with their posterior shares, each as likely beforehand; errors' variance is estimated."""
        penalties, misfits = self._misfits(error_variance=None)
        shares = np.exp((misfits.min() - misfits) / 2)
        is_likely = shares > LEAST_SHARE * shares.sum()
        return penalties[is_likely], shares[is_likely] / shares[is_likely].sum()

    def _misfits(self, error_variance: float | None) -> tuple[Numbers, Numbers]:
        """Penalties, and minus twice the logarithm of the marginal likelihood of each."""
        penalties = RATIOS * self.weight_sum
        used = self.roots > 0
        roots = self.roots[used]
        if not len(roots) or not self.total:
            return penalties[-1:], np.zeros(1)
        scores = self.projected[used] ** 2 / roots
        spread = 1 + roots[None, :] / penalties[:, None]
        rest = max(self.total - scores.sum(), 1e-12 * self.total)
        fit = rest + (scores[None, :] / spread).sum(axis=1)
        misfit = (self.row_count - 1) * np.log(fit) if error_variance is None else fit / error_variance
        return penalties, misfit + np.log(spread).sum(axis=1)

    def solve(self, penalty: float) -> Numbers:
        """Intercept and slopes."""
        slopes = self.axes @ (self.projected * self._inverse(penalty))
        return np.r_[self.outcome_mean - self.centre @ slopes, slopes]

    def _inverse(self, penalty: float) -> Numbers:
        return np.divide(1.0, self.roots + penalty, out=np.zeros_like(self.roots), where=self.roots + penalty > 0)

    def squared_scores(self, matrix: Numbers, score: Numbers) -> Numbers:
        """Sum over rows of the squared derivatives by intercept and slopes, of centred columns."""
        weighted = np.column_stack([score, (matrix - self.centre) * score[:, None]])
        return weighted.T @ weighted

    def covariance(self, meat: Numbers, penalty: float, squares: float, scale: float | None = None) -> Numbers:
        """Of intercept and slopes: B (sum of squared scores + penalty x variance x identity) B, B the inverse Hessian.

        The first part is White's, robust to unequal variances; the second is the mean square of what the penalty takes
        from slopes that are drawn as it assumes, which makes intervals cover on average over customers.
        """
        count = len(self.centre)
        free = max(self.row_count - 1.0 - float((self.roots * self._inverse(penalty)).sum()), 1.0)
        variance = squares / free if scale is None else scale
        meat = meat * (self.row_count / free)
        meat[1:, 1:] += penalty * variance * np.eye(count)
        bread = np.zeros((count + 1, count + 1))
        bread[0, 0] = 1 / self.weight_sum
        bread[1:, 1:] = (self.axes * self._inverse(penalty)) @ self.axes.T
        centred = bread @ meat @ bread
        shift = np.eye(count + 1)
        shift[0, 1:] = -self.centre  # why: the intercept of a matrix that is not centred
        return shift @ centred @ shift.T


def _working_problem(matrix: Numbers, outcome: Numbers, weight: Numbers, line: Numbers) -> _Problem:
    """Least squares whose solution is Newton's next step from log odds `line`."""
    chance = scipy.special.expit(line)
    variance = np.maximum(chance * (1 - chance), LEAST_VARIANCE)
    return _Problem.of(matrix, line + (outcome - chance) / variance, weight * variance)
