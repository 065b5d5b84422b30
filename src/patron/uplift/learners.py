"""Learners of effects: S, T, X, R and DR, over any model of a mean."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from patron.schema.numbers import Numbers
from patron.uplift.base_learners import base_learner
from patron.uplift.cross_fitting import Folds, fit_mean
from patron.uplift.doubly_robust import doubly_robust_scores, outcome_means
from patron.uplift.effect_learner import EffectLearner, Problem
from patron.uplift.effect_model import ArmMean, EffectModel


@dataclass(frozen=True)
class SLearner(EffectLearner):
    """One model of the outcome, the arm among its features (for a linear base also its products with them)."""

    name: ClassVar[str] = "s"
    base: Any = "linear"

    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays."""
        base, trial = base_learner(self.base), problem.trial
        arms = len(trial.arms)
        with_products = base.name == "linear"
        design = ArmMean.design(problem.matrix, trial.arm, arms, with_products=with_products)
        model = fit_mean(base, design, trial.outcome, is_binary=trial.kind == "binary", seed=problem.seed)
        means = tuple(ArmMean(model, at, arms, with_products) for at in range(arms))
        return EffectModel(means, _differences(arms))


@dataclass(frozen=True)
class TLearner(EffectLearner):
    """A model of the outcome for each arm; an effect is the difference from the control's."""

    name: ClassVar[str] = "t"
    base: Any = "linear"

    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays."""
        return EffectModel(problem.arm_models(base_learner(self.base)), _differences(len(problem.trial.arms)))


@dataclass(frozen=True)
class XLearner(EffectLearner):
    """Effects imputed from the other arm's model, then modelled (Kuenzel et al. 2019)."""

    name: ClassVar[str] = "x"
    base: Any = "linear"

    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays; the two models of an offer are mixed by the shares of the arms."""
        base, trial = base_learner(self.base), problem.trial
        means = problem.arm_models(base)
        is_control = trial.arm == 0
        models, weights = [], np.zeros((len(trial.offers), 2 * len(trial.offers)))
        for at in range(1, len(trial.arms)):
            is_offer = trial.arm == at
            offered, others = problem.matrix[is_offer], problem.matrix[is_control]
            gained = trial.outcome[is_offer] - means[0].predict(offered)
            missed = means[at].predict(others) - trial.outcome[is_control]
            share = trial.shares[at] / (trial.shares[at] + trial.shares[0])
            for rows, effect, weight in ((offered, gained, 1 - share), (others, missed, share)):
                weights[at - 1, len(models)] = weight
                models.append(base.fit(rows, effect, seed=problem.seed))
        return EffectModel(tuple(models), weights)


@dataclass(frozen=True)
class RLearner(EffectLearner):
    """Errors of the outcome on errors of the arm, offer by offer next to the control (Nie and Wager 2021)."""

    name: ClassVar[str] = "r"
    is_orthogonal: ClassVar[bool] = True
    base: Any = "linear"

    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays."""
        base, trial = base_learner(self.base), problem.trial
        models = []
        for at in range(1, len(trial.arms)):
            rows = (trial.arm == 0) | (trial.arm == at)
            pair, matrix = trial.take(rows), problem.matrix[rows]
            folds = Folds.of(pair.arm, problem.seed)
            mean = folds.predict(base, matrix, pair.outcome, is_binary=trial.kind == "binary")
            chances = problem.chances.values[rows]
            error = (pair.arm == at) - chances[:, at] / (chances[:, 0] + chances[:, at])
            models.append(base.fit(matrix, (pair.outcome - mean) / error, error**2, seed=problem.seed))
        return EffectModel(tuple(models), np.eye(len(trial.offers)))


@dataclass(frozen=True)
class DRLearner(EffectLearner):
    """Differences of doubly robust scores, modelled (Kennedy 2023)."""

    name: ClassVar[str] = "dr"
    is_orthogonal: ClassVar[bool] = True
    base: Any = "linear"
    final: Any = None
    """Model of the effects; None: as `base`."""

    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays."""
        base = base_learner(self.base)
        final = base if self.final is None else base_learner(self.final)
        folds = Folds.of(problem.trial.arm, problem.seed)
        means = outcome_means(problem.trial, problem.matrix, base, folds)
        scores = doubly_robust_scores(problem.trial, means, problem.chances)
        models = tuple(
            final.fit(problem.matrix, scores[:, at] - scores[:, 0], seed=problem.seed)
            for at in range(1, len(problem.trial.arms))
        )
        return EffectModel(models, np.eye(len(models)))


def _differences(arms: int) -> Numbers:
    """Weights that take the control's model from each offer's."""
    return np.column_stack([-np.ones(arms - 1), np.eye(arms - 1)])
