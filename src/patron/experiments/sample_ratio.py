"""Whether arms have as many customers as their weights say: if not, the assignment is broken and no effect counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from patron.schema.errors import BadExperiment, NotEnoughData

ALARM_LEVEL = 0.001
"""Share of sound experiments in which the alarm rings; low, because it is looked at every day."""


@dataclass(frozen=True)
class SampleRatio:
    """Customers of each arm against what its weight says."""

    p_value: float
    """Of counts at least as far from their weights, if the assignment is sound (Pearson's chi-square)."""
    expected: Mapping[Any, float]
    """Customers of each arm by its weight."""

    @property
    def is_mismatch(self) -> bool:
        """Whether to distrust every effect until the cause is known."""
        return self.p_value < ALARM_LEVEL


def sample_ratio_mismatch(*, counts: Mapping[Any, int], weights: Mapping[Any, float]) -> SampleRatio:
    """Test the customers of each arm against the weights of the assignment. Raises BadExperiment, NotEnoughData."""
    unknown = sorted(str(one) for one in counts.keys() ^ weights.keys())
    if unknown:
        what = f"{', '.join(unknown)} is only in one of counts and weights"
        raise BadExperiment(what, where="weights", todo="Give each arm a count and a weight; 0 is one.")
    observed, shares = (np.array([float(part[arm]) for arm in weights]) for part in (counts, weights))
    for where, numbers in (("counts", observed), ("weights", shares)):
        if not (np.isfinite(numbers).all() and (numbers >= 0).all()):
            raise BadExperiment("a number is below 0 or not finite", where=where)
    if len(shares) < 2 or shares.sum() <= 0:
        raise BadExperiment("two arms are needed, one with a weight above 0", where="weights")
    if not observed.sum():
        raise NotEnoughData("there are no customers", where="counts")
    expected = observed.sum() * shares / shares.sum()
    has_share = expected > 0
    if observed[~has_share].any():
        p_value = 0.0
    elif has_share.sum() == 1:
        p_value = 1.0
    else:
        p_value = float(scipy.stats.chisquare(observed[has_share], expected[has_share]).pvalue)
    return SampleRatio(p_value, dict(zip(weights, expected.tolist(), strict=True)))
