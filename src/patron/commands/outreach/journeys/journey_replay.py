"""A journey on the events of the past: who would have entered it, who would have left, and what it would have sent.

Steps are taken by the functions of the engine, so that a plan and a running journey agree on them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from patron.engage.journeys.customer_events import COUNTS
from patron.engage.journeys.journey_steps import (
    Entry,
    Holds,
    advance_clock,
    after_event,
    enter_step,
    event_names,
    listened_events,
    may_enter,
    step_of,
)
from patron.engage.journeys.journey_triggers import OpenJourney, first_cutoff, product_changes, product_matches
from patron.schema.outreach.journey_states import EXIT_EVENT
from patron.schema.tables import EVENTS, SEGMENT_MEMBERS
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_sql import END_OF_TIME, segment_query
from patron.storage.engine import literal, sql_list, timestamp
from patron.storage.outreach.journey_file import Branch, EventTrigger, Journey, ProductTrigger, SegmentTrigger, Send
from patron.storage.segments.segment_query import member_ids, query_members, snapshot_scope
from patron.storage.shop import Shop, Snapshot

Event = tuple[datetime, str]
"""When a customer did what."""
Start = tuple[str, datetime]
"""A customer, and when they would have entered."""


@dataclass(frozen=True)
class SimulatedPath:
    """One customer's way through a journey."""

    entry: Entry
    """How it ended."""
    sends: tuple[tuple[int, datetime], ...]
    """Place of each step that sends something, and when it is due."""

    @property
    def customer_id(self) -> str:
        """Whose way it is."""
        return self.entry.customer_id

    @property
    def has_left(self) -> bool:
        """Whether an event of `exit_on` ended it."""
        return self.entry.reason == EXIT_EVENT


def simulate_path(
    journey: Journey, customer_id: str, entered_at: datetime, events: Iterable[Event], holds: Holds
) -> SimulatedPath:
    """One customer's way, with their events in order of time; messages are sent when they are due."""
    first = Entry(
        "",
        journey.name,
        version=0,
        customer_id=customer_id,
        token=None,
        is_holdout=False,
        entered_at=entered_at,
        step=0,
        reached_at=entered_at,
        due_at=entered_at,
    )
    entry, sends = enter_step(first, journey, 0, entered_at), list[tuple[int, datetime]]()

    def advance(entry: Entry, until: datetime) -> Entry:
        entry = advance_clock(entry, journey, until, holds)
        while entry.is_active and entry.due_at < until and isinstance(step_of(entry, journey), Send):
            sends.append((entry.step, entry.due_at))
            entry = advance_clock(enter_step(entry, journey, entry.step + 1, entry.due_at), journey, until, holds)
        return entry

    for at, name in events:
        if at > entered_at:
            entry = after_event(advance(entry, at), journey, name, at, holds)
    return SimulatedPath(advance(entry, END_OF_TIME), tuple(sends))


def replay(
    shop: Shop, snapshot: Snapshot, journey: Journey, *, since: datetime, until: datetime
) -> list[SimulatedPath] | None:
    """Everybody's way through a journey who would have entered between two times, by when they entered.

    Events after the run are not known: a message that is due later counts unless its customer has left by then.
    Branches go by today's members. None for a trigger that cannot be replayed: a date of the vault.
    """
    starts = _starts(shop, snapshot, journey, since, until)
    if starts is None:
        return None
    customers = pa.table({"customer_id": pa.array(sorted({one for one, _ in starts}), pa.string())})
    events, members = _events(snapshot, journey, customers, since, until), _members(snapshot, journey)
    last: dict[str, Entry] = {}
    paths: list[SimulatedPath] = []
    for customer, at in starts:
        if may_enter(last.get(customer), journey, at):
            path = simulate_path(
                journey, customer, at, events.get(customer, ()), lambda one, at: one.customer_id in members[at]
            )
            last[customer] = path.entry
            paths.append(path)
    return paths


def _starts(shop: Shop, snapshot: Snapshot, journey: Journey, since: datetime, until: datetime) -> list[Start] | None:
    """Customers and when what makes them enter happened, in order of time."""
    trigger = journey.trigger
    if isinstance(trigger, EventTrigger):
        return _event_starts(snapshot, journey, trigger, since, until)
    if isinstance(trigger, SegmentTrigger):
        return _segment_starts(snapshot, trigger, since, until)
    if isinstance(trigger, ProductTrigger):
        open_journey = OpenJourney(journey.name, journey, version=0, open_since=since, end_at=until)
        of_days = f"month >= {literal(since.strftime('%Y-%m'))} and occurred_at >= {timestamp(since)}"
        changes = product_changes(shop, f"select * from ({shop.lake.relation(EVENTS)}) where {of_days}")
        matches = product_matches(shop, open_journey, changes)
        return sorted(((match.customer_id, match.at) for match in matches), key=lambda one: (one[1], one[0]))
    return None


def _event_starts(
    snapshot: Snapshot, journey: Journey, trigger: EventTrigger, since: datetime, until: datetime
) -> list[Start]:
    # why: one start of each customer is enough where nobody enters twice, and events may be many
    is_once = trigger.is_first or journey.reenter_after_days is None
    came = _events_sql(event_names(trigger.event), None if trigger.is_first else since, until)
    each = f"select customer_id, min(came_at) as came_at from ({came}) c group by customer_id" if is_once else came
    sql = f"select customer_id, came_at from ({each}) e where came_at >= {timestamp(since)}"
    starts = _pairs(snapshot.query(f"{sql} order by came_at, customer_id"))
    if not trigger.segment:
        return starts
    members = set(member_ids(snapshot, trigger.segment)["customer_id"].to_pylist())
    return [start for start in starts if start[0] in members]


def _segment_starts(snapshot: Snapshot, trigger: SegmentTrigger, since: datetime, until: datetime) -> list[Start]:
    starts = []
    if snapshot.table_version(SEGMENT_MEMBERS.name) is not None:
        of_segment = f"from segment_members where segment = {literal(trigger.enters)}"
        after = max(since, first_cutoff(snapshot, trigger.enters))
        sql = (
            f"select customer_id, entered_at as came_at {of_segment}"
            f" and entered_at > {timestamp(after)} and entered_at <= {timestamp(until)} order by came_at, customer_id"
        )
        starts = _pairs(snapshot.query(sql))
    if trigger.includes_members:
        members = member_ids(snapshot, trigger.enters)["customer_id"].to_pylist()
        starts = [(member, since) for member in members] + starts
    return starts


def _pairs(rows: pa.Table) -> list[Start]:
    return list(zip(rows["customer_id"].to_pylist(), rows["came_at"].to_pylist(), strict=True))


def _events_sql(names: Collection[str], since: datetime | None, until: datetime) -> str:
    """SQL for customer_id, name and time of events that count, of customers who are users.

    Each belongs to whom its token belonged to when it came.
    """
    conditions = [f"e.name in {sql_list(names)}", f"e.known_at < {timestamp(until)}", COUNTS]
    if since is not None:
        conditions += [f"e.occurred_at >= {timestamp(since)}", f"e.month >= {literal(since.strftime('%Y-%m'))}"]
    return f"""
select distinct i.customer_id, e.name, least(e.occurred_at, e.received_at) as came_at from events e
join identities i on i.token = coalesce(e.user_token, e.anonymous_token)
  and e.occurred_at < coalesce(i.shared_from, {timestamp(END_OF_TIME)})
where {" and ".join(conditions)} and e.occurred_at < {timestamp(until)}
  and i.customer_id in (select customer_id from identities where is_user)"""


def _events(
    snapshot: Snapshot, journey: Journey, customers: pa.Table, since: datetime, until: datetime
) -> Mapping[str, Sequence[Event]]:
    """What moves the journey's customers on, in order of time."""
    names, by_customer = listened_events(journey), dict[str, list[Event]]()
    if names and customers.num_rows:
        came = _events_sql(names, since, until)
        sql = f"select c.* from ({came}) c join entered on entered.customer_id = c.customer_id"
        rows = snapshot.query(f"{sql} order by c.came_at, c.name", entered=customers)
        columns = (rows[name].to_pylist() for name in ("customer_id", "came_at", "name"))
        for customer, at, name in zip(*columns, strict=True):
            by_customer.setdefault(customer, []).append((at, name))
    return by_customer


def _members(snapshot: Snapshot, journey: Journey) -> Mapping[int, Collection[str]]:
    """Customers for whom the rule of each branch holds today, by the place of the step."""
    scope, members = snapshot_scope(snapshot), {}
    for place, step in enumerate(journey.steps):
        if isinstance(step, Branch):
            query = segment_query(parse_rule(step.rule, where=f"step {journey.step_id(place)}"), scope)
            ids = query_members(snapshot, query, "select customer_id from members")["customer_id"]
            members[place] = set(ids.to_pylist())
    return members
