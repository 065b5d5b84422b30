"""A journey on the events of the past: who would have entered it, who would have left, and what it would have sent."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from patron.schema.events import ALIASES
from patron.schema.segment_parser import parse_rule
from patron.schema.segment_sql import END_OF_TIME, ORDER, ORDERS, segment_query
from patron.schema.tables import SEGMENT_MEMBERS
from patron.storage.engine import literal, timestamp
from patron.storage.journey_file import (
    Branch,
    EventTrigger,
    Exit,
    Journey,
    SegmentTrigger,
    Send,
    Wait,
    WaitFor,
)
from patron.storage.segment_query import member_ids, query_members, snapshot_scope
from patron.storage.shop import Snapshot

Times = Mapping[str, Mapping[str, Sequence[datetime]]]
"""When each customer did what, in order: by event, then customer."""


@dataclass(frozen=True)
class Walk:
    """One customer's way through a journey."""

    customer_id: str
    entered_at: datetime
    sent: tuple[tuple[int, datetime], ...]
    """Place of each step that sends something, and when it is due."""
    has_left: bool
    """Whether an event of `exit_on` ended it."""
    ended_at: datetime


@dataclass(frozen=True)
class Known:
    """What a walk depends on."""

    times: Times = field(default_factory=dict)
    members: Mapping[int, Collection[str]] = field(default_factory=dict)
    """Customers for whom the rule of a branch holds, by the place of the step."""


def walk(journey: Journey, customer_id: str, entered_at: datetime, known: Known) -> Walk:
    """One customer's way; every step leads to a later one, so that there is an end."""
    exits = [_next_time(known.times, event, customer_id, entered_at) for event in journey.exit_on]
    left_at = min((one for one in exits if one is not None), default=None)
    at, place, sent = entered_at, 0, []
    while place < len(journey.steps):
        step, target = journey.steps[place], ""
        match step:
            case Wait():
                at += step.duration
            case WaitFor():
                came_at = _next_time(known.times, step.event, customer_id, at)
                has_come = came_at is not None and came_at <= at + step.duration
                at, target = (came_at, step.then) if has_come and came_at else (at + step.duration, step.otherwise)
            case Branch():
                target = step.then if customer_id in known.members.get(place, ()) else step.otherwise
            case Send() if left_at is None or at < left_at:
                sent.append((place, at))
            case Exit():
                return Walk(customer_id, entered_at, tuple(sent), has_left=False, ended_at=at)
            case _:
                pass
        if left_at is not None and left_at <= at:
            return Walk(customer_id, entered_at, tuple(sent), has_left=True, ended_at=left_at)
        place = journey.place_after(place, target)
    return Walk(customer_id, entered_at, tuple(sent), has_left=False, ended_at=at)


def _next_time(times: Times, event: str, customer_id: str, after: datetime) -> datetime | None:
    of_customer = times.get(event, {}).get(customer_id, ())
    place = bisect_right(of_customer, after)
    return of_customer[place] if place < len(of_customer) else None


def replay(snapshot: Snapshot, journey: Journey, *, since: datetime, until: datetime) -> list[Walk] | None:
    """Everybody's way through a journey who would have entered between two times, by when they entered.

    Events after the run are not known: a message that is due later counts unless its customer has left by then.
    Branches go by today's members. None for a trigger that cannot be replayed: a date of the vault, or a change of
    products.
    """
    entries = _entries(snapshot, journey, since, until)
    if entries is None:
        return None
    customers = pa.table({"customer_id": pa.array(sorted({one for one, _ in entries}), pa.string())})
    waits = {step.event for step in journey.steps if isinstance(step, WaitFor)}
    names = [*journey.exit_on, *sorted(waits)]
    known = Known(_times(snapshot, names, customers, since, until), _members(snapshot, journey))
    days = journey.reenter_after_days
    walks: list[Walk] = []
    last: dict[str, Walk] = {}
    for customer, at in entries:
        before = last.get(customer)
        if before is not None and (days is None or at < max(before.entered_at + timedelta(days), before.ended_at)):
            continue
        last[customer] = walk(journey, customer, at, known)
        walks.append(last[customer])
    return walks


def _entries(
    snapshot: Snapshot, journey: Journey, since: datetime, until: datetime
) -> list[tuple[str, datetime]] | None:
    """Customers and when they would have entered, in order of time."""
    trigger = journey.trigger
    if isinstance(trigger, EventTrigger):
        first = "min(came_at) as came_at" if trigger.is_first or journey.reenter_after_days is None else "came_at"
        grouped = " group by customer_id" if first != "came_at" else ""
        start = None if trigger.is_first else since
        came = f"select customer_id, {first} from ({_events_sql([trigger.event], start, until)}) c{grouped}"
        sql = f"select customer_id, came_at from ({came}) e where came_at >= {timestamp(since)}"
        rows = snapshot.query(f"{sql} order by came_at, customer_id")
        if trigger.segment:
            members = set(member_ids(snapshot, trigger.segment)["customer_id"].to_pylist())
            return [one for one in _pairs(rows) if one[0] in members]
        return _pairs(rows)
    if isinstance(trigger, SegmentTrigger):
        return _segment_entries(snapshot, trigger, since, until)
    return None


def _segment_entries(
    snapshot: Snapshot, trigger: SegmentTrigger, since: datetime, until: datetime
) -> list[tuple[str, datetime]]:
    entries = []
    if snapshot.table_version(SEGMENT_MEMBERS.name) is not None:
        of_segment = f"from segment_members where segment = {literal(trigger.enters)}"
        # why: whom the first run of a segment has, has not become a member then
        sql = (
            f"select customer_id, entered_at as came_at {of_segment}"
            f" and entered_at > (select min(entered_at) {of_segment})"
            f" and entered_at > {timestamp(since)} and entered_at <= {timestamp(until)} order by came_at, customer_id"
        )
        entries = _pairs(snapshot.query(sql))
    if trigger.includes_members:
        members = member_ids(snapshot, trigger.enters)["customer_id"].to_pylist()
        entries = [(one, since) for one in members] + entries
    return entries


def _pairs(rows: pa.Table) -> list[tuple[str, datetime]]:
    return list(zip(rows["customer_id"].to_pylist(), rows["came_at"].to_pylist(), strict=True))


def _events_sql(names: Sequence[str], since: datetime | None, until: datetime) -> str:
    """SQL for customer_id, name and time of events; each belongs to whom its token belonged to when it came.

    Lines of orders count as the order that a rule of the same name counts.
    """
    wanted = {ALIASES.get(name, name) for name in names}
    wanted |= set(ORDERS) if ORDER in wanted else set()
    conditions = [f"e.name in ({', '.join(map(literal, sorted(wanted)))})", f"e.known_at < {timestamp(until)}"]
    conditions += [f"e.occurred_at < {timestamp(until)}"]
    if since is not None:
        conditions += [f"e.occurred_at >= {timestamp(since)}", f"e.month >= {literal(since.strftime('%Y-%m'))}"]
    return f"""
select distinct i.customer_id, case when e.name in ({", ".join(map(literal, ORDERS))}) then {literal(ORDER)}
  else e.name end as name, e.occurred_at as came_at
from events e
join identities i on i.token = coalesce(e.user_token, e.anonymous_token)
  and e.known_at < coalesce(i.shared_from, {timestamp(END_OF_TIME)})
where {" and ".join(conditions)} and not coalesce(list_contains(e.flags, 'test'), false)
  and not coalesce(list_contains(e.flags, 'no_consent'), false)"""


def _times(snapshot: Snapshot, names: Sequence[str], customers: pa.Table, since: datetime, until: datetime) -> Times:
    if not names or not customers.num_rows:
        return {}
    sql = f"select c.* from ({_events_sql(names, since, until)}) c join entered on entered.customer_id = c.customer_id"
    rows = snapshot.query(f"{sql} order by c.name, c.customer_id, c.came_at", entered=customers)
    by_name: dict[str, dict[str, list[datetime]]] = {}
    for row in rows.to_pylist():
        by_name.setdefault(row["name"], {}).setdefault(row["customer_id"], []).append(row["came_at"])
    return {name: by_name.get(ALIASES.get(name, name), {}) for name in names}


def _members(snapshot: Snapshot, journey: Journey) -> Mapping[int, Collection[str]]:
    """Customers for whom the rule of each branch holds today."""
    scope, members = snapshot_scope(snapshot), {}
    for place, step in enumerate(journey.steps):
        if isinstance(step, Branch):
            query = segment_query(parse_rule(step.rule, where=f"step {journey.step_id(place)}"), scope)
            members[place] = set(
                query_members(snapshot, query, "select customer_id from members")["customer_id"].to_pylist()
            )
    return members
