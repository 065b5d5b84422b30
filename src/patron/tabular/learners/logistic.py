"""Logistic regression with bends and with the pairs of columns that the residuals ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm

from patron.estimators.classifiers import fit_weights
from patron.schema.numbers import Numbers
from patron.tabular.learners.classifier import Classifier
from patron.tabular.learners.standardising import Standardising

FALSE_ALARM = 0.01
"""Chance that a screen lets in any pair when no pair matters."""
Pairs = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class FittedLogistic:
    """Weights of standardised columns and of products of two of them."""

    standardising: Standardising
    pairs: Pairs
    weights: Numbers
    intercept: float

    def predict(self, matrix: Numbers) -> Numbers:
        """Probability of a positive."""
        return expit(_with_pairs(self.standardising.apply(matrix), self.pairs) @ self.weights + self.intercept)


@dataclass(frozen=True)
class Logistic(Classifier):
    """Logistic regression whose interactions are screened: few, and only where they are far beyond chance."""

    inverse_penalty: float = 0.03
    """scikit-learn's C: smaller shrinks more."""
    most_pairs: int = 12

    name: ClassVar[str] = "logistic"
    complexity: ClassVar[int] = 2
    trials: ClassVar[int] = 4
    most_rows: ClassVar[int] = 200_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedLogistic:  # noqa: ARG002 - the protocol's signature
        """Fit, look for pairs in the residuals, and fit again with them."""
        standardising = Standardising.of(matrix, is_curved=True)
        columns = standardising.apply(matrix)
        weights, intercept = self._fit(columns, label)
        pairs = _screened_pairs(columns, label, expit(columns @ weights + intercept), self.most_pairs)
        if len(pairs):
            weights, intercept = self._fit(_with_pairs(columns, pairs), label)
        return FittedLogistic(standardising, pairs, weights, intercept)

    def suggest(self, trial: Any) -> Self:
        """Vary the penalty."""
        return replace(self, inverse_penalty=trial.suggest_float("inverse_penalty", 0.003, 1.0, log=True))

    def _fit(self, columns: Numbers, label: Numbers) -> tuple[Numbers, float]:
        return fit_weights(columns, label, self.inverse_penalty, iterations=500, tolerance=1e-4)


def _screened_pairs(columns: Numbers, label: Numbers, probability: Numbers, most: int) -> Pairs:
    """Pairs whose product is correlated with what the model left unexplained, by a score test, the strongest first."""
    width = columns.shape[1]
    residual, weight = label - probability, probability * (1 - probability)
    scores = (columns * residual[:, None]).T @ columns
    spread = np.sqrt((columns**2 * weight[:, None]).T @ columns**2)
    first, second = np.triu_indices(width, 1)
    size = np.abs(np.divide(scores, spread, out=np.zeros_like(scores), where=spread > 0))[first, second]
    limit = norm.isf(FALSE_ALARM / (2 * max(len(size), 1)))
    strongest = [at for at in np.argsort(-size, kind="stable")[:most] if size[at] > limit]
    return np.column_stack([first[strongest], second[strongest]])


def _with_pairs(columns: Numbers, pairs: Pairs) -> Numbers:
    return np.hstack([columns, columns[:, pairs[:, 0]] * columns[:, pairs[:, 1]]]) if len(pairs) else columns
