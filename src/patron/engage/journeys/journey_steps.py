"""Where a customer stands in a journey after time goes by, and after an event: pure functions of entry and journey.

Events and waits are compared by when things happened, never by when they were heard of: steps that were due before an
event are taken before it, and a wait that an event ends goes on from the event's time. Steps that send are taken by
nobody here; an entry stays at one until its message is settled.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from patron.schema.events import ALIASES
from patron.schema.outreach.journey_states import EXIT_EVENT, EXIT_STEP, EntryState
from patron.segments.segment_sql import ORDER, ORDERS
from patron.storage.outreach.journey_file import Branch, Exit, Journey, JourneyStep, Wait, WaitFor

ID_LENGTH = 32
INSTANT = timedelta(microseconds=1)
"""Shortest time there is: a step due now is due before now and this."""


@dataclass(frozen=True)
class Entry:
    """A customer in a journey: one row of JOURNEY_ENTRIES."""

    entry_id: str
    journey: str
    version: int
    customer_id: str
    token: str | None
    is_holdout: bool
    entered_at: datetime
    step: int
    reached_at: datetime
    due_at: datetime
    state: str = EntryState.ACTIVE
    reason: str = ""
    product_id: str | None = None
    ended_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether the customer is on the way."""
        return self.state == EntryState.ACTIVE


Holds = Callable[[Entry, int], bool | None]
"""Whether the rule of the branch at a place holds for the customer of an entry; None where that is not known yet."""


def entry_id_of(journey: str, customer_id: str, cause: str) -> str:
    """Id of the entry that an event, a run or a date leads to: the same one however often it is looked at."""
    return hashlib.sha256(f"{journey}/{customer_id}/{cause}".encode()).hexdigest()[:ID_LENGTH]


def event_names(name: str) -> tuple[str, ...]:
    """Names under which the events of a name are stored: orders also come line by line."""
    stored = ALIASES.get(name, name)
    return ORDERS if stored == ORDER else (stored,)


def step_of(entry: Entry, journey: Journey) -> JourneyStep | None:
    """The step that is next; None once the customer is out."""
    return journey.steps[entry.step] if entry.is_active else None


def enter_step(entry: Entry, journey: Journey, place: int, at: datetime) -> Entry:
    """The entry at a step that is reached at a time; behind the last one it is finished."""
    if place >= len(journey.steps):
        return replace(entry, step=place, reached_at=at, due_at=at, state=EntryState.FINISHED, ended_at=at)
    step = journey.steps[place]
    due_at = at + step.duration if isinstance(step, Wait | WaitFor) else at
    return replace(entry, step=place, reached_at=at, due_at=due_at)


def leave(entry: Entry, reason: str, at: datetime) -> Entry:
    """The entry, ended for a reason."""
    return replace(entry, state=EntryState.LEFT, reason=reason, ended_at=max(at, entry.entered_at))


def advance_clock(entry: Entry, journey: Journey, until: datetime, holds: Holds) -> Entry:
    """Take every step that is due before a time, up to one that sends or a branch that cannot be decided."""
    while entry.is_active and entry.due_at < until:
        match step_of(entry, journey):
            case Wait():
                entry = enter_step(entry, journey, entry.step + 1, entry.due_at)
            case WaitFor(otherwise=otherwise):
                entry = enter_step(entry, journey, journey.place_after(entry.step, otherwise), entry.due_at)
            case Branch() as branch:
                is_true = holds(entry, entry.step)
                if is_true is None:
                    return entry
                target = branch.then if is_true else branch.otherwise
                entry = enter_step(entry, journey, journey.place_after(entry.step, target), entry.due_at)
            case Exit():
                entry = leave(entry, EXIT_STEP, entry.due_at)
            case _:
                return entry
    return entry


def after_event(entry: Entry, journey: Journey, name: str, at: datetime, holds: Holds) -> Entry:
    """The entry after an event of the customer; what happened before they entered changes nothing."""
    if not entry.is_active or at <= entry.entered_at:
        return entry
    entry = advance_clock(entry, journey, at, holds)
    if not entry.is_active:
        return entry
    if any(name in event_names(one) for one in journey.exit_on):
        return leave(entry, EXIT_EVENT, at)
    step = step_of(entry, journey)
    if isinstance(step, WaitFor) and name in event_names(step.event) and entry.reached_at < at <= entry.due_at:
        return enter_step(entry, journey, journey.place_after(entry.step, step.then), at)
    return entry


def may_enter(latest: Entry | None, journey: Journey, at: datetime) -> bool:
    """Whether a customer may enter at a time; `latest` is their last entry, if any."""
    if latest is None:
        return True
    if latest.is_active or journey.reenter_after_days is None or latest.ended_at is None:
        return False
    return at >= latest.entered_at + timedelta(days=journey.reenter_after_days) and at >= latest.ended_at


def listened_events(journey: Journey) -> frozenset[str]:
    """Names, as they are stored, of the events that may move a customer on or end the journey for them."""
    waits = (step.event for step in journey.steps if isinstance(step, WaitFor))
    return frozenset(name for one in (*journey.exit_on, *waits) for name in event_names(one))


def has_branches(journey: Journey) -> bool:
    """Whether any step needs to know what a run found."""
    return any(isinstance(step, Branch) for step in journey.steps)


def latest_send(reached_at: datetime, within_hours: float) -> datetime:
    """From when on a message is too late that is due since a time."""
    return reached_at + timedelta(hours=within_hours)
