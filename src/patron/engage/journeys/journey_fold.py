"""New events of customers folded into their entries, in the order in which they happened."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from patron.engage.journeys.journey_steps import Entry, Holds, after_event, entry_id_of, may_enter, pass_time, reach
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
class Hit:
    """Something that makes a customer enter a journey."""

    journey: str
    version: int
    customer_id: str
    token: str | None
    at: datetime
    cause: str
    """What it is: two looks at the same thing have the same cause."""
    product_id: str | None = None


def fold_customer(  # noqa: PLR0913 - what of a customer, and what of journeys
    occurrences: Iterable[Occurrence],
    hits: Iterable[Hit],
    entries: Sequence[Entry],
    *,
    versions: Versions,
    holdouts: Callable[[Hit], bool],
    holds: Holds,
    now: datetime,
) -> list[Entry]:
    """Entries of one customer that events changed, and new ones; `entries` are theirs in every journey so far.

    Of things at one time, what moves on or ends comes before what makes enter, so that an order may end one journey
    and begin the next one.
    """
    by_id = {one.entry_id: one for one in entries}
    before = dict(by_id)
    things: list[tuple[datetime, bool, str, Occurrence | Hit]] = [
        *((one.at, False, one.name, one) for one in occurrences),
        *((one.at, True, one.cause, one) for one in hits),
    ]
    for at, _, _, thing in sorted(things, key=lambda one: one[:3]):
        if isinstance(thing, Hit):
            _enter(by_id, thing, versions, holdouts, holds, now)
            continue
        for one in [one for one in by_id.values() if one.is_active]:
            by_id[one.entry_id] = after_event(one, versions(one.journey, one.version), thing.name, at, holds)
    return [one for key, one in by_id.items() if before.get(key) != one]


def _enter(
    by_id: dict[str, Entry],
    hit: Hit,
    versions: Versions,
    holdouts: Callable[[Hit], bool],
    holds: Holds,
    now: datetime,
) -> None:
    entry_id = entry_id_of(hit.journey, hit.customer_id, hit.cause)
    if entry_id in by_id:
        return
    theirs = [one for one in by_id.values() if one.journey == hit.journey]
    for one in theirs:
        if one.is_active:
            by_id[one.entry_id] = pass_time(one, versions(one.journey, one.version), min(hit.at, now), holds)
    latest = max((by_id[one.entry_id] for one in theirs), key=lambda one: (one.is_active, one.entered_at), default=None)
    journey = versions(hit.journey, hit.version)
    if may_enter(latest, journey, hit.at):
        entry = Entry(
            *(entry_id, hit.journey, hit.version, hit.customer_id, hit.token, holdouts(hit)),
            *(hit.at, 0, hit.at, hit.at),
            product_id=hit.product_id,
        )
        by_id[entry_id] = reach(entry, journey, 0, hit.at)


def by_customer(things: Iterable[Occurrence | Hit]) -> Mapping[str, tuple[list[Occurrence], list[Hit]]]:
    """Occurrences and hits of each customer."""
    grouped: dict[str, tuple[list[Occurrence], list[Hit]]] = {}
    for one in things:
        of_customer = grouped.setdefault(one.customer_id, ([], []))
        (of_customer[1] if isinstance(one, Hit) else of_customer[0]).append(one)  # type: ignore[arg-type]
    return grouped


def surplus_entries(entries: Iterable[Entry], journey: Journey) -> set[str]:
    """Ids of entries of one customer in one journey that they may not have: those of customers who became one."""
    latest, surplus = None, set[str]()
    for one in sorted(entries, key=lambda one: (one.entered_at, one.entry_id)):
        if may_enter(latest, journey, one.entered_at):
            latest = one
        else:
            surplus.add(one.entry_id)
    return surplus
