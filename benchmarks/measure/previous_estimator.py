"""What Patron measured until November 2026, to be compared with: the holdout's difference over the share offered."""

import numpy as np

from patron.estimators.bootstrap import Interval
from patron.measure.decision_outcomes import NONE, DecisionOutcomes

POOLED_ROWS = 20.0


def effect_against_holdout(outcomes: DecisionOutcomes) -> Interval:
    """Margin per offer at first decisions: least squares, then Bloom's ratio (1984); cents."""
    first = outcomes.rows(outcomes.is_first)
    reached = ~first.is_holdout
    columns = [np.ones(len(reached)), *first.covariates.T]
    for values in (first.stratum, first.run):
        columns += [(values == one).astype(np.float64) for one in np.unique(values)[1:]]
    design = np.column_stack([*columns, reached.astype(np.float64)])
    scale = np.maximum(np.abs(design).max(axis=0), 1e-12)
    slopes = np.linalg.lstsq(design / scale, first.margin_cents, rcond=1e-10)[0] / scale
    rest = first.margin_cents - design[:, :-1] @ slopes[:-1]
    pooled, difference, variance = float(np.var(rest)), 0.0, 0.0
    for sign, arm in ((1.0, reached), (-1.0, ~reached)):
        count = int(arm.sum())
        share = count / (count + POOLED_ROWS)
        difference += sign * float(rest[arm].mean())
        variance += (share * float(rest[arm].var(ddof=1)) + (1 - share) * pooled) / count
    offered = float((reached & (first.action != NONE)).sum() / reached.sum())
    effect, error = difference / offered, float(np.sqrt(variance)) / offered
    return Interval(effect, effect - 1.96 * error, effect + 1.96 * error)
