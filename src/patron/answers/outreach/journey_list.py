"""Journeys as people look at them: the list, and one with its versions, plan, steps, entries and messages."""

from dataclasses import dataclass
from datetime import datetime

from patron.answers.outreach.campaign_list import (
    READ_CAMPAIGNS,
    DraftDetail,
    sent_counts,
    sent_of,
    shared_detail,
)
from patron.govern.access.operations import operation
from patron.schema.outreach.draft_name import DraftName
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES
from patron.storage.outreach.journey_file import (
    JOURNEY,
    DateTrigger,
    EventTrigger,
    Journey,
    ProductTrigger,
    SegmentTrigger,
    Trigger,
)
from patron.storage.outreach.outreach_counts import EntryCounts, WaitingCount, entry_counts, row_counts, waiting_counts
from patron.storage.outreach.versioned_drafts import SavedVersion
from patron.storage.shop import Shop


@dataclass(frozen=True)
class JourneyLine:
    """One journey of the list; amounts in cents."""

    name: str
    version: int
    state: str
    trigger: str
    """What makes customers enter, in words."""
    channel: str
    step_count: int
    monthly_budget_cents: int
    start: datetime | None
    """By the shop's clock, as is the end; NULL: once it is approved."""
    end: datetime | None
    """NULL: never."""
    entry_count: int
    """How often customers entered."""
    active_count: int
    """Of these, how many are on their way."""
    sent_messages: int
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, kw_only=True)
class JourneyDetail(DraftDetail):
    """One journey: what it is, how far it is, and what came of it."""

    line: JourneyLine
    entries: EntryCounts
    waiting: tuple[WaitingCount, ...]
    """Customers on their way, by version and step that is next."""


@operation(READ_CAMPAIGNS, "GET /api/journeys")
def list_journeys(shop: Shop) -> tuple[JourneyLine, ...]:
    """Every journey: its state, what makes customers enter, how many did, and its messages."""
    sent, table = sent_counts(shop), JOURNEY_ENTRIES.c
    entered = row_counts(shop.store, table.journey)
    active = row_counts(shop.store, table.journey, table.state == "active")
    return tuple(
        _line(one, sent.get(one.name, 0), entered.get(one.name, 0), active.get(one.name, 0))
        for one in JOURNEY.all_saved_in(shop.store)
    )


@operation(READ_CAMPAIGNS, "GET /api/journeys/{name}")
def show_journey(shop: Shop, name: DraftName) -> JourneyDetail:
    """One journey: its versions, steps, plan, entries, messages and result. Raises NotFound."""
    saved, entries = JOURNEY.saved_in(shop.store, name), entry_counts(shop.store, name)
    facts, active = shared_detail(shop, saved), entries.states.get("active", 0)
    line = _line(saved, sent_of(facts), entries.total, active)
    return JourneyDetail(**facts, line=line, entries=entries, waiting=waiting_counts(shop.store, name))


def trigger_in_words(trigger: Trigger) -> str:
    """What makes customers enter, in a few words."""
    match trigger:
        case EventTrigger():
            first = "first " if trigger.is_first else ""
            return f"{first}{trigger.event}" + (f", of {trigger.segment}" if trigger.segment else "")
        case SegmentTrigger():
            return f"enters {trigger.enters}" + (", or is a member" if trigger.includes_members else "")
        case ProductTrigger():
            return trigger.product.replace("_", " ")
        case DateTrigger():
            return f"{trigger.days_before} days before the {trigger.date}" if trigger.days_before else trigger.date


def _line(saved: SavedVersion[Journey], sent: int, entered: int, active: int) -> JourneyLine:
    journey = saved.content
    return JourneyLine(
        name=saved.name,
        version=saved.version,
        state=saved.state,
        trigger=trigger_in_words(journey.trigger),
        channel=journey.channel,
        step_count=len(journey.steps),
        monthly_budget_cents=journey.monthly_budget_cents,
        start=journey.start,
        end=journey.end,
        entry_count=entered,
        active_count=active,
        sent_messages=sent,
        saved_by=saved.saved_by,
        saved_at=saved.saved_at,
    )
