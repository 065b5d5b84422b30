"""Intervals of effects that hold at every look together: look as often as you like, stop when you like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.estimators.bootstrap import LEVEL
from patron.experiments.experiment_table import Arms, Codes, read_arms, read_numbers, read_table
from patron.experiments.result_rows import ResultRows
from patron.schema.errors import BadExperiment
from patron.schema.numbers import Numbers

LOOKS = 50
TIGHTEST_AT = 10_000
FEWEST_OUTCOMES = 10
"""Rows of each arm with another outcome than the median, from which on an interval is finite."""


@dataclass(frozen=True)
class LookRow:
    """Effect of one arm at one look, in the outcome's unit; the intervals of all looks hold together, at 95 %."""

    arm: Any
    look: int
    """Number of the look, from 1."""
    n: int
    """Rows of the table so far, all arms."""
    effect: float
    """The arm's mean less the control's; NaN while one has no row."""
    low: float
    """Minus infinity while there is too little to know how the outcome varies."""
    high: float


@dataclass(frozen=True)
class ConfidenceSequence(ResultRows[LookRow]):
    """One row per arm and look, arms in their order."""

    rows: tuple[LookRow, ...]


def confidence_sequence(
    table: Any,
    *,
    group: str,
    outcome: str,
    control: Any,
    looks: Sequence[int] | None = None,
    tightest_at: int = TIGHTEST_AT,
) -> ConfidenceSequence:
    """Effects on a mean at every look at an experiment that is running, with intervals that all hold together at 95 %.

    Args:
        table: One row per randomised customer in order of arrival, a frame of any kind.
        group: Column with the arm of each row.
        outcome: Column of numbers.
        control: Arm that the others are compared with.
        looks: How many rows had arrived at each look; 50 equal steps where None.
        tightest_at: Rows of an arm and the control at which the interval is narrowest compared with that of a single
            look. Choose it before the start, about as large as the experiment, and keep it.

    Asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024): the first rows, where the
    outcome's variance is hardly known, are outside the guarantee, so that intervals are infinite until each arm has 10
    rows with another outcome than the median. The standard error is the larger one of Welch's and that of equal
    variances: of few rows with heavy tails the variance is too small just when the mean is. Raises BadExperiment,
    NotEnoughData.
    """
    rows = read_table(table)
    arms = read_arms(rows, group, control)
    values = read_numbers(rows, outcome)
    if tightest_at < 1:
        raise BadExperiment(f"{tightest_at} is not above 0", where="tightest_at")
    ends = _ends(looks, len(values))
    sums = _sums_until(ends, arms, values)
    return ConfidenceSequence(
        tuple(
            LookRow(arms.names[place], look + 1, int(end), *numbers)
            for place in range(1, len(arms.names))
            for look, (end, numbers) in enumerate(
                zip(ends.tolist(), _intervals(sums[:, [0, place]], tightest_at).tolist(), strict=True)
            )
        )
    )


def _ends(looks: Sequence[int] | None, rows: int) -> Codes:
    """How many rows there are at each look. Raises BadExperiment."""
    if looks is None:
        return np.unique(np.linspace(0, rows, LOOKS + 1)[1:].round().astype(np.int64))
    if not _are_row_counts(looks, rows):
        raise BadExperiment(
            f"{looks!r:.80} are not increasing row counts from 1 to {rows:,}",
            where="looks",
            todo="Give the rows that had arrived at each look, or None for 50 equal steps.",
        )
    return np.asarray(looks).astype(np.int64)


def _are_row_counts(looks: Any, rows: int) -> bool:
    ends = np.asarray(looks)
    if ends.ndim != 1 or not len(ends) or ends.dtype.kind not in "iuf":
        return False
    return bool((ends == np.floor(ends)).all() and (np.diff(ends) > 0).all() and ends[0] >= 1 and ends[-1] <= rows)


def _sums_until(ends: Codes, arms: Arms, values: Numbers) -> Numbers:
    """(looks, arms, 4): rows, sum and sum of squares of the outcome less its median, rows off it."""
    count, last = len(arms.names), int(ends[-1])
    block = np.searchsorted(ends, np.arange(last), side="right") * count + arms.code[:last]
    deviation = values[:last] - np.median(values)
    columns = (None, deviation, deviation**2, (deviation != 0).astype(np.float64))
    totals = [np.bincount(block, weights=one, minlength=len(ends) * count) for one in columns]
    by_look = np.stack([one.reshape(len(ends), count).astype(np.float64) for one in totals], axis=2)
    return by_look.cumsum(axis=0)


def _intervals(sums: Numbers, tightest_at: int) -> Numbers:
    """(looks, 3): effect, low and high of an arm against the control."""
    rows, totals, squares, outcomes = np.moveaxis(sums, 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = totals / rows
        within = np.maximum(squares - rows * means**2, 0.0)
        welch = (within / (rows - 1) / rows).sum(axis=1)
        equal = within.sum(axis=1) / (rows.sum(axis=1) - 2) * (1 / rows).sum(axis=1)
    effect = means[:, 1] - means[:, 0]
    error = np.sqrt(np.maximum(welch, equal))
    is_known = (outcomes >= FEWEST_OUTCOMES).all(axis=1)
    reach = np.where(is_known, error * reach_of_sequence(rows.sum(axis=1), tightest_at), np.inf)
    return np.column_stack(
        [effect, np.where(is_known, effect - reach, -np.inf), np.where(is_known, effect + reach, np.inf)]
    )


def reach_of_sequence(rows: Numbers, tightest_at: int, level: float = LEVEL) -> Numbers:
    """Standard errors on each side of an estimate after so many rows; 1.96 would hold at one look only."""
    alpha = 1 - level
    scale = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / tightest_at
    growth = rows * scale + 1
    with np.errstate(divide="ignore"):
        return np.sqrt(2 * growth / (rows * scale) * (np.log(growth) / 2 - np.log(alpha)))
