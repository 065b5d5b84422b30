"""Campaigns as people look at them: the list, and one with its versions, plan, steps and messages."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.outreach.draft_name import DraftName
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, CAMPAIGNS, MESSAGES
from patron.storage.outreach.outreach_counts import message_counts, receipt_counts, row_counts
from patron.storage.outreach.pending_approvals import PendingApproval, pending_approval
from patron.storage.outreach.versioned_drafts import SavedVersion, TakenStep, VersionedDrafts
from patron.storage.runs.jobs import MAX_JOBS, TRIAL, Job, newest_jobs
from patron.storage.shop import Shop

SENT = ("sent", "unknown")
TOTALS_OF_STEPS = {
    "planned": ("run_id", "message_count", "holdout_count", "policy_version"),
    "approved": ("policy_version",),
    "reapproved": ("policy_version",),
    "pinned": (),
    "measured": ("run_id", "until", "learned"),
}
"""What is shown of the details of a step; the whole plan and result are shown once, as those of today."""

READ_CAMPAIGNS = Right(Action.READ, Area.CAMPAIGNS)


@dataclass(frozen=True)
class CampaignLine:
    """One campaign of the list; amounts in cents."""

    name: str
    version: int
    state: str
    goal: str
    channel: str
    segment: str
    """Empty where it sends the offers of a run."""
    run: str
    """Run whose offers it sends; empty where it is for a segment."""
    start: datetime
    """By the shop's clock, as is the end."""
    end: datetime
    budget_cents: int
    planned_messages: int | None
    """NULL before it is planned."""
    sent_messages: int
    forecast_cents: float | None
    """Incremental margin that the plan expects."""
    effect_cents: float | None
    """Incremental margin that was measured; NULL until then."""
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True)
class CampaignVersion:
    """One saved version."""

    version: int
    saved_at: datetime
    saved_by: str


@dataclass(frozen=True)
class VersionContent(CampaignVersion):
    """One saved version with all that it holds."""

    content: Mapping[str, Any]
    """As it was saved, with the texts of its templates."""


@dataclass(frozen=True)
class CampaignStep:
    """One step of its life."""

    step: str
    version: int
    taken_at: datetime
    taken_by: str
    details: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DraftDetail:
    """One campaign or journey: what it is, how far it is, and what came of it."""

    content: Mapping[str, Any]
    """As it was saved, with the texts of its templates."""
    versions: tuple[CampaignVersion, ...]
    steps: tuple[CampaignStep, ...]
    """Steps of its life."""
    assigned_count: int
    """Customers who were assigned to it, or ever entered."""
    holdout_count: int
    messages: Mapping[str, int]
    """Messages by state."""
    skipped: Mapping[str, int]
    """Messages that were not sent, by reason."""
    receipts: Mapping[str, int]
    """Messages by what became of them; opened and clicked are no success: machines open and click, too."""
    plan: Mapping[str, Any] | None
    """The newest plan; NULL before one."""
    result: Mapping[str, Any] | None
    """The newest result that was kept; NULL before one."""
    pending: PendingApproval | None
    """What changed since it was approved and waits for an approval; NULL where it follows all there is."""


@dataclass(frozen=True, kw_only=True)
class CampaignDetail(DraftDetail):
    """One campaign: what it is, how far it is, and what came of it."""

    line: CampaignLine
    trial: Job | None
    """The newest trial on a simulated shop that is kept; NULL without one."""


@operation(READ_CAMPAIGNS, "GET /api/campaigns")
def list_campaigns(shop: Shop) -> tuple[CampaignLine, ...]:
    """Every campaign: its state, messages, forecast and measured effect."""
    sent = sent_counts(shop)
    return tuple(_line(one, sent.get(one.name, 0)) for one in CAMPAIGN.all_saved_in(shop.store))


@operation(READ_CAMPAIGNS, "GET /api/campaigns/{name}")
def show_campaign(shop: Shop, name: DraftName) -> CampaignDetail:
    """One campaign: its versions, steps, plan, messages and result. Raises NotFound."""
    saved = CAMPAIGN.saved_in(shop.store, name)
    facts = shared_detail(shop, saved)
    return CampaignDetail(**facts, line=_line(saved, sent_of(facts)), trial=_newest_trial(shop, name))


def shared_detail(shop: Shop, saved: SavedVersion[Any]) -> Mapping[str, Any]:
    """What is shown of a campaign as well as of a journey."""
    assigned = row_counts(shop.store, ASSIGNMENTS.c.is_holdout, ASSIGNMENTS.c.campaign == saved.name)
    of_it = MESSAGES.c.campaign == saved.name
    return {
        "content": saved.content.model_dump(mode="json"),
        "versions": versions_of(shop, saved.name),
        "steps": tuple(taken_step(step) for step in saved.steps),
        "assigned_count": sum(assigned.values()),
        "holdout_count": assigned.get(True, 0),
        "messages": message_counts(shop.store, saved.name),
        "skipped": row_counts(shop.store, MESSAGES.c.reason, of_it, MESSAGES.c.state == "skipped"),
        "receipts": receipt_counts(shop.store, saved.name),
        "plan": details_of(saved.last("planned")),
        "result": details_of(saved.last("measured")),
        "pending": pending_approval(shop, saved),
    }


def sent_of(facts: Mapping[str, Any]) -> int:
    """Messages that were sent, of the facts of one campaign or journey."""
    return sum(facts["messages"].get(state, 0) for state in SENT)


def _newest_trial(shop: Shop, name: str) -> Job | None:
    trials = newest_jobs(shop.store, TRIAL, limit=MAX_JOBS)
    return next((trial for trial in trials if trial.options.get("campaign") == name), None)


def _line(saved: SavedVersion[Campaign], sent: int) -> CampaignLine:
    campaign = saved.content
    plan = details_of(saved.last("planned"))
    result = details_of(saved.last("measured"))
    against = (result or {}).get("against_forecast")
    return CampaignLine(
        name=saved.name,
        version=saved.version,
        state=saved.state,
        goal=campaign.goal,
        channel=campaign.channel,
        segment=campaign.segment,
        run=campaign.run,
        start=campaign.start,
        end=campaign.end,
        budget_cents=campaign.budget_cents,
        planned_messages=plan["message_count"] if plan else None,
        sent_messages=sent,
        forecast_cents=plan["forecast"]["margin_cents"] if plan else None,
        effect_cents=against["actual_cents"] if against else None,
        saved_by=saved.saved_by,
        saved_at=saved.saved_at,
    )


def taken_step(one: TakenStep) -> CampaignStep:
    """A step with the totals of what it found."""
    names = TOTALS_OF_STEPS.get(one.step)
    details = one.details if names is None else {name: one.details[name] for name in names if name in one.details}
    return CampaignStep(one.step, one.version, taken_at=one.taken_at, taken_by=one.taken_by, details=details)


def details_of(step: TakenStep | None) -> Mapping[str, Any] | None:
    """All that a step found; None without one."""
    return step.details if step else None


def versions_of(shop: Shop, name: str) -> tuple[CampaignVersion, ...]:
    """Every version of a campaign or a journey, the first one first."""
    table = CAMPAIGNS.c
    chosen = sa.select(table.version, table.saved_at, table.saved_by).where(table.name == name).order_by(table.version)
    with shop.store.begin() as connection:
        return tuple(CampaignVersion(row[0], utc(row[1]), row[2]) for row in connection.execute(chosen))


def planned_recipients(shop: Shop, name: str, *, limit: int) -> tuple[str, ...]:
    """Some customers whom the plan of a campaign writes to, in order of their ids."""
    table = ASSIGNMENTS.c
    planned = sa.select(table.customer_id).where(table.campaign == name, table.is_planned, ~table.is_holdout)
    with shop.store.begin() as connection:
        return tuple(connection.scalars(planned.order_by(table.customer_id).limit(limit)))


def version_contents(shop: Shop, kind: VersionedDrafts[Any], name: str) -> tuple[VersionContent, ...]:
    """Every version of a campaign or a journey with its content, the newest first. Raises NotFound."""
    kind.saved_in(shop.store, name)
    table = CAMPAIGNS.c
    columns = (table.version, table.saved_at, table.saved_by, table.content)
    chosen = sa.select(*columns).where(table.name == name).order_by(table.version.desc())
    with shop.store.begin() as connection:
        rows = connection.execute(chosen).all()
    return tuple(
        VersionContent(row[0], utc(row[1]), row[2], kind.parse(json.loads(row[3]), where=name).model_dump(mode="json"))
        for row in rows
    )


def versions_operation(kind: VersionedDrafts[Any]) -> Callable[..., tuple[VersionContent, ...]]:
    """The versions of a campaign or a journey, as an operation."""

    @operation(READ_CAMPAIGNS, f"GET /api/{kind.kind}s/{{name}}/versions")
    def list_versions(shop: Shop, name: DraftName) -> tuple[VersionContent, ...]:
        """Every version with its content, the newest first."""
        return version_contents(shop, kind, name)

    return list_versions


def sent_counts(shop: Shop) -> dict[str, int]:
    """Messages that were sent, by campaign and journey."""
    return row_counts(shop.store, MESSAGES.c.campaign, MESSAGES.c.state.in_(SENT))
