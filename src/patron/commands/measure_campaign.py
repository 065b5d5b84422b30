"""The result of a campaign: what it caused, what it cost, how that compares with the forecast, what was learned."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron.commands.campaign_arms import HOLDOUT, TREATED, campaign_arms, holdout_shares
from patron.commands.campaign_effect import (
    ArmSummary,
    EffectEstimate,
    GuardRailResult,
    arm_summaries,
    estimates,
    guard_rails,
    sample_ratio,
)
from patron.experiments.sample_ratio import ALARM_LEVEL
from patron.govern import audit_log
from patron.measure.campaign_outcomes import campaign_outcomes_query
from patron.schema.errors import BadCampaign
from patron.schema.numbers import Numbers, float_column
from patron.storage.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.campaigns import (
    APPROVED,
    ENDED,
    MEASURED,
    PAUSED,
    RUNNING,
    SavedCampaign,
    campaign_of,
    state_in_words,
    take_step,
)
from patron.storage.last_run import last_run
from patron.storage.offer_policy import Offer
from patron.storage.shop import Shop, Snapshot

NOT_SENT_YET = "Approve and send it first; see `patron campaign show`."


@dataclass(frozen=True)
class CampaignSpend:
    """What the campaign cost in its window, cents."""

    sending_cents: float
    discount_cents: float
    """Discounts on orders with the coupon of the customer's offer."""
    other_cents: float
    """Delivery and points of these orders."""
    total_cents: float
    forecast_cents: float


@dataclass(frozen=True)
class AgainstForecast:
    """Forecast against actual: incremental margin, cents."""

    forecast_cents: float
    low_cents: float | None
    high_cents: float | None
    """80 % interval of what was to be measured."""
    actual_cents: float
    is_within: bool


@dataclass(frozen=True)
class CampaignResult:
    """The result of a campaign; amounts in cents."""

    campaign: str
    version: int
    state: str
    measured_at: datetime
    run_id: str
    until: datetime
    """Orders before it count."""
    is_final: bool
    """Whether the window is over; else this is the result so far, and the interval to read is the sequence."""
    currency: str
    arms: dict[str, ArmSummary]
    message_counts: dict[str, int]
    """Messages by state."""
    receipt_counts: dict[str, int]
    """Messages by what became of them; opened and clicked are no success: machines open and click, too."""
    effects: tuple[EffectEstimate, ...]
    sample_ratio_p_value: float | None
    guard_rails: tuple[GuardRailResult, ...]
    spend: CampaignSpend
    against_forecast: AgainstForecast | None
    gain_factor: float | None
    """Gain as a multiple of what was assumed, which the next plan learns from."""
    gain_factor_error: float | None
    findings: tuple[str, ...]
    learned: str


def measure_campaign(shop: Shop, name: str, *, by: str, now: datetime) -> CampaignResult:
    """Measure a campaign by the last run; once its window is over by then, the result is kept as the step `measured`.

    Raises NotFound, NoRunYet, BadCampaign where nothing can have happened yet.
    """
    saved, snapshot = campaign_of(shop.store, name), last_run(shop)
    zone = ZoneInfo(shop.settings.shop.time_zone)
    start, end = saved.campaign.start_at(zone), saved.campaign.end_at(zone)
    _require_begun(saved, snapshot, start)
    until = min(end, snapshot.run.as_of)
    result = _result(shop, saved, snapshot, start=start, until=until, is_final=until == end, now=now)
    if result.is_final and saved.state in {APPROVED, RUNNING, PAUSED, ENDED, MEASURED}:
        _keep(shop, saved, result, by=by, now=now)
        return replace(result, state=MEASURED)
    return result


def _require_begun(saved: SavedCampaign, snapshot: Snapshot, start: datetime) -> None:
    if saved.last("approved") is None:
        state = state_in_words(saved.state)
        raise BadCampaign(f"{saved.name!r} is {state}: nothing was sent", where="campaign", todo=NOT_SENT_YET)
    if snapshot.run.as_of <= start:
        what = (
            f"{saved.name!r} starts at {start:%Y-%m-%d %H:%M}, and the last run knows facts until"
            f" {snapshot.run.as_of.astimezone(start.tzinfo):%Y-%m-%d %H:%M}"
        )
        raise BadCampaign(what, where="campaign", todo="Import what happened since and run the loop with `patron run`.")


def _keep(shop: Shop, saved: SavedCampaign, result: CampaignResult, *, by: str, now: datetime) -> None:
    """Take the step `measured`, after `ended` where nobody has taken that yet."""
    with shop.store.begin() as connection:
        if saved.state not in {ENDED, MEASURED}:
            take_step(connection, saved.name, "ended", saved.version, by, now)
        take_step(connection, saved.name, "measured", saved.version, by, now, msgspec.to_builtins(result))
        audit_log.append(shop, connection, "campaign measured", {"campaign": saved.name}, at=now)


def _result(  # noqa: PLR0913 - what it depends on
    shop: Shop,
    saved: SavedCampaign,
    snapshot: Snapshot,
    *,
    start: datetime,
    until: datetime,
    is_final: bool,
    now: datetime,
) -> CampaignResult:
    arms = campaign_arms(shop.store, snapshot, saved.name)
    sql = campaign_outcomes_query(start, until, shop.settings.shop.margin_share)
    outcomes = snapshot.query(sql, assigned=arms.people)
    people = pa.table(
        {name: arms.people[name] for name in arms.people.column_names}
        | {name: outcomes[name] for name in outcomes.column_names if name != "customer_id"}
    )
    costs = _costs(shop, people)
    net = float_column(people, "margin_cents") - costs["sending"] - costs["other"]
    people = people.append_column("net_cents", pa.array(net))
    effects, srm = estimates(people), sample_ratio(people, holdout_shares(shop.store, saved.name))
    plan = saved.last("planned")
    forecast = plan.details["forecast"] if plan else {}
    best = effects[-1] if effects else None
    comparison = _against(forecast, best)
    is_sent = any(people["is_sent"].to_pylist())
    treated = sum(one == TREATED for one in people["arm"].to_pylist())
    # why: a campaign of which nothing was sent teaches nothing about what messages bring
    factor, error = _gain_factor(forecast, best if is_sent else None, treated)
    discounts = float(float_column(people, "used_discount_cents").sum())
    sending, other = float(costs["sending"].sum()), float(costs["other"].sum())
    messages = _message_counts(shop, saved.name)
    return CampaignResult(
        campaign=saved.name,
        version=saved.version,
        state=saved.state,
        measured_at=now,
        run_id=snapshot.run.run_id,
        until=until,
        is_final=is_final,
        currency=shop.settings.shop.currency,
        arms=arm_summaries(people),
        message_counts=messages,
        receipt_counts=_receipt_counts(shop, saved.name),
        effects=effects,
        sample_ratio_p_value=srm,
        guard_rails=guard_rails(people),
        spend=CampaignSpend(
            sending, discounts, other, sending + discounts + other, float(forecast.get("window_cost_cents", 0.0))
        ),
        against_forecast=comparison,
        gain_factor=factor,
        gain_factor_error=error,
        findings=tuple(_findings(people, srm, arms.merged_count)),
        learned=_learned(best, comparison, factor, shop.settings.shop.currency, is_final=is_final),
    )


def _costs(shop: Shop, people: pa.Table) -> Mapping[str, Numbers]:
    """Cost of sending to each customer, and of their orders with the offer's coupon besides discounts, cents."""
    offers = {offer.id: offer for offer in shop.policy.offers}
    message_cents = shop.settings.value.message_cents

    def sending(offer: Offer | None) -> float:
        return message_cents if offer is None else float(offer.contact_cost_cents)

    names = people["offer"].to_pylist()
    is_sent = np.array(people["is_sent"].to_pylist(), dtype=np.bool_)
    of_offer = {name: offers.get(name) for name in set(names)}
    contact = np.array([sending(of_offer[name]) for name in names]) * is_sent
    order = np.array([float(one.cost_per_order_cents) if (one := of_offer[name]) else 0.0 for name in names])
    points = np.array([one.points_share * one.redeemed_share if (one := of_offer[name]) else 0.0 for name in names])
    other = order * float_column(people, "used_orders") + points * float_column(people, "used_paid_cents")
    return {"sending": contact, "other": other}


def _message_counts(shop: Shop, name: str) -> dict[str, int]:
    table = MESSAGES.c
    counted = sa.select(table.state, sa.func.count(table.message_id)).where(table.campaign == name)
    with shop.store.begin() as connection:
        rows = connection.execute(counted.group_by(table.state).order_by(table.state)).all()
    return {row[0]: row[1] for row in rows}


def _receipt_counts(shop: Shop, name: str) -> dict[str, int]:
    receipt, message = RECEIPTS.c, MESSAGES.c
    counted = sa.select(receipt.kind, sa.func.count(sa.distinct(receipt.message_id)))
    joined = counted.join(MESSAGES, message.message_id == receipt.message_id).where(message.campaign == name)
    with shop.store.begin() as connection:
        rows = connection.execute(joined.group_by(receipt.kind).order_by(receipt.kind)).all()
    return {row[0]: row[1] for row in rows}


def _against(forecast: Mapping[str, Any], best: EffectEstimate | None) -> AgainstForecast | None:
    if best is None or not forecast:
        return None
    low, high = forecast["measured_low_cents"], forecast["measured_high_cents"]
    is_within = low is not None and low <= best.total_cents <= high
    return AgainstForecast(forecast["margin_cents"], low, high, best.total_cents, is_within)


def _gain_factor(
    forecast: Mapping[str, Any], best: EffectEstimate | None, treated: int
) -> tuple[float | None, float | None]:
    """Gain before costs over what was assumed, and its standard error."""
    assumed = float(forecast.get("assumed_gain_cents", 0.0))
    if best is None or assumed <= 0:
        return None, None
    return (best.total_cents + float(forecast["window_cost_cents"])) / assumed, best.standard_error * treated / assumed


def _findings(people: pa.Table, srm: float | None, merged: int) -> list[str]:
    findings = []
    if not any(people["is_sent"].to_pylist()):
        findings.append("No message of it was sent, so that the next plan learns nothing from it.")
    if srm is not None and srm < ALARM_LEVEL:
        findings.append("The arms have other sizes than were drawn: distrust every effect until the cause is known.")
    wrong = sum(
        arm == HOLDOUT and is_sent
        for arm, is_sent in zip(people["arm"].to_pylist(), people["is_sent"].to_pylist(), strict=True)
    )
    if wrong:
        findings.append(f"{wrong:,} customers of the holdout were sent a message, such as before identities merged.")
    if merged:
        findings.append(f"{merged:,} assigned customers have become one with another; each person counts once.")
    return findings


def _learned(
    best: EffectEstimate | None,
    comparison: AgainstForecast | None,
    factor: float | None,
    currency: str,
    *,
    is_final: bool,
) -> str:
    """One sentence."""
    if best is None:
        return "Nothing is known of its effect, because nobody was held out."
    low, high = best.low_cents, best.high_cents
    if not is_final:
        low, high = best.sequence_low_cents, best.sequence_high_cents
    effect = f"{best.effect_cents / 100:+.2f} {currency} per customer (95 %: {low / 100:+.2f} to {high / 100:+.2f})"
    if not is_final:
        return f"So far {effect}; the window is not over."
    verdict = "It earned" if low > 0 else "It lost" if high < 0 else "Not significant:"
    against = ""
    if comparison is not None and factor is not None:
        place = "as was forecast within noise" if comparison.is_within else "outside the forecast"
        against = f"; that is {place}, a gain of {factor:.1f} times what was assumed"
    return f"{verdict} {effect}{against}."
