"""Randomised comparisons: differences of margin weighted by one over the logged propensity, clustered by customer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.measure.outcomes import Numbers, Outcomes

NONE = "none"
LEAST_PER_ARM = 5
POOLED_ROWS = 20.0
"""Rows of the whole shop's variance that are mixed into a cell's own: ten customers who bought nothing are not sure."""


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
    """Margin less what segment, turn and things known before the decision explain, cents.

    Ordinary least squares with one column per action, so that what offers cause is not explained away.
    """
    columns = [np.ones(len(outcomes.margin_cents)), *outcomes.known_before.T]
    kept = len(columns) + sum(len(np.unique(one)) - 1 for one in (outcomes.segment, outcomes.turn))
    columns += _dummies(outcomes.segment) + _dummies(outcomes.turn) + _dummies(outcomes.action)
    design = np.column_stack(columns)
    scale = np.maximum(np.abs(design).max(axis=0), 1e-12)
    coefficients = np.linalg.lstsq(design / scale, outcomes.margin_cents, rcond=1e-10)[0] / scale
    return outcomes.margin_cents - design[:, :kept] @ coefficients[:kept]


def by_segment(outcomes: Outcomes) -> list[Cell]:
    """Each offer against no offer within the randomised customers of each segment, and of all ('all').

    Only decisions with a propensity below 1 are randomised; a segment's turn without the offer says nothing of it.
    """
    drawn = outcomes.rows((outcomes.propensity < 1) & ~outcomes.is_holdout)
    if not len(drawn.margin_cents):
        return []
    left, cells = unexplained(drawn), []
    for offer in sorted(set(drawn.action.tolist()) - {NONE}):
        group = np.char.add(np.char.add(drawn.turn, "|"), drawn.segment)
        is_comparable = np.isin(group, np.unique(group[drawn.action == offer]))
        asked = is_comparable & np.isin(drawn.action, [offer, NONE])
        part, rest = drawn.rows(asked), left[asked]
        cells.append(_cell(offer, "all", part, rest))
        for segment in np.unique(part.segment):
            within = part.segment == segment
            cells.append(_cell(offer, str(segment), part.rows(within), rest[within]))
    return [cell for cell in cells if min(cell.treated_count, cell.control_count) >= LEAST_PER_ARM]


def against_holdout(outcomes: Outcomes) -> Cell | None:
    """Margin per offered customer against the holdout: the difference of the arms over the share that got an offer.

    Valid because only an offer can make the arms differ (Bloom, 1984). None where an arm is missing or nobody got one.
    """
    reached = ~outcomes.is_holdout
    offered = reached & (outcomes.action != NONE)
    if min(reached.sum(), outcomes.is_holdout.sum()) < LEAST_PER_ARM or not offered.any():
        return None
    arm = Outcomes(**{**vars(outcomes), "action": np.where(reached, "reached", NONE)})
    difference, error = _difference(unexplained(arm), np.ones(len(reached)), reached, outcomes.customer)
    share = offered.sum() / reached.sum()
    return Cell("any", "all", int(offered.sum()), int(outcomes.is_holdout.sum()), difference / share, error / share)


def _cell(offer: str, segment: str, part: Outcomes, left: Numbers) -> Cell:
    treated = part.action == offer
    counts = int(treated.sum()), int((~treated).sum())
    if min(counts) < LEAST_PER_ARM:
        return Cell(offer, segment, *counts, np.nan, np.nan)
    return Cell(offer, segment, *counts, *_difference(left, 1 / part.propensity, treated, part.customer))


def _difference(
    values: Numbers, weight: Numbers, treated: npt.NDArray[np.bool_], customer: npt.NDArray[np.str_]
) -> tuple[float, float]:
    """Weighted mean of treated less that of the others, and its standard error clustered by customer."""
    influence, difference = np.zeros(len(values)), 0.0
    for sign, arm in ((1.0, treated), (-1.0, ~treated)):
        share = weight[arm] / weight[arm].sum()
        mean = float(share @ values[arm])
        difference += sign * mean
        influence[arm] = sign * share * (values[arm] - mean) * np.sqrt(arm.sum() / max(arm.sum() - 1, 1))
    _, who = np.unique(customer, return_inverse=True)
    return difference, float(np.sqrt((np.bincount(who, weights=influence) ** 2).sum()))


def steadied(cells: list[Cell]) -> list[Cell]:
    """Mix the shop's variance per customer into that of small cells."""
    if not cells:
        return []
    size = np.array([1 / (1 / cell.treated_count + 1 / cell.control_count) for cell in cells])
    own = np.array([cell.standard_error**2 for cell in cells]) * size
    pooled = float((own * size).sum() / size.sum())
    mixed = np.sqrt((size * own + POOLED_ROWS * pooled) / (size + POOLED_ROWS) / size)
    return [
        Cell(one.offer, one.segment, one.treated_count, one.control_count, one.difference, float(error))
        for one, error in zip(cells, mixed, strict=True)
    ]


def _dummies(values: npt.NDArray[np.str_]) -> list[Numbers]:
    return [(values == one).astype(np.float64) for one in np.unique(values)[1:]]
