"""New events of customers folded into their entries, in the order in which they happened."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from patron.engage.journeys.journey_steps import (
    Entry,
    Holds,
    advance_clock,
    after_event,
    enter_step,
    entry_id_of,
    may_enter,
)
from patron.storage.outreach.journey_file import Journey

Versions = Callable[[str, int], Journey]
"""A version of a journey by its name and number."""


@dataclass(frozen=True)
class Occurrence:
    """An event of a customer that may move them on."""

    customer_id: str
    name: str
    at: datetime


@dataclass(frozen=True)
class TriggerMatch:
    """Something that makes a customer enter a journey."""

    journey: str
    version: int
    customer_id: str
    token: str | None
    at: datetime
    cause: str
    """What it is: two looks at the same thing have the same cause."""
    product_id: str | None = None


def apply_events(  # noqa: PLR0913 - what of a customer, and what of journeys
    occurrences: Iterable[Occurrence],
    matches: Iterable[TriggerMatch],
    entries: Sequence[Entry],
    *,
    versions: Versions,
    holdouts: Callable[[TriggerMatch], bool],
    holds: Holds,
    now: datetime,
) -> list[Entry]:
    """Entries of one customer that events changed, and new ones; `entries` are theirs in every journey so far.

    Of things at one time, what moves on or ends comes before what makes enter, so that an order may end one journey
    and begin the next one.
    """
    by_id = {entry.entry_id: entry for entry in entries}
    before = dict(by_id)
    things: list[tuple[datetime, bool, str, Occurrence | TriggerMatch]] = [
        *((occurrence.at, False, occurrence.name, occurrence) for occurrence in occurrences),
        *((match.at, True, match.cause, match) for match in matches),
    ]
    for at, _, _, thing in sorted(things, key=lambda one: one[:3]):
        if isinstance(thing, TriggerMatch):
            _enter(by_id, thing, versions, holdouts, holds, now)
            continue
        for one in [one for one in by_id.values() if one.is_active]:
            by_id[one.entry_id] = after_event(one, versions(one.journey, one.version), thing.name, at, holds)
    return [one for key, one in by_id.items() if before.get(key) != one]


def _enter(
    by_id: dict[str, Entry],
    match: TriggerMatch,
    versions: Versions,
    holdouts: Callable[[TriggerMatch], bool],
    holds: Holds,
    now: datetime,
) -> None:
    entry_id = entry_id_of(match.journey, match.customer_id, match.cause)
    if entry_id in by_id:
        return
    theirs = [one for one in by_id.values() if one.journey == match.journey]
    for one in theirs:
        if one.is_active:
            by_id[one.entry_id] = advance_clock(one, versions(one.journey, one.version), min(match.at, now), holds)
    latest = max(
        (by_id[their.entry_id] for their in theirs), key=lambda one: (one.is_active, one.entered_at), default=None
    )
    journey = versions(match.journey, match.version)
    if may_enter(latest, journey, match.at):
        entry = Entry(
            *(entry_id, match.journey, match.version, match.customer_id, match.token, holdouts(match)),
            *(match.at, 0, match.at, match.at),
            product_id=match.product_id,
        )
        by_id[entry_id] = enter_step(entry, journey, 0, match.at)


def by_customer(
    things: Iterable[Occurrence | TriggerMatch],
) -> Mapping[str, tuple[list[Occurrence], list[TriggerMatch]]]:
    """Occurrences and matches of each customer."""
    grouped: dict[str, tuple[list[Occurrence], list[TriggerMatch]]] = {}
    for thing in things:
        of_customer = grouped.setdefault(thing.customer_id, ([], []))
        (of_customer[1] if isinstance(thing, TriggerMatch) else of_customer[0]).append(thing)  # type: ignore[arg-type]
    return grouped


def surplus_entries(entries: Iterable[Entry], journey: Journey) -> set[str]:
    """Ids of entries of one customer in one journey that they may not have: those of customers who became one."""
    latest, surplus = None, set[str]()
    for entry in sorted(entries, key=attrgetter("entered_at", "entry_id")):
        if may_enter(latest, journey, entry.entered_at):
            latest = entry
        else:
            surplus.add(entry.entry_id)
    return surplus
