"""Segments that a person can read: a small tree of effects, grown on one half of the rows and measured on the other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patron.schema.numbers import Numbers
from patron.uplift.cross_fitting import Folds
from patron.uplift.doubly_robust import doubly_robust_scores, outcome_means
from patron.uplift.effect_learner import EffectLearner, Problem
from patron.uplift.effect_model import EffectModel
from patron.uplift.leaf_effects import Condition, LeafEffects, rule_holds
from patron.uplift.linear_model import Linear

THRESHOLDS = 31
"""Quantiles of a column at which it may be split."""


@dataclass(frozen=True)
class UpliftTree(EffectLearner):
    """A few segments of different effects, with honest intervals (Athey and Imbens 2016).

    Splits are those that spread doubly robust scores most; a split must be significant in the rows that grow the tree.
    """

    name: ClassVar[str] = "tree"
    is_orthogonal: ClassVar[bool] = True
    depth: int = 3
    least_rows: int = 200
    """Of each half of the rows, in a segment."""
    least_gap: float = 3.0
    """Standard errors by which effects on both sides of a split must differ: the best of many splits is lucky."""

    def fit_effects(self, problem: Problem) -> EffectModel:
        """Fit on arrays."""
        base, trial = Linear(), problem.trial
        means = outcome_means(trial, problem.matrix, base, Folds.of(trial.arm, problem.seed))
        scores = doubly_robust_scores(trial, means, problem.chances)
        gains = scores[:, 1:] - scores[:, :1]
        grows = np.random.default_rng(problem.seed).random(len(gains)) < 0.5
        rules = self._grow(problem.matrix[grows], gains[grows], (), self.depth)
        held, values = problem.matrix[~grows], gains[~grows]
        parts = [values[rule_holds(rule, held)] for rule in rules]
        effects = np.array([part.mean(axis=0) for part in parts])
        errors = np.array([part.std(axis=0, ddof=1) / np.sqrt(len(part)) for part in parts])
        shares = np.array([len(part) for part in parts]) / len(held)
        models = tuple(LeafEffects(rules, effects[:, at], errors[:, at], shares) for at in range(gains.shape[1]))
        return EffectModel(models, np.eye(len(models)))

    def _grow(
        self, matrix: Numbers, gains: Numbers, rule: tuple[Condition, ...], depth: int
    ) -> tuple[tuple[Condition, ...], ...]:
        split = self._best_split(matrix, gains) if depth and len(matrix) >= 2 * self.least_rows else None
        if split is None:
            return (rule,)
        leaves: tuple[tuple[Condition, ...], ...] = ()
        for is_above in (False, True):
            one = Condition(*split, is_above=is_above)
            rows = one.holds(matrix)
            leaves += self._grow(matrix[rows], gains[rows], (*rule, one), depth - 1)
        return leaves

    def _best_split(self, matrix: Numbers, gains: Numbers) -> tuple[int, float] | None:
        """Column and threshold of the largest difference of effects, in standard errors."""
        best, split = self.least_gap, None
        count = len(gains)
        total = gains.sum(axis=0)
        squares = (gains**2).sum(axis=0)
        for column in range(matrix.shape[1]):
            values = matrix[:, column]
            for threshold in _thresholds(values):
                rows = values > threshold
                above = int(rows.sum())
                if min(above, count - above) < self.least_rows:
                    continue
                part = gains[rows]
                ends = [(part.sum(axis=0), (part**2).sum(axis=0), above)]
                ends.append((total - ends[0][0], squares - ends[0][1], count - above))
                gap = ends[0][0] / ends[0][2] - ends[1][0] / ends[1][2]
                variance = sum((square / size - (sums / size) ** 2) / size for sums, square, size in ends)
                score = float((abs(gap) / np.sqrt(np.maximum(variance, 1e-300))).max())
                if score > best:
                    best, split = score, (column, float(threshold))
        return split


def _thresholds(values: Numbers) -> Numbers:
    """Halfway points between neighbouring quantiles, or between all values where there are few."""
    levels = np.unique(np.quantile(values, np.linspace(0, 1, THRESHOLDS + 2), method="nearest"))
    return (levels[1:] + levels[:-1]) / 2
