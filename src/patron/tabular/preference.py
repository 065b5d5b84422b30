"""Which learner to use: the simplest that is within noise of the best."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from patron.estimators.bootstrap import Interval
from patron.schema.numbers import Numbers

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class FoldedAUC:
    """Mean AUC of folds, each weighted by its rows, and what each row adds to its error."""

    value: float
    influences: Numbers
    """Row by row, one fold after the other; the sum of their squares is the variance (DeLong and others, 1988)."""

    @classmethod
    def of(cls, labels: Sequence[Numbers], forecasts: Sequence[Numbers]) -> "FoldedAUC":
        """Measure forecasts fold by fold: models of different folds are not on one scale."""
        total = sum(len(one) for one in labels)
        shares = [len(one) / total for one in labels]
        each = [_auc_with_influences(label, forecast) for label, forecast in zip(labels, forecasts, strict=True)]
        value = sum(share * auc for share, (auc, _) in zip(shares, each, strict=True))
        influences = [share * influence for share, (_, influence) in zip(shares, each, strict=True)]
        return cls(float(value), np.concatenate(influences))

    def below(self, other: "FoldedAUC", units: npt.NDArray[np.int64], *, among: int = 1) -> Interval:
        """By how much it is below another on the same rows; whole units (rows, groups) vary together.

        The interval covers the truth with 95 %, for all of `among` such comparisons at once (Bonferroni).
        """
        sums = np.bincount(units, weights=other.influences - self.influences)
        spread = float(norm.isf((1 - LEVEL) / (2 * among)) * np.sqrt((sums**2).sum()))
        gap = other.value - self.value
        return Interval(gap, gap - spread, gap + spread)


@dataclass(frozen=True)
class Preference:
    """The preferred learner, the best one, and by how much each is below the best."""

    preferred: str
    best: str
    gaps: Mapping[str, Interval]


def prefer(
    aucs: Mapping[str, FoldedAUC],
    complexity: Mapping[str, int],
    units: npt.NDArray[np.int64],
    *,
    within_one_error: Collection[str] = (),
) -> Preference:
    """Prefer the simplest learner whose AUC is within noise of the best one's.

    This is the rule of one standard error (Breiman and others, 1984) with the interval of the paired difference in the
    place of the error of a single mean: rows that are hard are hard for all, and their noise cancels. The intervals
    hold for all learners at once, as the best of many is the best by chance, too. Learners of `within_one_error` must
    be that near, so that they do not win only because there are few rows.
    """
    best = max(aucs, key=lambda name: (aucs[name].value, -complexity[name]))
    gaps = {name: one.below(aucs[best], units, among=len(aucs) - 1) for name, one in aucs.items()}
    near = [name for name, gap in gaps.items() if gap.low <= 0]
    errors = {name: aucs[name].below(aucs[best], units).high - gaps[name].value for name in within_one_error}
    near = [name for name in near if name not in errors or gaps[name].value <= errors[name] / norm.isf((1 - LEVEL) / 2)]
    return Preference(min(near, key=lambda name: complexity[name]), best, gaps)


def _auc_with_influences(label: Numbers, forecast: Numbers) -> tuple[float, Numbers]:
    is_positive = label > 0
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if not positives or not negatives:
        return 0.5, np.zeros(len(label))
    ranks = rankdata(forecast)
    placements = np.empty(len(label))
    placements[is_positive] = (ranks[is_positive] - rankdata(forecast[is_positive])) / negatives
    placements[~is_positive] = 1 - (ranks[~is_positive] - rankdata(forecast[~is_positive])) / positives
    auc = float(placements[is_positive].mean())
    return auc, (placements - auc) / np.where(is_positive, positives, negatives)
