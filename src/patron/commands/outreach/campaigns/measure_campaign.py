"""The result of a campaign: what it caused, what it cost, how that compares with the forecast, what was learned."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_arms import TREATED, campaign_arms, holdout_shares
from patron.commands.outreach.campaigns.campaign_effect import (
    ArmSummary,
    EffectEstimate,
    GuardRailResult,
    arm_summaries,
    estimates,
    guard_rails,
    sample_ratio,
)
from patron.commands.outreach.campaigns.campaign_findings import AgainstForecast, findings, lesson
from patron.commands.outreach.campaigns.campaign_spend import CampaignSpend, other_cents, sending_cents
from patron.govern.access import audit_log
from patron.measure.campaign_outcomes import campaign_outcomes_query
from patron.schema.errors import BadCampaign
from patron.schema.numbers import float_column
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.message_counts import message_counts, receipt_counts
from patron.storage.outreach.versioned_drafts import (
    APPROVED,
    ENDED,
    MEASURED,
    PAUSED,
    RUNNING,
    SavedVersion,
    state_in_words,
)
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot

NOT_SENT_YET = "Approve and send it first; see `patron campaign show`."


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
    saved, result = _measure(shop, name, now)
    if result.is_final and saved.state in {APPROVED, RUNNING, PAUSED, ENDED, MEASURED}:
        _keep(shop, saved, result, by=by, now=now)
        return replace(result, state=MEASURED)
    return result


def campaign_result(shop: Shop, name: str, *, now: datetime) -> CampaignResult:
    """What measuring a campaign would say now; nothing is kept. Raises as `measure_campaign`."""
    return _measure(shop, name, now)[1]


def _measure(shop: Shop, name: str, now: datetime) -> tuple[SavedVersion[Campaign], CampaignResult]:
    saved, snapshot = CAMPAIGN.saved_in(shop.store, name), last_run(shop)
    zone = ZoneInfo(shop.settings.shop.time_zone)
    start, end = saved.content.start_at(zone), saved.content.end_at(zone)
    _require_begun(saved, snapshot, start)
    until = min(end, snapshot.run.as_of)
    return saved, _result(shop, saved, snapshot, start=start, until=until, is_final=until == end, now=now)


def _require_begun(saved: SavedVersion[Campaign], snapshot: Snapshot, start: datetime) -> None:
    if saved.last("approved") is None:
        state = state_in_words(saved.state)
        raise BadCampaign(f"{saved.name!r} is {state}: nothing was sent", where="campaign", todo=NOT_SENT_YET)
    if snapshot.run.as_of <= start:
        what = (
            f"{saved.name!r} starts at {start:%Y-%m-%d %H:%M}, and the last run knows facts until"
            f" {snapshot.run.as_of.astimezone(start.tzinfo):%Y-%m-%d %H:%M}"
        )
        raise BadCampaign(what, where="campaign", todo="Import what happened since and run the loop with `patron run`.")


def _keep(shop: Shop, saved: SavedVersion[Campaign], result: CampaignResult, *, by: str, now: datetime) -> None:
    """Take the step `measured`, after `ended` where nobody has taken that yet."""
    with shop.store.begin() as connection:
        if saved.state not in {ENDED, MEASURED}:
            CAMPAIGN.take_step(connection, saved.name, "ended", saved.version, by, now)
        CAMPAIGN.take_step(connection, saved.name, "measured", saved.version, by, now, msgspec.to_builtins(result))
        audit_log.append(shop, connection, "campaign measured", {"campaign": saved.name}, at=now, by=by)


def _result(  # noqa: PLR0913 - what it depends on
    shop: Shop,
    saved: SavedVersion[Campaign],
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
    sending, other = sending_cents(shop, people), other_cents(shop, people)
    net = float_column(people, "margin_cents") - sending - other
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
        message_counts=message_counts(shop.store, saved.name),
        receipt_counts=receipt_counts(shop.store, saved.name),
        effects=effects,
        sample_ratio_p_value=srm,
        guard_rails=guard_rails(people),
        spend=CampaignSpend.of(people, sending, other, float(forecast.get("window_cost_cents", 0.0))),
        against_forecast=comparison,
        gain_factor=factor,
        gain_factor_error=error,
        findings=tuple(findings(people, srm, arms.merged_count)),
        learned=lesson(best, comparison, factor, shop.settings.shop.currency, is_final=is_final),
    )


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
