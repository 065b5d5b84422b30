"""Whether effects are as large as estimated: estimated and actual effects by bin, and the slope between them."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval
from patron.schema.numbers import Numbers
from patron.uplift.effect_ranking import Comparable

BINS = 10


@dataclass(frozen=True)
class CalibrationRow:
    """Customers of alike estimated effects, in the outcome's unit."""

    estimated: float
    actual: float
    """Mean outcome of the offered less that of the control."""
    low: float
    high: float
    row_count: int


@dataclass(frozen=True)
class EffectCalibration:
    """Slope of actual on estimated effects: 1 is right, below 1 estimates spread too far, 0 is no use."""

    value: float
    low: float
    high: float
    rows: tuple[CalibrationRow, ...]

    def to_table(self) -> pa.Table:
        """One row per bin, smallest estimates first."""
        names = [field_.name for field_ in fields(CalibrationRow)]
        return pa.table({name: [getattr(row, name) for row in self.rows] for name in names})


def calibration(
    outcome: Any, effect: Any, treatment: Any, control: Any = 0, bins: int = BINS, seed: int = 0
) -> EffectCalibration:
    """Slope of actual on estimated effects, and both by bin, with 95 % bootstrap intervals.

    The slope is how much more steeply outcomes rise with the estimate among the offered than in the control. Arguments
    as in `qini`. Raises BadTrial, NotEnoughData.
    """
    rows = Comparable.of(outcome, effect, treatment, control)
    whole = rows.resamples(lambda weight: _slope(rows, weight), seed)
    order = np.argsort(rows.effect, kind="stable")
    parts = [_bin(rows, part, seed) for part in np.array_split(order, min(bins, len(order)))]
    return EffectCalibration(whole.value, whole.low, whole.high, tuple(parts))


def _slope(rows: Comparable, weight: Numbers) -> float:
    slopes = []
    for side in (1.0, 0.0):
        weights = weight * (rows.is_offer == side)
        if not weights.sum():
            return np.nan
        gap = rows.effect - np.average(rows.effect, weights=weights)
        squares = (weights * gap**2).sum()
        if squares <= 0:
            return np.nan
        slopes.append((weights * gap * rows.outcome).sum() / squares)
    return float(slopes[0] - slopes[1])


def _bin(rows: Comparable, part: Any, seed: int) -> CalibrationRow:
    few = Comparable(rows.outcome[part], rows.effect[part], rows.is_offer[part], rows.weight[part])

    def gap(weight: Numbers) -> float:
        sides = [weight * (few.is_offer == side) for side in (1.0, 0.0)]
        if not all(side.sum() for side in sides):
            return np.nan
        offered, others = (float(np.average(few.outcome, weights=side)) for side in sides)
        return offered - others

    one: Interval = few.resamples(gap, seed)
    return CalibrationRow(float(few.effect.mean()), one.value, low=one.low, high=one.high, row_count=len(part))
