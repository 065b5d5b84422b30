"""Learners of probabilities from a matrix, and how a search tries their settings."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from patron.estimators.learner import Learner, Predictor
from patron.schema.numbers import Numbers

MAX_LOG_ODDS = 12.0


class Classifier(Learner, Protocol):
    """Settings of a model that gives probabilities; without more, nothing is searched."""

    trials: ClassVar[int] = 0
    """Settings that a search tries; 0 where nothing is searched."""
    most_rows: ClassVar[int]
    """More rows than these are sampled before the fit."""

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> Predictor:
        """Fit to rows (NaN is missing) and their labels, 0 or 1; `sources` is the table's column of each column.

        What is fitted predicts the probability of a positive, 0 to 1, for each row of a matrix.
        """
        ...

    def suggest(self, trial: Any) -> Self:  # noqa: ARG002 - learners that are searched vary their settings
        """Settings that an Optuna trial proposes."""
        return self

    def for_trial(self) -> Self:
        """A cheaper version, to tell settings apart; the learner itself where it is cheap."""
        return self


def log_odds(probability: Numbers) -> Numbers:
    """Log-odds, kept finite."""
    kept = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.clip(np.log(kept) - np.log1p(-kept), -MAX_LOG_ODDS, MAX_LOG_ODDS)
