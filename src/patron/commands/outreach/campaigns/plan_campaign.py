"""Plan a campaign in money: who is written to with which offer and when, what it will bring, what will be known."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_assignments import PlannedRows, write_assignments
from patron.commands.outreach.campaigns.campaign_draft import CampaignDraft
from patron.commands.outreach.campaigns.campaign_forecast import (
    Assumptions,
    CampaignForecast,
    Detectable,
    detectable,
    forecast,
    margin_deviation,
    past_outcomes,
)
from patron.commands.outreach.campaigns.campaign_send_times import send_times
from patron.commands.outreach.campaigns.campaign_steps import record_step, reopen, require_same_terms
from patron.decide.campaign_selection import CampaignSelection
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadCampaign
from patron.schema.outreach.draft_name import DraftName
from patron.schema.sentences import Sentence, Text
from patron.storage.outreach.approved_terms import terms_today
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.versioned_drafts import DRAFT, person
from patron.storage.workspace.workspace_lock import WorkspaceLock

NOBODY_WRITTEN = Sentence("nobody_written", "nobody would be written to ({reasons})")
CHANGE_CAMPAIGN = Sentence(
    "change_campaign",
    "Change segment, offers, goal or budget, and save it again; [consent] of policy.toml says who may get it.",
)

PLAN_LOCK_FILE = "campaign-plan.lock"
DAY_SECONDS = 86_400
EXCLUDED = "excluded"
MEASURED_BY_RUN = "What the offers bring is measured from the run's own control group and what it randomised."
LEFT_OUT_COUNT = Sentence("left_out_count", "{count:,} {reason}")
LEFT_OUT_HOLDOUT = Sentence("left_out_holdout", "all of them are in the holdout")
REASONS_LEFT_OUT = {
    EXCLUDED: Sentence("left_out.excluded", "in a segment that the campaign excludes"),
    "no_consent": Sentence("left_out.no_consent", "may not be contacted"),
    "no_address": Sentence("left_out.no_address", "have no address for this channel"),
    "suppressed": Sentence("left_out.suppressed", "unsubscribed, or their address bounced or complained"),
    "topic_withdrawn": Sentence("left_out.topic_withdrawn", "unsubscribed from this topic"),
    "capped": Sentence("left_out.capped", "had as many messages as the policy allows until it ends"),
    "cap_reached": Sentence("left_out.cap_reached", "had as many offers lately as the policy allows"),
    "not_eligible": Sentence("left_out.not_eligible", "no offer of the campaign is for them"),
    "over_budget": Sentence("left_out.over_budget", "worth it, but the budget ends"),
    "net_value_below_zero": Sentence(
        "left_out.net_value_below_zero", "expected to cost more than they bring, or to bring nothing of the goal"
    ),
}
"""Why members of the segment are not written to."""


@dataclass(frozen=True)
class OfferPlan:
    """How many are written to with one offer, what it costs while valid, and its part of the forecast margin; cents."""

    offer: str
    """Id of the offer; empty for the message alone."""
    message_count: int
    cost_cents: float
    net_cents: float


@dataclass(frozen=True)
class CampaignPlan:
    """The plan of one version of a campaign; amounts in cents."""

    campaign: str
    version: int
    planned_at: datetime
    planned_by: str
    run_id: str
    """Run whose facts and forecasts it follows from."""
    policy_version: str
    goal: str
    currency: str
    member_count: int
    """Members of the segment."""
    assigned_count: int
    """Customers whom the experiment is about: those who are written to, and the holdout."""
    message_count: int
    holdout_count: int
    kept_count: int
    """Customers whom an earlier plan assigned and this one does not write to; they are analysed all the same."""
    left_out: dict[str, int]
    """Members who are not written to, by reason."""
    offers: tuple[OfferPlan, ...]
    budget_cents: float
    """Of the campaign."""
    period_left_cents: float
    """Left of the policy's budget in the period of the start."""
    first_send_at: datetime | None
    last_send_at: datetime | None
    forecast: CampaignForecast
    detectable: Detectable


@operation(
    Right(Action.ACT, Area.CAMPAIGNS),
    "POST /api/campaigns/{name}/plan",
    audit=AuditAction.CAMPAIGN_PLANNED,
    name_field="by",
)
def plan_campaign(context: RequestContext, name: DraftName) -> CampaignPlan:
    """Plan a campaign in money.

    The newest version, and the plan is kept; who was in the holdout stays in it.

    Nobody is planned for their quiet hours. The same facts give the same rows. Raises NotFound for the campaign or a
    segment, NoRunYet, BadCampaign for a state that does not allow it, an unknown offer, a window that is over or nobody
    to write to, WorkspaceBusy while another campaign is planned.
    """
    person(context.by)
    with WorkspaceLock(context.shop.folder / PLAN_LOCK_FILE).hold(timeout_seconds=context.shop.wait_seconds):
        saved = CAMPAIGN.saved_in(context.shop.store, name)
        CAMPAIGN.require(saved, "planned")
        context.shop.reload_settings()
        terms = terms_today(context.shop, saved.content)
        draft = CampaignDraft.of(context.shop, saved, now=context.now)
        plan, rows = _plan(draft, by=context.by, now=context.now)
        require_same_terms(CAMPAIGN, saved, terms, terms_today(context.shop, saved.content))
        if saved.state != DRAFT:  # why: its rows are what is sent, and those of the new plan nobody has approved
            reopen(context, CAMPAIGN, saved)
        write_assignments(context.shop.store, name, saved.version, rows, draft.stored, context.now)
        details, messages = msgspec.to_builtins(plan) | {"terms": terms}, plan.message_count
        record_step(context, CAMPAIGN, saved, "planned", details=details, messages=messages)
    return plan


def _plan(draft: CampaignDraft, *, by: str, now: datetime) -> tuple[CampaignPlan, PlannedRows]:
    selection, factor = draft.select()
    chosen = np.flatnonzero(selection.is_selected)
    is_holdout = draft.is_held_out[chosen]
    left_out = _left_out(selection, {EXCLUDED: draft.excluded_count, **draft.obstacles})
    if not (~is_holdout).any():
        reasons = tuple(_left_out_text(name, count) for name, count in left_out.items())
        what = NOBODY_WRITTEN(reasons=reasons or (LEFT_OUT_HOLDOUT,))
        todo = CHANGE_CAMPAIGN
        raise BadCampaign(what, where="campaign", todo=todo)
    selected, audience = selection.rows(chosen), draft.rows.select(["customer_id"]).take(pa.array(chosen))
    shop, offer = draft.shop, _offer_names(selected)
    send_at = send_times(draft.snapshot, audience, draft.window, now=now, quiet=shop.policy.messages.quiet)
    days = (draft.window.end.timestamp() - send_at) / DAY_SECONDS
    settings = shop.settings.shop
    about = Assumptions.of(selected, ~is_holdout, np.maximum(days, 0.0), settings.margin_share)
    deviation, saving = margin_deviation(about, past_outcomes(draft.snapshot, audience, draft.campaign.window))
    expected = forecast(about, factor, deviation, saving)
    net = about.net(factor.factor)
    names, response = audience["customer_id"].to_pylist(), about.response(factor.factor)
    rows = PlannedRows(
        names,
        is_holdout,
        offer=offer.tolist(),
        send_at=send_at,
        response=response,
        net_cents=net,
        cost_cents=selected.cost,
    )
    treated = int((~is_holdout).sum())
    counts = {"treated": treated, "holdout": len(chosen) - treated}
    known = detectable(counts, expected.margin_cents / treated, deviation, saving, settings.currency)
    if draft.decided is not None:
        known = replace(known, sentence=MEASURED_BY_RUN)
    first, last = _ends(send_at[~is_holdout])
    plan = CampaignPlan(
        campaign=draft.saved.name,
        version=draft.saved.version,
        planned_at=now,
        planned_by=by.strip(),
        run_id=draft.snapshot.run.run_id,
        policy_version=shop.policy.version,
        goal=draft.campaign.goal,
        currency=settings.currency,
        member_count=draft.member_count,
        assigned_count=len(chosen),
        message_count=treated,
        holdout_count=counts["holdout"],
        kept_count=len(draft.stored.keys() - set(rows.customer)),
        left_out=left_out,
        offers=_offer_plans(offer, is_holdout, selected.cost, net),
        budget_cents=float(draft.campaign.budget_cents),
        period_left_cents=draft.budget.left_cents,
        first_send_at=first,
        last_send_at=last,
        forecast=expected,
        detectable=known,
    )
    return plan, rows


def _left_out_text(name: str, count: int) -> Text:
    return LEFT_OUT_COUNT(count=count, reason=REASONS_LEFT_OUT.get(name, name))


def _ends(times: npt.NDArray[np.int64]) -> tuple[datetime, datetime]:
    """The first and the last of these times."""
    return datetime.fromtimestamp(int(times.min()), UTC), datetime.fromtimestamp(int(times.max()), UTC)


def _offer_names(selected: CampaignSelection) -> npt.NDArray[np.str_]:
    """Id of each customer's offer; '' for the message alone."""
    return np.array([*selected.offers[:-1], ""], dtype=np.str_)[selected.action]


def _offer_plans(
    offer: npt.NDArray[np.str_],
    is_holdout: npt.NDArray[np.bool_],
    cost: npt.NDArray[np.float64],
    net: npt.NDArray[np.float64],
) -> tuple[OfferPlan, ...]:
    plans = []
    for name in np.unique(offer[~is_holdout]).tolist():
        of_offer = (offer == name) & ~is_holdout
        plans.append(OfferPlan(name, int(of_offer.sum()), float(cost[of_offer].sum()), float(net[of_offer].sum())))
    return tuple(plans)


def _left_out(selection: CampaignSelection, before: Mapping[str, int]) -> dict[str, int]:
    """How many members are not written to, by reason, those included who were left out before; not the holdout."""
    names, counts = np.unique(selection.reason[~selection.is_selected], return_counts=True)
    reasons = Counter(dict(zip(names.tolist(), counts.tolist(), strict=True)))
    reasons += Counter(before)
    return dict(reasons.most_common())
