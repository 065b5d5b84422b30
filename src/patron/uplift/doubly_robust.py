"""Doubly robust scores: what each customer would have brought in each arm, right on average."""

import numpy as np

from patron.schema.numbers import Numbers
from patron.uplift.base_learners import BaseLearner
from patron.uplift.cross_fitting import Folds
from patron.uplift.propensities import Propensities
from patron.uplift.trial import Trial


def outcome_means(trial: Trial, matrix: Numbers, base: BaseLearner, folds: Folds) -> Numbers:
    """Expected outcome of each row in each arm, in the outcome's unit, cross-fitted: rows x arms."""
    is_binary = trial.kind == "binary"
    columns = [
        folds.predict(base, matrix, trial.outcome, trial.arm == at, is_binary=is_binary)
        for at in range(len(trial.arms))
    ]
    return np.column_stack(columns)


def doubly_robust_scores(trial: Trial, means: Numbers, chances: Propensities) -> Numbers:
    """Expected outcomes plus, in the arm that the row got, its error / probability: rows x arms.

    The mean of an arm's scores is the mean outcome had all been in that arm, if either the means or the probabilities
    are right (Robins, Rotnitzky and Zhao 1994).
    """
    place = np.arange(len(trial.arm))
    scores = means.copy()
    error = trial.outcome - means[place, trial.arm]
    scores[place, trial.arm] += error / chances.of_arm(trial)
    return scores
