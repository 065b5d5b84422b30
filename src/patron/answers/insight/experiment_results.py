"""What an experiment showed, from the result that measuring it kept: money with its interval, and guard-rails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from patron.answers.insight.share_intervals import REACH_95, share_interval

HANDED_OVER = ("sent", "unknown")
"""States of messages that a channel took."""
DETECTABLE_ERRORS = REACH_95 + 0.8416212335729143
"""Standard errors from which an effect is detected with a probability of 80 %, at a level of 5 %."""
MAX_COMPLAINTS = 0.003
"""Share of messages that may be complained about: mailbox providers refuse those of a sender with more."""
ARMS = ("treated", "holdout")
Unit = Literal["count", "money", "share"]


@dataclass(frozen=True)
class Gain:
    """Net margin of the treated less that of the control group, with its 95 % interval; cents."""

    customer_cents: float
    customer_low: float
    customer_high: float
    """Of each treated customer, or decision."""
    total_cents: float
    total_low: float
    total_high: float
    """Of all treated together."""
    standard_error: float
    """Of the effect on each, at a single look."""

    @classmethod
    def of(cls, cents: float, low: float, high: float, *, error: float, treated: int) -> "Gain":
        """The gain of so many treated."""
        return cls(cents, low, high, cents * treated, low * treated, high * treated, error)


@dataclass(frozen=True)
class GuardRail:
    """A metric that must not become worse: the treated against the control group, or against what is usual."""

    metric: str
    """orders, refunds, unsubscribed or complained."""
    verdict: str
    """safe, harmed or unclear."""
    unit: Unit
    value: float
    """Orders and refunds: difference per customer, of refunds in cents. Others: share of the messages."""
    low: float | None
    high: float | None
    """NULL in results of an older Patron."""
    baseline: float | None
    """Mean of the control group; of unsubscribed the share of all other messages, of complained what is allowed."""


@dataclass(frozen=True)
class Arm:
    """What one arm did in the window; amounts in cents."""

    arm: str
    """treated, or holdout."""
    customer_count: int
    order_count: int
    paid_cents: int
    discount_cents: int
    refund_cents: int
    margin_cents: float


def gains(result: Mapping[str, Any]) -> tuple[Gain | None, Gain | None]:
    """The effect, adjusted for what was bought before, and the raw one; before the end with intervals for many looks.

    Both are NULL without a control group.
    """
    by_method = {effect["method"]: effect for effect in result["effects"]}
    raw, adjusted = by_method.get("raw"), by_method.get("cuped") or by_method.get("raw")
    treated, is_final = result["arms"]["treated"]["customers"], result["is_final"]
    return (
        _gain(adjusted, treated, is_final=is_final) if adjusted else None,
        _gain(raw, treated, is_final=is_final) if raw else None,
    )


def _gain(row: Mapping[str, Any], treated: int, *, is_final: bool) -> Gain:
    ends = ("low_cents", "high_cents") if is_final else ("sequence_low_cents", "sequence_high_cents")
    low, high = (row[name] for name in ends)
    return Gain.of(row["effect_cents"], low, high, error=row["standard_error"], treated=treated)


def arms(result: Mapping[str, Any]) -> tuple[Arm, ...]:
    """Both arms of a result."""
    return tuple(
        Arm(
            name,
            one["customers"],
            order_count=one["orders"],
            paid_cents=one["paid_cents"],
            discount_cents=one["discount_cents"],
            refund_cents=one["refund_cents"],
            margin_cents=one["margin_cents"],
        )
        for name in ARMS
        if (one := result["arms"].get(name))
    )


def guard_rails(result: Mapping[str, Any], usual_unsubscribed: float | None) -> tuple[GuardRail, ...]:
    """Guard-rails of a result; `usual_unsubscribed` is the share of all other messages, None without any."""
    holdout = result["arms"]["holdout"]
    count = holdout["customers"] or 1
    baselines = {"orders": holdout["orders"] / count, "refunds": holdout["refund_cents"] / count}
    rails = [
        GuardRail(
            rail["metric"],
            rail["verdict"],
            unit="count" if rail["metric"] == "orders" else "money",
            value=rail["effect"],
            low=rail.get("low"),
            high=rail.get("high"),
            baseline=baselines[rail["metric"]],
        )
        for rail in result["guard_rails"]
    ]
    sent = sum(result["message_counts"].get(state, 0) for state in HANDED_OVER)
    if not sent:
        return tuple(rails)
    for metric, limit in (("unsubscribed", usual_unsubscribed), ("complained", MAX_COMPLAINTS)):
        times = min(result["receipt_counts"].get(metric, 0), sent)
        low, high = share_interval(times, sent)
        is_known = limit is not None
        verdict = "harmed" if is_known and low > limit else "safe" if is_known and high < limit else "unclear"
        rails.append(GuardRail(metric, verdict, unit="share", value=times / sent, low=low, high=high, baseline=limit))
    return tuple(rails)


def baseline_cents(result: Mapping[str, Any]) -> float | None:
    """Margin of each customer of the control group, cents; None without one."""
    holdout = result["arms"]["holdout"]
    return holdout["margin_cents"] / holdout["customers"] if holdout["customers"] else None
