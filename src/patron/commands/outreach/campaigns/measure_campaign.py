"""The result of a campaign: what it caused, what it cost, how that compares with the forecast, what was learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from patron.commands.outreach.campaigns.campaign_arms import campaign_arms
from patron.commands.outreach.campaigns.campaign_results import (
    AgainstForecast,
    MarginEffect,
    SendResult,
    conclusion,
    findings,
    keep_result,
    sending_cents,
    shared_result,
)
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.measure.campaign_outcomes import campaign_outcomes_query
from patron.measure.effect_estimates import TREATED
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadCampaign
from patron.schema.outreach.draft_name import DraftName
from patron.schema.sentences import Sentence
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
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

NOT_RUN_YET = Sentence(
    "not_run_yet",
    "{name!r} starts at {start}, but the last run knows facts only until {until}",
)
NOTHING_SENT = Sentence("nothing_sent", "{name!r} is {state}: nothing was sent")
IMPORT_AND_RUN = Sentence("import_and_run", "Import what happened since and run the loop with `patron run`.")

NOT_SENT_YET = Sentence("approve_and_send", "Approve and send it first; see `patron campaign show`.")


@dataclass(frozen=True, kw_only=True)
class CampaignResult(SendResult):
    """The result of a campaign; amounts in cents."""

    campaign: str
    against_forecast: AgainstForecast | None
    gain_factor: float | None
    """Gain as a multiple of what was assumed, which the next plan learns from."""
    gain_factor_error: float | None


@operation(
    Right(Action.ACT, Area.CAMPAIGNS),
    "POST /api/campaigns/{name}/result",
    audit=AuditAction.CAMPAIGN_MEASURED,
    name_field="by",
)
def measure_campaign(context: RequestContext, name: DraftName) -> CampaignResult:
    """Measure against the holdout by the last run; before the end this is the result so far.

    Once its window is over by then, the result is kept as the step `measured`.

    Raises NotFound, NoRunYet, BadCampaign where nothing can have happened yet.
    """
    saved, result = _measure(context.shop, name, context.now)
    if result.is_final and saved.state in {APPROVED, RUNNING, PAUSED, ENDED, MEASURED}:
        return keep_result(context, CAMPAIGN, saved, result)
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
        raise BadCampaign(NOTHING_SENT(name=saved.name, state=state), where="campaign", todo=NOT_SENT_YET)
    if snapshot.run.as_of <= start:
        until = snapshot.run.as_of.astimezone(start.tzinfo)
        what = NOT_RUN_YET(name=saved.name, start=f"{start:%Y-%m-%d %H:%M}", until=f"{until:%Y-%m-%d %H:%M}")
        raise BadCampaign(what, where="campaign", todo=IMPORT_AND_RUN)


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
    arms, plan = campaign_arms(shop.store, snapshot, saved.name), saved.last("planned")
    forecast = plan.details["forecast"] if plan else {}
    sql = campaign_outcomes_query(start, until, shop.settings.shop.margin_share, shop.policy.offers)
    people = arms.people
    facts = shared_result(
        shop,
        saved,
        snapshot,
        everybody=people,
        counted=people,
        outcomes_sql=sql,
        sending=sending_cents(shop, people),
        forecast_cents=float(forecast.get("window_cost_cents", 0.0)),
        now=now,
    )
    best = facts["effects"][-1] if facts["effects"] else None
    comparison, is_sent = _against(forecast, best), any(people["is_sent"].to_pylist())
    treated = sum(arm == TREATED for arm in people["arm"].to_pylist())
    # why: a campaign of which nothing was sent teaches nothing about what messages bring
    factor, error = _gain_factor(forecast, best if is_sent else None, treated)
    found = findings(people, facts["sample_ratio_p_value"], arms.merged_count)
    return CampaignResult(
        **facts,
        campaign=saved.name,
        until=until,
        is_final=is_final,
        against_forecast=comparison,
        gain_factor=factor,
        gain_factor_error=error,
        findings=tuple(map(str, found)),
        finding_texts=tuple(text.plain() for text in found),
        learned=conclusion(best, comparison, factor, shop.settings.shop.currency, is_final=is_final),
    )


def _against(forecast: Mapping[str, Any], best: MarginEffect | None) -> AgainstForecast | None:
    if best is None or not forecast:
        return None
    low, high = forecast["measured_low_cents"], forecast["measured_high_cents"]
    is_within = low is not None and low <= best.total_cents <= high
    return AgainstForecast(
        forecast["margin_cents"], low, high_cents=high, actual_cents=best.total_cents, is_within=is_within
    )


def _gain_factor(
    forecast: Mapping[str, Any], best: MarginEffect | None, treated: int
) -> tuple[float | None, float | None]:
    """Gain before costs over what was assumed, and its standard error."""
    assumed = float(forecast.get("assumed_gain_cents", 0.0))
    if best is None or assumed <= 0:
        return None, None
    return (best.total_cents + float(forecast["window_cost_cents"])) / assumed, best.standard_error * treated / assumed
