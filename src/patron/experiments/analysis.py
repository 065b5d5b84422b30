"""The effect of each arm of an experiment on an outcome, raw and adjusted side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.experiments.arm_effects import ArmEffect, mean_effects, ratio_effects, stratified_effects
from patron.experiments.arm_moments import Moments
from patron.experiments.experiment_table import Arms, read_arms, read_covariates, read_levels, read_numbers, read_table
from patron.experiments.result_rows import ResultRows
from patron.schema.numbers import Numbers

RAW = "raw"
CUPED = "cuped"
STRATIFIED = "stratified"
RATIO = "ratio"
MAX_SKEWNESS = 0.2
"""Of a difference of means. With .3, 95 % intervals hold about 92 %, with .9 about 86 %."""


@dataclass(frozen=True)
class EffectRow:
    """Effect of one arm: its mean less the control's, in the outcome's unit, with its 95 % interval."""

    arm: Any
    method: str
    """raw, cuped, stratified or ratio."""
    effect: float
    low: float
    high: float
    p_value: float
    """Two-sided, that there is no effect; not corrected for several arms."""
    standard_error: float
    degrees_of_freedom: float
    control_mean: float
    """Mean of the control, of a ratio its ratio: an effect over it is the lift."""
    variance_removed: float
    """Share of the raw estimate's variance that the adjustment removed; 0 of raw, NaN of a ratio."""


@dataclass(frozen=True)
class Analysis(ResultRows[EffectRow]):
    """Effects of all arms by all methods, arms in their order."""

    rows: tuple[EffectRow, ...]
    findings: tuple[str, ...] = ()
    """Where intervals are too narrow, in sentences; nothing where nothing is."""

    def row(self, arm: Any, method: str = RAW) -> EffectRow:
        """Effect of one arm by one method. Raises KeyError."""
        for one in self.rows:
            if (one.arm, one.method) == (arm, method):
                return one
        raise KeyError(f"no {arm} by {method}")


def analyse(  # noqa: PLR0913 - one argument for each column of an experiment
    table: Any,
    *,
    group: str,
    outcome: str,
    control: Any,
    covariate: str | Sequence[str] | None = None,
    denominator: str | None = None,
    strata: str | None = None,
) -> Analysis:
    """Effects on the mean of an outcome: each arm's mean less the control's, in the outcome's unit.

    Args:
        table: One row per randomised unit (customer), a frame of any kind.
        group: Column with the arm of each row.
        outcome: Column of numbers; a customer without any has 0, and no row is left out.
        control: Arm that the others are compared with.
        covariate: Column or columns known before the start, for CUPED: the outcome less what an ordinary least
            squares regression on them explains, fitted to the rows of the arm and the control together.
        denominator: Column of numbers for the effect on sum(outcome) / sum(denominator), by the delta method.
        strata: Column known before the start, by which the effect is post-stratified.

    Every method has Welch's interval. Rows count as independent. Formulas: docs/explanation/experiments.md. Raises
    BadExperiment, NotEnoughData.
    """
    rows = read_table(table)
    arms = read_arms(rows, group, control)
    values = read_numbers(rows, outcome)

    covariates = read_covariates(rows, covariate) if covariate is not None else ()
    denominators = (read_numbers(rows, denominator),) if denominator is not None else ()
    moments = Moments.of(arms.code, len(arms.names), (values, *covariates, *denominators))
    raw = mean_effects(moments.of_columns(0))
    methods = {RAW: raw}
    if covariate is not None:
        methods[CUPED] = mean_effects(moments.of_columns(*range(1 + len(covariates))))
    if strata is not None:
        methods[STRATIFIED] = stratified_effects(arms, values, *read_levels(rows, strata), strata)
    if denominator is not None:
        methods[RATIO] = ratio_effects(moments.of_columns(0, -1), denominator)
    return Analysis(
        tuple(
            _row(arm, method, effects[place], raw[place].test.standard_error)
            for place, arm in enumerate(arms.names[1:])
            for method, effects in methods.items()
        ),
        _skewness_findings(arms, values),
    )


def _row(arm: Any, method: str, effect: ArmEffect, raw_error: float) -> EffectRow:
    test = effect.test
    removed = 1 - (test.standard_error / raw_error) ** 2 if raw_error > 0 else 0.0
    return EffectRow(
        arm,
        method,
        test.effect,
        *test.ends(),
        test.p_value,
        test.standard_error,
        test.freedom,
        effect.control,
        np.nan if method == RATIO else removed,
    )


def _skewness_findings(arms: Arms, values: Numbers) -> tuple[str, ...]:
    """A sentence for each arm whose difference from the control is so skewed that its interval is too narrow.

    The skewness of the difference is that of the outcome, times (1/n^2 of the arm - 1/n^2 of the control) over the cube
    of the standard error: 0 for equal arms, whose tails cancel. The outcome's is estimated from both arms, because a
    small arm seldom shows it.
    """
    count, groups = arms.counts, len(arms.names)
    shifted = values - values[0]
    deviation = shifted - (np.bincount(arms.code, weights=shifted, minlength=groups) / count)[arms.code]
    square = deviation * deviation
    squares, cubes = (np.bincount(arms.code, weights=one, minlength=groups) for one in (square, square * deviation))
    findings = []
    for place, arm in enumerate(arms.names[1:], 1):
        rows = count[[0, place]].astype(np.float64)
        variance = (squares[0] + squares[place]) / rows.sum()
        if variance <= 0:
            continue
        skewness = (cubes[0] + cubes[place]) / rows.sum() / variance**1.5
        of_difference = abs(skewness * (rows[1] ** -2 - rows[0] ** -2) / (1 / rows).sum() ** 1.5)
        if of_difference > MAX_SKEWNESS:
            smaller = arms.control if rows[0] < rows[1] else arm
            findings.append(
                f"{smaller} has only {int(rows.min()):,} of {int(rows.sum()):,} rows of {arm} and {arms.control}, and "
                f"the outcome has a heavy tail (skewness {skewness:.1f}): intervals of {arm} are too narrow. "
                "Read those of bootstrap_effects."
            )
    return tuple(findings)
