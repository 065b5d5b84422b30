"""One experiment as the list shows it, and the verdict on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from patron.answers.insight.experiment_results import Gain, GuardRail

Kind = Literal["campaign", "journey", "offers", "tasks"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Verdict = Literal["won", "lost", "inconclusive", "running", "distrusted", "placebo", "no_control"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
ALARM_LEVEL = 0.001
"""Probability of arms of such sizes below which the assignment is distrusted, as experiments are measured by."""


@dataclass(frozen=True)
class Experiment:
    """One experiment as the list shows it; amounts in cents."""

    kind: Kind
    name: str
    state: str
    verdict: Verdict
    started_at: datetime | None
    until: datetime | None
    """Orders before it count; before there is a result, when it ends. NULL: it does not end."""
    treated_count: int
    control_count: int
    gain: Gain | None
    """Adjusted for what was bought before; NULL until it was measured."""
    raw: Gain | None
    is_final: bool
    """Whether it is over; else the interval holds however often one looks."""
    baseline_cents: float | None
    """Margin of each customer of the control group."""
    detectable_cents: float | None
    """Smallest effect per customer that is detected with a probability of 80 %; NULL where that is not known."""
    sample_ratio_p_value: float | None
    """Probability of arms of such sizes, if the draw is sound."""
    guard_rails: tuple[GuardRail, ...]


def verdict_of(gain: Gain | None, p_value: float | None, *, is_final: bool, is_placebo: bool = False) -> Verdict:
    """Won or lost where the interval leaves 0 out; nothing where the arms are not as they were drawn."""
    if gain is None:
        return "no_control"
    if p_value is not None and p_value < ALARM_LEVEL:
        return "distrusted"
    if is_placebo:
        return "placebo"
    if gain.customer_low > 0 or gain.customer_high < 0:
        return "won" if gain.customer_low > 0 else "lost"
    return "inconclusive" if is_final else "running"
