"""Journeys as people look at them: the list, and one with its versions, plan, steps, entries and messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patron.answers.outreach.campaign_list import (
    SENT,
    CampaignStep,
    CampaignVersion,
    details_of,
    row_counts,
    sent_counts,
    taken_step,
    versions_of,
)
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, JOURNEY_ENTRIES, MESSAGES
from patron.storage.outreach.journey_counts import EntryCounts, WaitingCount, entry_counts, waiting_counts
from patron.storage.outreach.journey_file import (
    JOURNEY,
    DateTrigger,
    EventTrigger,
    Journey,
    ProductTrigger,
    SegmentTrigger,
    Trigger,
)
from patron.storage.outreach.message_counts import receipt_counts
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


@dataclass(frozen=True)
class JourneyDetail:
    """One journey: what it is, how far it is, and what came of it."""

    line: JourneyLine
    content: Mapping[str, Any]
    """As it was saved, with the texts of its templates."""
    versions: tuple[CampaignVersion, ...]
    steps: tuple[CampaignStep, ...]
    """Steps of its life."""
    entries: EntryCounts
    assigned_count: int
    """Customers who ever entered."""
    holdout_count: int
    messages: Mapping[str, int]
    """Messages by state."""
    skipped: Mapping[str, int]
    """Messages that were not sent, by reason."""
    receipts: Mapping[str, int]
    """Messages by what became of them."""
    waiting: tuple[WaitingCount, ...]
    """Customers on their way, by version and step that is next."""
    plan: Mapping[str, Any] | None
    """The newest plan; NULL before one."""
    result: Mapping[str, Any] | None
    """The result that was kept; NULL before it ended."""


def list_journeys(shop: Shop) -> tuple[JourneyLine, ...]:
    """Every journey in its newest version, by name."""
    sent, table = sent_counts(shop), JOURNEY_ENTRIES.c
    entered, active = row_counts(shop, table.journey), row_counts(shop, table.journey, table.state == "active")
    return tuple(
        _line(one, sent.get(one.name, 0), entered.get(one.name, 0), active.get(one.name, 0))
        for one in JOURNEY.all_saved_in(shop.store)
    )


def show_journey(shop: Shop, name: str) -> JourneyDetail:
    """One journey. Raises NotFound."""
    saved, entries = JOURNEY.saved_in(shop.store, name), entry_counts(shop.store, name)
    assigned = row_counts(shop, ASSIGNMENTS.c.is_holdout, ASSIGNMENTS.c.campaign == name)
    messages = row_counts(shop, MESSAGES.c.state, MESSAGES.c.campaign == name)
    skipped = row_counts(shop, MESSAGES.c.reason, MESSAGES.c.campaign == name, MESSAGES.c.state == "skipped")
    sent = sum(messages.get(state, 0) for state in SENT)
    return JourneyDetail(
        line=_line(saved, sent, entries.total, entries.states.get("active", 0)),
        content=saved.content.model_dump(mode="json"),
        versions=versions_of(shop, name),
        steps=tuple(taken_step(one) for one in saved.steps),
        entries=entries,
        assigned_count=sum(assigned.values()),
        holdout_count=assigned.get(True, 0),
        messages=messages,
        skipped=skipped,
        receipts=receipt_counts(shop.store, name),
        waiting=waiting_counts(shop.store, name),
        plan=details_of(saved.last("planned")),
        result=details_of(saved.last("measured")),
    )


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
