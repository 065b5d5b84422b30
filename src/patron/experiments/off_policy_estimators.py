"""Estimators of what a policy would earn, from a log of another one: weighting, a model of rewards, or both.

Notation: w is the policy's probability of the logged action over the log's, r the reward, q(a) the expected reward of
action a, V(q) the policy's mean of q in a row.
"""

from dataclasses import dataclass

import numpy as np

from patron.estimators.importance_sampling import self_normalised_mean
from patron.experiments.decision_log import DecisionLog
from patron.schema.numbers import Numbers

DIRECT_METHOD = "dm"
IPS = "ips"
SELF_NORMALISED_IPS = "snips"
DOUBLY_ROBUST, SELF_NORMALISED_DOUBLY_ROBUST = "dr", "sndr"
SWITCH, SHRINKAGE = "switch", "shrinkage"
TRIALS = 25
"""How many values of lambda and tau are tried, besides weights as they are."""
NORMAL = 1.96
MAX_SHRINKAGE = 1e4
"""The largest lambda that is tried, in squares of the largest weight: shrinks no weight by more than 1 / 10,000."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value, and what each row adds to its error."""

    estimator: str
    value: float
    parts: Numbers
    """Per row; the error of the value is that of their mean."""
    weight: Numbers | None
    """What rewards are weighted with; None where they are not."""
    shrinkage: float | None = None
    """Lambda of Su et al., or tau of Wang et al.; None where weights are as they are."""
    bias: float = 0.0
    """The most that changing the weights moves the value by, as far as the log shows, at 95 %."""


def estimates(log: DecisionLog, expected: Numbers | None) -> list[Estimate]:
    """All estimators, or those that need no expected rewards."""
    weight, nothing = log.weight, np.zeros(len(log.reward))
    weighted = [
        _mean(IPS, nothing, weight, log.reward),
        _self_normalised_estimate(SELF_NORMALISED_IPS, nothing, weight, log.reward),
    ]
    if expected is None:
        return weighted
    of_policy, residual = (log.target * expected).sum(axis=1), log.reward - log.of_action(expected)
    return [
        Estimate(DIRECT_METHOD, float(of_policy.mean()), of_policy, None),
        *weighted,
        _mean(DOUBLY_ROBUST, of_policy, weight, residual),
        _self_normalised_estimate(SELF_NORMALISED_DOUBLY_ROBUST, of_policy, weight, residual),
        _switch(of_policy, weight, residual),
        _shrunk(of_policy, weight, residual),
    ]


def _mean(name: str, of_policy: Numbers, weight: Numbers, residual: Numbers) -> Estimate:
    """Mean of V(q) + w (r - q): IPS where q is 0 (Horvitz, Thompson 1952), else doubly robust (Dudik et al. 2011)."""
    parts = of_policy + weight * residual
    return Estimate(name, float(parts.mean()), parts, weight)


def _self_normalised_estimate(name: str, of_policy: Numbers, weight: Numbers, residual: Numbers) -> Estimate:
    """Mean of V(q), plus the mean of r - q weighted with w (Hajek; Swaminathan and Joachims 2015).

    The parts are the influences of a ratio, each over 1 - its share of the weight: the change when its row is left out.
    """
    correction = self_normalised_mean(weight, residual)
    leverage = np.maximum(1 - weight / weight.sum(), 1 / len(weight))
    parts = of_policy + weight / weight.mean() * (residual - correction) / leverage
    return Estimate(name, float(of_policy.mean()) + correction, parts, weight)


def _switch(of_policy: Numbers, weight: Numbers, residual: Numbers) -> Estimate:
    """Doubly robust, where w is 0 if above tau: there only the model speaks (Wang, Agarwal, Dudik 2017)."""
    largest, middle = _range(weight)
    candidates = [
        (threshold, np.where(weight <= threshold, weight, 0.0)) for threshold in np.geomspace(middle, largest, TRIALS)
    ]
    return _least_loss(SWITCH, [*candidates, (np.inf, weight)], of_policy, weight, residual)


def _shrunk(of_policy: Numbers, weight: Numbers, residual: Numbers) -> Estimate:
    """Doubly robust with w replaced by lambda w / (w^2 + lambda) (Su et al. 2020)."""
    largest, middle = _range(weight)
    shrinkages = (*np.geomspace(middle**2, MAX_SHRINKAGE * largest**2, TRIALS).tolist(), np.inf)
    candidates = [(shrinkage, weight / (1 + weight**2 / shrinkage)) for shrinkage in shrinkages]
    return _least_loss(SHRINKAGE, candidates, of_policy, weight, residual)


def _range(weight: Numbers) -> tuple[float, float]:
    """Largest weight and median of those above 0, not below a thousandth of it."""
    largest = float(weight.max())
    return largest, max(float(np.median(weight[weight > 0])), largest / 1e3)


def _least_loss(
    name: str, candidates: list[tuple[float, Numbers]], of_policy: Numbers, weight: Numbers, residual: Numbers
) -> Estimate:
    """The candidate whose squared bias and variance add up to the least.

    The bias is what other weights change on this log plus one standard error: without that, the candidate whose bias
    happens to look like 0 would win.
    """

    def loss_and_estimate(setting: float, other: Numbers) -> tuple[float, Estimate]:
        parts, change = of_policy + other * residual, (other - weight) * residual
        bias, error = abs(float(change.mean())), float(change.std(ddof=1) / np.sqrt(len(change)))
        loss = (bias + error) ** 2 + float(parts.var(ddof=1)) / len(parts)
        return loss, Estimate(
            name, float(parts.mean()), parts=parts, weight=other, shrinkage=float(setting), bias=bias + NORMAL * error
        )

    tried = [loss_and_estimate(*candidate) for candidate in candidates]
    return min(tried, key=lambda one: one[0])[1]
