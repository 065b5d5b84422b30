"""Randomised comparisons: differences of margin weighted by one over the logged propensity, clustered by customer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.measure.decision_outcomes import Outcomes
from patron.schema.numbers import Numbers

NONE = "none"
LEAST_PER_ARM = 5
POOLED_ROWS = 20.0
"""Rows of everybody's variance that are mixed into an arm's own: ten customers who bought nothing are not sure."""


@dataclass(frozen=True)
class Cell:
    """Offered against not offered, in one segment or all: mean difference and its standard error, cents."""

    offer: str
    segment: str
    treated_count: int
    control_count: int
    difference: float
    standard_error: float


def unexplained(outcomes: Outcomes) -> Numbers:
    """Margin less what segment, run and things known before the decision explain, cents.

    Ordinary least squares with one column per action, so that what offers cause is not explained away.
    """
    columns = [np.ones(len(outcomes.margin_cents)), *outcomes.known_before.T]
    kept = len(columns) + sum(len(np.unique(one)) - 1 for one in (outcomes.segment, outcomes.run))
    columns += _dummies(outcomes.segment) + _dummies(outcomes.run) + _dummies(outcomes.action)
    design = np.column_stack(columns)
    scale = np.maximum(np.abs(design).max(axis=0), 1e-12)
    coefficients = np.linalg.lstsq(design / scale, outcomes.margin_cents, rcond=1e-10)[0] / scale
    return outcomes.margin_cents - design[:, :kept] @ coefficients[:kept]


def by_segment(outcomes: Outcomes) -> list[Cell]:
    """Each offer against no offer within each segment, and within all ('all').

    Compared are customers for whom chance could have chosen either: who could not have got the offer is no control.
    """
    drawn = outcomes.rows(outcomes.propensity > 0)
    if not len(drawn.margin_cents):
        return []
    left, cells = unexplained(drawn), []
    pooled = float(np.var(left))
    for offer in sorted(set(drawn.action.tolist()) - {NONE}):
        asked = drawn.may_be(offer) & drawn.may_be(NONE) & np.isin(drawn.action, [offer, NONE])
        part, rest = drawn.rows(asked), left[asked]
        cells.append(_cell(offer, "all", part, rest, pooled))
        for segment in np.unique(part.segment):
            within = part.segment == segment
            cells.append(_cell(offer, str(segment), part.rows(within), rest[within], pooled))
    return [cell for cell in cells if min(cell.treated_count, cell.control_count) >= LEAST_PER_ARM]


def against_holdout(outcomes: Outcomes) -> Cell | None:
    """Margin per offered customer against the holdout: the difference of the arms over the share that got an offer.

    Valid because only an offer can make the arms differ (Bloom, 1984), and because each customer's first decision is
    compared: earlier offers change who is considered later. None where an arm is missing or nobody got an offer.
    """
    outcomes = outcomes.rows(outcomes.is_first)
    reached = ~outcomes.is_holdout
    offered = reached & (outcomes.action != NONE)
    if min(reached.sum(), outcomes.is_holdout.sum()) < LEAST_PER_ARM or not offered.any():
        return None
    arm = Outcomes(**{**vars(outcomes), "action": np.where(reached, "reached", NONE)})
    left = unexplained(arm)
    difference, error = _difference(left, np.ones(len(reached)), reached, outcomes.customer, float(np.var(left)))
    share = offered.sum() / reached.sum()
    return Cell("any", "all", int(offered.sum()), int(outcomes.is_holdout.sum()), difference / share, error / share)


def _cell(offer: str, segment: str, part: Outcomes, left: Numbers, pooled: float) -> Cell:
    treated = part.action == offer
    counts = int(treated.sum()), int((~treated).sum())
    if min(counts) < LEAST_PER_ARM:
        return Cell(offer, segment, *counts, np.nan, np.nan)
    return Cell(offer, segment, *counts, *_difference(left, 1 / part.propensity, treated, part.customer, pooled))


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
        own = count / (count + POOLED_ROWS)
        influence[arm] = sign * share * (values[arm] - mean) * np.sqrt(own * count / max(count - 1, 1))
        variance += (1 - own) * pooled * float((share**2).sum())
    _, who = np.unique(customer, return_inverse=True)
    return difference, float(np.sqrt(variance + (np.bincount(who, weights=influence) ** 2).sum()))


def _dummies(values: npt.NDArray[np.str_]) -> list[Numbers]:
    return [(values == one).astype(np.float64) for one in np.unique(values)[1:]]
