"""Guard-rails: metrics that an arm must not make fall, tested for non-inferiority."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.experiments.analysis import CUPED, RAW, analyse
from patron.experiments.effect_tests import WelchTest
from patron.experiments.result_rows import ResultRows
from patron.schema.errors import BadExperiment

SAFE = "safe"
HARMED = "harmed"
UNCLEAR = "unclear"
ONE_SIDED = 0.9
"""Level of a two-sided interval, of whose ends each is a one-sided bound at 95 %."""


@dataclass(frozen=True)
class GuardRailRow:
    """Effect of one arm on a metric that must not fall, in the metric's unit."""

    arm: Any
    effect: float
    low: float
    """The effect is above it at 95 %, one-sided."""
    high: float
    """The effect is below it at 95 %, one-sided."""
    margin: float
    """The largest fall that counts as none."""
    verdict: str
    """safe: a fall is surely below the margin; harmed: it is surely above; unclear: too few customers to know."""


@dataclass(frozen=True)
class GuardRail(ResultRows[GuardRailRow]):
    """One row per arm, in their order."""

    rows: tuple[GuardRailRow, ...]


def guard_rail(
    table: Any,
    *,
    group: str,
    outcome: str,
    control: Any,
    margin: float,
    covariate: str | Sequence[str] | None = None,
) -> GuardRail:
    """Whether a metric fell by less than a margin, in its unit; by CUPED where there is a covariate.

    A metric that must not rise, such as refunds, is negated first. Not significant is not safe: with few customers
    nothing is significant, and the verdict is unclear. Raises BadExperiment, NotEnoughData.
    """
    if not (np.isfinite(margin) and margin > 0):
        todo = "Give the largest fall that the shop would accept."
        raise BadExperiment(f"{margin} is not above 0", where="margin", todo=todo)
    effects = analyse(table, group=group, outcome=outcome, control=control, covariate=covariate)
    method, results = RAW if covariate is None else CUPED, []
    for row in effects:
        if row.method == method:
            test = WelchTest(row.effect, row.standard_error, row.degrees_of_freedom)
            low, high = test.ends(ONE_SIDED)
            verdict = SAFE if low > -margin else HARMED if high < -margin else UNCLEAR
            results.append(GuardRailRow(row.arm, row.effect, low=low, high=high, margin=margin, verdict=verdict))
    return GuardRail(tuple(results))
