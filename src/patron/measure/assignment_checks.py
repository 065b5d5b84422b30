"""Whether the holdout and the randomised actions have as many decisions as their shares say (sample ratio mismatch)."""

from collections.abc import Mapping

import numpy as np

from patron.experiments.sample_ratio import sample_ratio_mismatch
from patron.measure.decision_outcomes import DecisionOutcomes

HOLDOUT, REACHABLE = "holdout", "reachable"


def assignment_rows(outcomes: DecisionOutcomes, *, holdout_share: float) -> list[dict[str, str | int | float | bool]]:
    """Rows of `assignment_checks`: customers by arm of the holdout, and randomised decisions by action.

    Customers count at their first decision: offers change who is considered later. Expected actions are sums of
    propensities that differ between decisions, which makes the test a little stricter than its level.
    """
    held = outcomes.is_holdout[outcomes.is_first]
    rows = []
    if len(held) and 0 < holdout_share < 1:
        counts = {HOLDOUT: int(held.sum()), REACHABLE: int((~held).sum())}
        rows += _rows("holdout", counts, {HOLDOUT: holdout_share, REACHABLE: 1 - holdout_share})
    each = np.array(list(outcomes.propensities.values())).reshape(len(outcomes.propensities), -1)
    is_randomised = (each.max(axis=0, initial=0.0) < 1) & (each.sum(axis=0) > 0)
    if is_randomised.any():
        names = list(outcomes.propensities)
        counts = {name: int((outcomes.action[is_randomised] == name).sum()) for name in names}
        sums = {name: float(each[at, is_randomised].sum()) for at, name in enumerate(names)}
        rows += _rows("actions", counts, sums)
    return rows


def _rows(
    assignment: str, counts: Mapping[str, int], weights: Mapping[str, float]
) -> list[dict[str, str | int | float | bool]]:
    if len(counts) < 2 or not sum(counts.values()):
        return []
    ratio = sample_ratio_mismatch(counts=counts, weights=weights)
    same = {"p_value": ratio.p_value, "is_alarm": ratio.is_mismatch}
    return [
        {
            "assignment": assignment,
            "arm": arm,
            "decision_count": counts[arm],
            "expected_decisions": ratio.expected[arm],
            **same,
        }
        for arm in counts
    ]
