"""Randomised comparisons: differences of margin weighted by one over the logged propensity, clustered by customer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.measure.decision_outcomes import DecisionOutcomes
from patron.schema.numbers import Numbers

NONE = "none"
MIN_CUSTOMERS_PER_ARM = 5
POOLED_ROWS = 20.0
"""Rows of the pooled variance that are mixed into an arm's variance: ten customers without an order prove little."""


@dataclass(frozen=True)
class EffectEstimate:
    """Offered against not offered, in one stratum or all: mean difference and its standard error, cents."""

    offer: str
    stratum: str
    treated_count: int
    control_count: int
    difference: float
    standard_error: float


def residual_margin(outcomes: DecisionOutcomes) -> Numbers:
    """Margin less what stratum, run and things known before the decision explain, cents.

    Ordinary least squares with one column per action, so that what offers cause is not explained away.
    """
    columns = [np.ones(len(outcomes.margin_cents)), *outcomes.covariates.T]
    kept = len(columns) + sum(len(np.unique(one)) - 1 for one in (outcomes.stratum, outcomes.run))
    columns += _dummies(outcomes.stratum) + _dummies(outcomes.run) + _dummies(outcomes.action)
    design = np.column_stack(columns)
    scale = np.maximum(np.abs(design).max(axis=0), 1e-12)
    coefficients = np.linalg.lstsq(design / scale, outcomes.margin_cents, rcond=1e-10)[0] / scale
    return outcomes.margin_cents - design[:, :kept] @ coefficients[:kept]


def effects_by_stratum(outcomes: DecisionOutcomes) -> list[EffectEstimate]:
    """Each offer against no offer within each stratum, and within all ('all').

    Only customers who could have been randomised to either are compared: others are not a valid control.
    """
    randomised = outcomes.rows(outcomes.propensity > 0)
    if not len(randomised.margin_cents):
        return []
    residual, estimates = residual_margin(randomised), []
    pooled = float(np.var(residual))
    for offer in sorted(set(randomised.action.tolist()) - {NONE}):
        is_compared = (
            randomised.could_get(offer) & randomised.could_get(NONE) & np.isin(randomised.action, [offer, NONE])
        )
        part, rest = randomised.rows(is_compared), residual[is_compared]
        estimates.append(_estimate(offer, "all", part, rest, pooled))
        for stratum in np.unique(part.stratum):
            within = part.stratum == stratum
            estimates.append(_estimate(offer, str(stratum), part.rows(within), rest[within], pooled))
    return [one for one in estimates if min(one.treated_count, one.control_count) >= MIN_CUSTOMERS_PER_ARM]


def effect_against_holdout(outcomes: DecisionOutcomes) -> EffectEstimate | None:
    """Margin per offered customer against the holdout: the difference of the arms over the share that got an offer.

    Valid because only an offer can make the arms differ (Bloom, 1984), and because each customer's first decision is
    compared: earlier offers change who is considered later. None where an arm is missing or nobody got an offer.
    """
    outcomes = outcomes.rows(outcomes.is_first)
    reached = ~outcomes.is_holdout
    offered = reached & (outcomes.action != NONE)
    if min(reached.sum(), outcomes.is_holdout.sum()) < MIN_CUSTOMERS_PER_ARM or not offered.any():
        return None
    arm = DecisionOutcomes(**{**vars(outcomes), "action": np.where(reached, "reached", NONE)})
    residual = residual_margin(arm)
    difference, error = _difference(
        residual, np.ones(len(reached)), reached, outcomes.customer, float(np.var(residual))
    )
    share = offered.sum() / reached.sum()
    return EffectEstimate(
        "any", "all", int(offered.sum()), int(outcomes.is_holdout.sum()), difference / share, error / share
    )


def _estimate(offer: str, stratum: str, part: DecisionOutcomes, residual: Numbers, pooled: float) -> EffectEstimate:
    treated = part.action == offer
    counts = int(treated.sum()), int((~treated).sum())
    if min(counts) < MIN_CUSTOMERS_PER_ARM:
        return EffectEstimate(offer, stratum, *counts, np.nan, np.nan)
    return EffectEstimate(
        offer, stratum, *counts, *_difference(residual, 1 / part.propensity, treated, part.customer, pooled)
    )


def _difference(
    values: Numbers, weight: Numbers, treated: npt.NDArray[np.bool_], customer: npt.NDArray[np.str_], pooled: float
) -> tuple[float, float]:
    """Weighted mean of treated less that of the others, and its standard error clustered by customer.

    `pooled` is the variance of everybody, which POOLED_ROWS rows of each arm are thought to have.
    """
    influence, difference, variance = np.zeros(len(values)), 0.0, 0.0
    for sign, arm in ((1.0, treated), (-1.0, ~treated)):
        share = weight[arm] / weight[arm].sum()
        mean = float(share @ values[arm])
        difference += sign * mean
        count = arm.sum()
        arm_weight = count / (count + POOLED_ROWS)
        influence[arm] = sign * share * (values[arm] - mean) * np.sqrt(arm_weight * count / max(count - 1, 1))
        variance += (1 - arm_weight) * pooled * float((share**2).sum())
    _, who = np.unique(customer, return_inverse=True)
    return difference, float(np.sqrt(variance + (np.bincount(who, weights=influence) ** 2).sum()))


def _dummies(values: npt.NDArray[np.str_]) -> list[Numbers]:
    return [(values == one).astype(np.float64) for one in np.unique(values)[1:]]
