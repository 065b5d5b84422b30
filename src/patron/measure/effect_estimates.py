"""The effect of a treatment (an offer, a campaign, a journey, a task) on those who got it: one type for all of them.

`estimate_effect` compares the arms of a draw; offers are drawn with probabilities: `offer_effects` estimates theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy

from patron.estimators.bootstrap import Interval
from patron.experiments import analyse
from patron.experiments.analysis import CUPED, RAW, EffectRow
from patron.experiments.confidence_sequences import reach_of_sequence
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.numbers import float_column

TREATED, HOLDOUT = "treated", "holdout"


@dataclass(frozen=True)
class EffectEstimate:
    """Mean effect on those who were treated, in the outcome's unit, with 95 % intervals."""

    treated_count: int
    control_count: int
    raw: Interval
    """Of the draw alone."""
    raw_error: float
    """Standard error of the raw effect."""
    adjusted: Interval
    """Adjusted for what was known before; the raw one where nothing was."""
    standard_error: float
    """Of the adjusted effect."""
    sequence: Interval
    """Adjusted, with the interval that holds however often one looks."""

    @property
    def variance_removed(self) -> float:
        """Share of the raw estimate's variance that the adjustment removed."""
        return 1 - (self.standard_error / self.raw_error) ** 2 if self.raw_error > 0 else 0.0


@dataclass(frozen=True)
class ArmDifference(EffectEstimate):
    """Mean of the treated less mean of the holdout."""

    is_adjusted: bool
    p_value: float
    """Two-sided, that there is no effect; of the adjusted one."""


def estimate_effect(
    people: pa.Table, outcome: str, *, covariate: str, tightest_at: int | None = None, share: str | None = None
) -> ArmDifference | None:
    """The effect on a column of people by their `arm`; None without enough of both arms.

    Args:
        people: One row a person: arm (treated, holdout) and the columns that are named.
        outcome: Column of what is measured.
        covariate: Column known before, which the effect is adjusted for where it varies.
        tightest_at: People at which the interval for many looks is tightest; as many as there are where None.
        share: Column with the share of the holdout: draws with another share are compared among themselves, and the
            results averaged by size.
    """
    shares = float_column(people, share) if share else np.zeros(people.num_rows)
    raw = list[EffectRow]()
    adjusted = list[EffectRow]()
    weights = list[float]()
    methods = set[str]()
    for one in np.unique(shares):
        part = people.filter(pa.array(shares == one))
        before = float_column(part, covariate)
        known = covariate if before.min() < before.max() else None
        try:
            rows = analyse(part, group="arm", outcome=outcome, control=HOLDOUT, covariate=known)
        except (BadExperiment, NotEnoughData):
            continue
        method = CUPED if known else RAW
        raw.append(rows.row(TREATED, RAW))
        adjusted.append(rows.row(TREATED, method))
        weights.append(float(part.num_rows))
        methods.add(method)
    if not weights:
        return None
    arms = np.array(people["arm"].to_pylist(), dtype=np.str_)
    (raw_effect, raw_error, _), (effect, error, p_value) = _average(raw, weights), _average(adjusted, weights)
    return ArmDifference(
        treated_count=int((arms == TREATED).sum()),
        control_count=int((arms == HOLDOUT).sum()),
        raw=raw_effect,
        raw_error=raw_error,
        adjusted=effect,
        standard_error=error,
        sequence=sequence_of(effect.value, error, people.num_rows, tightest_at or people.num_rows),
        is_adjusted=CUPED in methods,
        p_value=p_value,
    )


def sequence_of(effect: float, error: float, customers: int, tightest_at: int) -> Interval:
    """An effect with the interval that holds however often one looks."""
    reach = float(reach_of_sequence(np.array([float(customers)]), tightest_at)[0]) * error
    return Interval(effect, effect - reach, effect + reach)


def _average(rows: Sequence[EffectRow], weights: Sequence[float]) -> tuple[Interval, float, float]:
    """One effect, error and p-value as they are; of several the mean by size, with the widest of their quantiles."""
    if len(rows) == 1:
        return Interval(rows[0].effect, rows[0].low, rows[0].high), rows[0].standard_error, rows[0].p_value
    shares = np.array(weights) / sum(weights)
    effect = float(shares @ np.array([row.effect for row in rows]))
    error = float(np.sqrt(shares**2 @ np.array([row.standard_error for row in rows]) ** 2))
    quantiles = [(row.high - row.low) / 2 / row.standard_error for row in rows if row.standard_error > 0]
    reach = error * max(quantiles, default=0.0)
    p_value = float(2 * scipy.stats.norm.sf(abs(effect) / error)) if error > 0 else 1.0
    return Interval(effect, effect - reach, effect + reach), error, p_value
