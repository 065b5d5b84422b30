"""What the results of campaigns and journeys share: what is measured of everybody, in sentences, and how it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_arms import holdout_shares
from patron.commands.outreach.messages.message_costs import message_cents
from patron.estimators.bootstrap import Interval
from patron.experiments import guard_rail, sample_ratio_mismatch
from patron.experiments.analysis import CUPED, RAW
from patron.experiments.sample_ratio import ALARM_LEVEL
from patron.govern.access.request_context import RequestContext
from patron.measure.effect_estimates import HOLDOUT, TREATED, estimate_effect, sequence_of
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.numbers import Numbers, float_column
from patron.schema.sentences import Sentence, Text
from patron.storage.outreach.outreach_counts import message_counts, receipt_counts
from patron.storage.outreach.versioned_drafts import IS_OVER, MEASURED, SavedVersion, VersionedDrafts
from patron.storage.shop import Shop, Snapshot

NOT_SENT = Sentence("finding.not_sent", "No message was sent, so the next plan learns nothing from it.")
RATIO = Sentence(
    "finding.ratio",
    "Sample ratio mismatch: the arms are not of the sizes that were drawn. Distrust every effect until"
    " the cause is known.",
)
WRONG_ARM = Sentence(
    "finding.wrong_arm",
    "{count:,} customers of the holdout were sent a message, for example before their identities were merged.",
)
MERGED = Sentence("finding.merged", "{count:,} assigned customers were merged with others; each person counts once.")
GUARD_MARGIN = 0.1
"""By which share of the holdout's mean a guarded metric may be worse."""


@dataclass(frozen=True)
class MarginEffect:
    """Net margin of the treated less that of the holdout, with its 95 % interval; cents per customer and in total."""

    method: str
    """raw, or cuped: adjusted for what was bought before the start."""
    effect_cents: float
    low_cents: float
    high_cents: float
    total_cents: float
    total_low_cents: float
    total_high_cents: float
    standard_error: float
    """Of the effect per customer."""
    variance_removed: float
    sequence_low_cents: float
    sequence_high_cents: float
    """Interval per customer for those who look before the end, or more than once: all looks hold together."""


@dataclass(frozen=True)
class GuardRailResult:
    """Whether a metric became worse than it may."""

    metric: str
    """orders, or refunds."""
    verdict: str
    """safe, harmed or unclear."""
    effect: float
    """Per customer: orders, or cents refunded."""
    low: float | None = None
    high: float | None = None
    """It is between them at 90 %: beyond each end at 5 %. None in results of an older Patron."""


@dataclass(frozen=True)
class ArmSummary:
    """What one arm did in the window; amounts in cents."""

    customers: int
    orders: int
    paid_cents: int
    discount_cents: int
    refunds: int
    refund_cents: int
    margin_cents: float
    """Net of refunds and discounts, before sending and other costs."""


@dataclass(frozen=True)
class CampaignSpend:
    """What it cost in its window, cents."""

    sending_cents: float
    discount_cents: float
    """Discounts on orders with the coupon of the customer's offer."""
    other_cents: float
    """Delivery and points of these orders."""
    total_cents: float
    forecast_cents: float

    @classmethod
    def of(cls, people: pa.Table, sending: Numbers, other: Numbers, forecast_cents: float) -> Self:
        """The sums over everybody assigned."""
        discounts = float(float_column(people, "used_discount_cents").sum())
        parts = (float(sending.sum()), discounts, float(other.sum()))
        return cls(*parts, sum(parts), forecast_cents)


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """What a campaign or a journey caused; amounts in cents."""

    version: int
    state: str
    measured_at: datetime
    run_id: str
    until: datetime
    """Orders before it count."""
    is_final: bool
    """Whether it is over, and everybody's window too; else this is the result so far: the interval is the sequence."""
    currency: str
    arms: dict[str, ArmSummary]
    """Everybody whose window counts, whatever they were sent."""
    message_counts: dict[str, int]
    """Messages by state."""
    receipt_counts: dict[str, int]
    """Messages by what became of them; opened and clicked are no success: machines open and click, too."""
    effects: tuple[MarginEffect, ...]
    sample_ratio_p_value: float | None
    guard_rails: tuple[GuardRailResult, ...]
    spend: CampaignSpend
    """Of those who count; the forecast is the plan's, of a journey that of a month."""
    findings: tuple[str, ...]
    finding_texts: tuple[dict[str, Any], ...] = ()
    """The same with codes and values; empty in results of an older Patron."""
    learned: str


Result = TypeVar("Result", bound=SendResult)


@dataclass(frozen=True)
class AgainstForecast:
    """Forecast against actual: incremental margin, cents."""

    forecast_cents: float
    low_cents: float | None
    high_cents: float | None
    """80 % interval of what was to be measured."""
    actual_cents: float
    is_within: bool


def sending_cents(shop: Shop, people: pa.Table) -> Numbers:
    """Cost of sending one message to each customer who was sent one, cents."""
    names = people["offer"].to_pylist()
    of_offer = {name: message_cents(shop, name) for name in set(names)}
    is_sent = np.array(people["is_sent"].to_pylist(), dtype=np.bool_)
    return np.array([of_offer[name] for name in names]) * is_sent


def other_cents(shop: Shop, people: pa.Table) -> Numbers:
    """Cost of each customer's orders with their offer's coupon besides discounts: delivery and points, cents."""
    offers, names = {offer.id: offer for offer in shop.policy.offers}, people["offer"].to_pylist()
    of_offer = {name: offers.get(name) for name in set(names)}
    order = np.array([float(one.cost_per_order_cents) if (one := of_offer[name]) else 0.0 for name in names])
    points = np.array([one.points_share * one.redeemed_share if (one := of_offer[name]) else 0.0 for name in names])
    return order * float_column(people, "charged_orders") + points * float_column(people, "used_paid_cents")


def shared_result(  # noqa: PLR0913 - what it depends on
    shop: Shop,
    saved: SavedVersion[Any],
    snapshot: Snapshot,
    *,
    everybody: pa.Table,
    counted: pa.Table,
    outcomes_sql: str,
    sending: Numbers,
    forecast_cents: float,
    now: datetime,
) -> Mapping[str, Any]:
    """Measure what every result shows: effects, guard rails, cost and sample ratio.

    `everybody` is who was assigned, `counted` whose window counts; `outcomes_sql` reads what these did in it.
    """
    people, outcomes = counted, snapshot.query(outcomes_sql, assigned=counted)
    for name in outcomes.column_names:
        people = people if name == "customer_id" else people.append_column(name, outcomes[name])
    other = other_cents(shop, people)
    people = people.append_column("net_cents", pa.array(float_column(people, "margin_cents") - sending - other))
    return {
        "version": saved.version,
        "state": saved.state,
        "measured_at": now,
        "run_id": snapshot.run.run_id,
        "currency": shop.settings.shop.currency,
        "arms": arm_summaries(people),
        "message_counts": message_counts(shop.store, saved.name),
        "receipt_counts": receipt_counts(shop.store, saved.name),
        "effects": estimates(people),
        "guard_rails": guard_rails(people),
        "sample_ratio_p_value": sample_ratio(everybody, holdout_shares(shop.store, saved.name)),
        "spend": CampaignSpend.of(people, sending, other, forecast_cents),
    }


def keep_result(
    context: RequestContext, drafts: VersionedDrafts[Any], saved: SavedVersion[Any], result: Result
) -> Result:
    """Take the step `measured`, after `ended` where nobody has taken that yet."""
    with context.shop.store.begin() as connection:
        if saved.state not in IS_OVER:
            drafts.take_step(connection, saved.name, "ended", saved.version, context.by, context.now)
        details = msgspec.to_builtins(result)
        drafts.take_step(connection, saved.name, "measured", saved.version, context.by, context.now, details)
        context.record(connection, AuditAction(f"{drafts.kind} measured"), {drafts.kind: saved.name})
    return replace(result, state=MEASURED)


def estimates(people: pa.Table) -> tuple[MarginEffect, ...]:
    """The effect on `net_cents` by both methods; nothing without a holdout. `before_cents` is the covariate."""
    found = estimate_effect(people, "net_cents", covariate="before_cents")
    if found is None:
        return ()
    looks = found.treated_count + found.control_count
    raw = sequence_of(found.raw.value, found.raw_error, looks, looks)
    effects = [_margin_effect(RAW, found.raw, found.raw_error, raw, treated=found.treated_count)]
    if found.is_adjusted:
        adjusted = found.adjusted, found.standard_error, found.sequence
        effects.append(_margin_effect(CUPED, *adjusted, treated=found.treated_count, removed=found.variance_removed))
    return tuple(effects)


def _margin_effect(
    method: str, found: Interval, error: float, sequence: Interval, *, treated: int, removed: float = 0.0
) -> MarginEffect:
    return MarginEffect(
        method=method,
        effect_cents=found.value,
        low_cents=found.low,
        high_cents=found.high,
        total_cents=found.value * treated,
        total_low_cents=found.low * treated,
        total_high_cents=found.high * treated,
        standard_error=error,
        variance_removed=removed,
        sequence_low_cents=sequence.low,
        sequence_high_cents=sequence.high,
    )


def guard_rails(people: pa.Table) -> tuple[GuardRailResult, ...]:
    """Orders must not fall, and refunds not rise, by more than a tenth of the holdout's mean."""
    is_holdout = np.array([arm == HOLDOUT for arm in people["arm"].to_pylist()], dtype=np.bool_)
    results = []
    for metric, values in _guarded(people).items():
        mean = abs(float(values[is_holdout].mean())) if is_holdout.any() else 0.0
        if not mean:
            continue
        table = pa.table({"arm": people["arm"], "value": values})
        try:
            row = guard_rail(table, group="arm", outcome="value", control=HOLDOUT, margin=GUARD_MARGIN * mean).rows[0]
        except (BadExperiment, NotEnoughData):
            continue
        ends = (row.effect, row.low, row.high) if metric == "orders" else (-row.effect, -row.high, -row.low)
        results.append(GuardRailResult(metric, row.verdict, *ends))
    return tuple(results)


def _guarded(people: pa.Table) -> Mapping[str, Numbers]:
    return {"orders": float_column(people, "order_count"), "refunds": -float_column(people, "refund_cents")}


def sample_ratio(people: pa.Table, shares: set[float]) -> float | None:
    """p-value of the arms' sizes, if the draw is sound; None where versions had other shares, or without a holdout."""
    share = next(iter(shares))
    if len(shares) > 1 or not share or not people.num_rows:
        return None
    holdout = sum(arm == HOLDOUT for arm in people["arm"].to_pylist())
    counts = {TREATED: people.num_rows - holdout, HOLDOUT: holdout}
    return sample_ratio_mismatch(counts=counts, weights={TREATED: 1 - share, HOLDOUT: share}).p_value


def arm_summaries(people: pa.Table) -> dict[str, ArmSummary]:
    """What each arm did in the window."""
    arm = np.array(people["arm"].to_pylist(), dtype=np.str_)
    summaries = {}
    for name in (TREATED, HOLDOUT):
        of_arm = arm == name

        def total(column: str, which: np.ndarray = of_arm) -> float:
            return float(float_column(people, column)[which].sum())

        summaries[name] = ArmSummary(
            int(of_arm.sum()),
            int(total("order_count")),
            paid_cents=int(total("paid_cents")),
            discount_cents=int(total("discount_cents")),
            refunds=int(total("refund_count")),
            refund_cents=int(total("refund_cents")),
            margin_cents=total("margin_cents"),
        )
    return summaries


def findings(people: pa.Table, srm: float | None, merged: int) -> list[Text]:
    """What is wrong with the arms, or with what was sent."""
    sentences: list[Text] = []
    if not any(people["is_sent"].to_pylist()):
        sentences.append(NOT_SENT)
    if srm is not None and srm < ALARM_LEVEL:
        sentences.append(RATIO)
    wrong = sum(
        arm == HOLDOUT and is_sent
        for arm, is_sent in zip(people["arm"].to_pylist(), people["is_sent"].to_pylist(), strict=True)
    )
    if wrong:
        sentences.append(WRONG_ARM(count=wrong))
    if merged:
        sentences.append(MERGED(count=merged))
    return sentences


def conclusion(
    best: MarginEffect | None,
    comparison: AgainstForecast | None,
    factor: float | None,
    currency: str,
    *,
    is_final: bool,
    so_far: str = "the window is not over",
) -> str:
    """What was learned, in one sentence; `so_far` says why that is not the end."""
    if best is None:
        return "Nothing is known of its effect, because nobody was held out."
    low, high = best.low_cents, best.high_cents
    if not is_final:
        low, high = best.sequence_low_cents, best.sequence_high_cents
    effect = f"{best.effect_cents / 100:+.2f} {currency} per customer (95 %: {low / 100:+.2f} to {high / 100:+.2f})"
    if not is_final:
        return f"So far {effect}; {so_far}."
    verdict = "It earned" if low > 0 else "It lost" if high < 0 else "Not significant:"
    against = ""
    if comparison is not None and factor is not None:
        place = "as was forecast within noise" if comparison.is_within else "outside the forecast"
        against = f"; that is {place}, a gain of {factor:.1f} times what was assumed"
    return f"{verdict} {effect}{against}."
