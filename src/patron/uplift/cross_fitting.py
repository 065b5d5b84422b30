"""Predictions for rows that a model has not learned from: every fold is predicted from the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers
from patron.uplift.base_learners import BaseLearner, FittedMean
from patron.uplift.trial import Codes

FOLDS = 5


@dataclass(frozen=True, eq=False)
class Folds:
    """Number of each row's fold."""

    fold: Codes
    seed: int

    @classmethod
    def of(cls, arm: Codes, seed: int) -> Self:
        """Shuffle the rows of each arm into `FOLDS` folds."""
        rng = np.random.default_rng(seed)
        fold = np.empty(len(arm), dtype=np.int64)
        for at in range(int(arm.max(initial=-1)) + 1):
            rows = np.flatnonzero(arm == at)
            fold[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
        return cls(fold, seed)

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
        """Rows to learn from and rows to predict, as masks, fold by fold."""
        for index in range(FOLDS):
            is_predicted = self.fold == index
            yield ~is_predicted, is_predicted

    def predict(
        self,
        base: BaseLearner,
        matrix: Numbers,
        outcome: Numbers,
        rows: npt.NDArray[np.bool_] | None = None,
        *,
        is_binary: bool,
    ) -> Numbers:
        """Mean of an outcome for all rows, learned from `rows` of the other folds."""
        predicted = np.empty(len(matrix))
        for learned, held in self:
            used = learned if rows is None else learned & rows
            model = fit_mean(base, matrix[used], outcome[used], is_binary=is_binary, seed=self.seed)
            predicted[held] = model.predict(matrix[held])
        return predicted


def fit_mean(base: BaseLearner, matrix: Numbers, outcome: Numbers, *, is_binary: bool, seed: int) -> FittedMean:
    """Fit a base; an outcome without variation is a least-squares one, which every base takes."""
    return base.fit(matrix, outcome, None, is_binary=is_binary and bool(np.ptp(outcome) > 0), seed=seed)
