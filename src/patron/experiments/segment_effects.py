"""Effects in segments of customers, corrected for how many there are, and whether segments differ at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from patron.estimators.multiple_tests import adjust_p_values
from patron.experiments.arm_effects import mean_effects
from patron.experiments.arm_moments import Moments
from patron.experiments.effect_tests import WelchTest
from patron.experiments.experiment_table import (
    MIN_ROWS,
    read_arms,
    read_covariates,
    read_levels,
    read_numbers,
    read_table,
)
from patron.experiments.result_rows import ResultRows
from patron.schema.errors import BadExperiment, NotEnoughData


@dataclass(frozen=True)
class SegmentRow:
    """Effect of one arm in one segment, in the outcome's unit, with its 95 % interval."""

    segment: Any
    arm: Any
    n: int
    """Rows of the arm and the control."""
    effect: float
    low: float
    high: float
    """Of this segment alone: of 20 segments without an effect one interval misses 0."""
    p_value: float
    """Two-sided, that there is no effect, of this segment alone."""
    adjusted_p_value: float
    """By Holm (1979): below 0.05 in one of 20 experiments without any effect, however many segments and arms."""


@dataclass(frozen=True)
class SegmentEffects(ResultRows[SegmentRow]):
    """One row per segment and arm, in their order."""

    rows: tuple[SegmentRow, ...]
    homogeneity: Mapping[Any, float]
    """Of each arm, the p-value that its effect is the same in all segments (Cochran 1954)."""


def heterogeneous(
    table: Any,
    *,
    group: str,
    outcome: str,
    control: Any,
    segment: str,
    covariate: str | Sequence[str] | None = None,
) -> SegmentEffects:
    """Effects in each segment, in the outcome's unit; by CUPED where there is a covariate.

    `segment` is a column known before the start. Raises BadExperiment, NotEnoughData.
    """
    rows = read_table(table)
    arms = read_arms(rows, group, control)
    segments, code = read_levels(rows, segment)
    if len(segments) < 2:
        raise BadExperiment(f"all rows are of {segments[0]}", where=segment, todo="Choose a column with segments.")
    columns = (read_numbers(rows, outcome), *(read_covariates(rows, covariate) if covariate is not None else ()))
    effects: list[tuple[Any, Any, int, WelchTest]] = []
    for place, name in enumerate(segments):
        is_inside = code == place
        moments = Moments.of(arms.code[is_inside], len(arms.names), tuple(column[is_inside] for column in columns))
        if moments.count.min() < MIN_ROWS:
            fewest = int(moments.count.argmin())
            what = f"segment {name} has {moments.count[fewest]} rows of {arms.names[fewest]}, and needs {MIN_ROWS}"
            raise NotEnoughData(what, where=segment, todo="Merge small segments.")
        sizes = (moments.count[0] + moments.count[1:]).tolist()
        for arm, size, effect in zip(arms.names[1:], sizes, mean_effects(moments), strict=True):
            effects.append((name, arm, size, effect.test))
    adjusted = adjust_p_values(np.array([test.p_value for *_, test in effects]))
    results = tuple(
        SegmentRow(name, arm, size, test.effect, *test.ends(), test.p_value, p_value)
        for (name, arm, size, test), p_value in zip(effects, adjusted.tolist(), strict=True)
    )
    by_arm = {arm: [test for _, other, _, test in effects if other == arm] for arm in arms.names[1:]}
    return SegmentEffects(results, {arm: _homogeneity(tests) for arm, tests in by_arm.items()})


def _homogeneity(effects: list[WelchTest]) -> float:
    """P-value of Cochran's Q; segments in which nothing varies say nothing."""
    known = [effect for effect in effects if effect.standard_error > 0]
    if len(known) < 2:
        return 1.0
    weights = np.array([one.standard_error**-2 for one in known])
    values = np.array([one.effect for one in known])
    distance = float(weights @ (values - weights @ values / weights.sum()) ** 2)
    return float(scipy.stats.chi2.sf(distance, len(known) - 1))
