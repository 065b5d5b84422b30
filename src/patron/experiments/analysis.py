"""The effect of each arm of an experiment on an outcome, raw and adjusted side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.experiments.arm_effects import ArmEffect, mean_effects, ratio_effects, stratified_effects
from patron.experiments.arm_moments import Moments
from patron.experiments.experiment_table import read_arms, read_covariates, read_levels, read_numbers, read_table
from patron.experiments.result_rows import ResultRows
from patron.experiments.skewness_findings import skewness_findings

RAW, CUPED, STRATIFIED, RATIO = "raw", "cuped", "stratified", "ratio"


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
        skewness_findings(arms, values),
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
