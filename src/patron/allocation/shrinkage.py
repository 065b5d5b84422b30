"""Estimated effects drawn to their mean as far as they are noise, so that the largest are no longer the luckiest."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.schema.errors import BadAllocation
from patron.schema.numbers import Numbers

HALVINGS = 60


@dataclass(frozen=True, eq=False)
class ShrunkEffects:
    """Posterior effects, in the unit of the estimates."""

    effect: Numbers
    standard_error: Numbers
    """Posterior standard deviation."""
    mean: Numbers
    """Of each offer, the mean of the true effects."""
    spread: Numbers
    """Of each offer, the standard deviation of the true effects: 0 where the estimates differ by noise only."""


def shrink_effects(effect: Any, standard_error: Any) -> ShrunkEffects:
    """Shrink estimates to the mean of their offer (empirical Bayes), as a remedy for the winner's curse.

    Args:
        effect: (customers, offers) estimates, or (customers,) of one offer.
        standard_error: Of each estimate, above 0, in the same shape.

    True effects of an offer are taken as normal around its mean and errors as independent; the spread is the one that
    explains the estimates' variance (Paule and Mandel 1982). Errors that customers share, such as those of one model's
    coefficients, stay in the mean: no shrinkage removes them. Raises BadAllocation.
    """
    estimate, error = (np.asarray(one, dtype=np.float64) for one in (effect, standard_error))
    if estimate.ndim not in {1, 2} or estimate.shape != error.shape:
        raise BadAllocation(f"shape {error.shape}, where effect has {estimate.shape}", where="standard_error")
    if not np.isfinite(estimate).all():
        raise BadAllocation("values are missing or infinite", where="effect")
    if not ((error > 0) & np.isfinite(error)).all():
        raise BadAllocation("values are missing, infinite or not above 0", where="standard_error")
    columns = estimate if estimate.ndim == 2 else estimate[:, None]
    noise = (error if error.ndim == 2 else error[:, None]) ** 2
    priors = [_prior(columns[:, at].copy(), noise[:, at].copy()) for at in range(columns.shape[1])]
    mean, variance = (np.array([prior[part] for prior in priors]) for part in (0, 1))
    weight = variance / (variance + noise)
    shrunk, spread = mean + weight * (columns - mean), np.sqrt(weight * noise)
    return ShrunkEffects(shrunk.reshape(estimate.shape), spread.reshape(estimate.shape), mean, np.sqrt(variance))


def _prior(estimate: Numbers, noise: Numbers) -> tuple[float, float]:
    """Mean and variance of true effects: the variance at which squared standardised deviations add up to n - 1."""
    count = len(estimate)
    if count < 2:
        return (float(estimate[0]) if count else 0.0), 0.0

    def judge(variance: float) -> tuple[float, float]:
        weight = 1 / (variance + noise)
        mean = float((weight * estimate).sum() / weight.sum())
        return mean, float((weight * (estimate - mean) ** 2).sum()) - (count - 1)

    low, high = 0.0, 2 * float(estimate.var(ddof=1)) + 1e-300
    mean, excess = judge(low)
    if excess <= 0:
        return mean, 0.0
    while judge(high)[1] > 0:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        mean, excess = judge(middle)
        low, high = (middle, high) if excess > 0 else (low, middle)
    return mean, (low + high) / 2
