"""What makes customers enter journeys: queries over new events and over what runs found; they keep no state."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.engage.journeys.customer_events import COUNTS, FRESH, user_tokens
from patron.engage.journeys.journey_fold import TriggerMatch
from patron.engage.journeys.journey_steps import event_names
from patron.schema.table_definition import TEXT
from patron.segments.segment_rules import SegmentRule
from patron.segments.segment_sql import END_OF_TIME, SegmentQuery, segment_query
from patron.storage.engine import sql_list, timestamp
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import SEGMENT_DEFINITIONS
from patron.storage.outreach.journey_file import EventTrigger, Journey, ProductTrigger, SegmentTrigger
from patron.storage.segments.segment_query import query_members, snapshot_scope
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import RUNS

PRODUCT_UPDATED = "Product Updated"
MEMBERS = 20_000
"""Most members of a segment that enter a journey in one round: some seconds."""
PREFIX = 4
"""Characters of an id that the store remembers between batches: in a large shop those of several customers."""


@dataclass(frozen=True)
class OpenJourney:
    """A journey that customers may enter."""

    name: str
    journey: Journey
    version: int
    open_since: datetime
    """When it was started or resumed: what happened before makes nobody enter."""
    end_at: datetime | None
    approval: int = 0
    """Step of its life since which the rules of its trigger count (`approved_terms.trigger_approval`)."""

    def is_open_at(self, at: datetime) -> bool:
        """Whether what happens at a time may make customers enter."""
        return at >= self.open_since and (self.end_at is None or at < self.end_at)


def trigger_events(journeys: Iterable[OpenJourney]) -> frozenset[str]:
    """Names, as they are stored, of the events of customers that make them enter."""
    triggers = [journey.journey.trigger for journey in journeys]
    return frozenset(
        name for trigger in triggers if isinstance(trigger, EventTrigger) for name in event_names(trigger.event)
    )


def event_matches(shop: Shop, one: OpenJourney, rows: Sequence[Mapping[str, Any]]) -> list[TriggerMatch]:
    """Who enters a journey by new events; `rows` are those of customers (`customer_events.with_customers`)."""
    trigger = one.journey.trigger
    if not isinstance(trigger, EventTrigger):
        return []
    names = event_names(trigger.event)
    chosen = [row for row in rows if row["name"] in names and one.is_open_at(row["happened_at"])]
    if trigger.is_first and chosen:
        chosen = _first_ones(shop, chosen, names)
    if trigger.segment and chosen:
        members = members_among(shop, trigger.segment, {row["customer_id"] for row in chosen})
        chosen = [row for row in chosen if row["customer_id"] in members]
    return [
        TriggerMatch(
            *(one.name, one.version, row["customer_id"], row["token"], row["happened_at"]),
            *(f"{row['source']}/{row['event_id']}", row["product_id"]),
        )
        for row in chosen
    ]


def _first_ones(shop: Shop, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Events before which their customer had none of these names."""
    wanted = pa.Table.from_pylist([{"place": n} | {key: row[key] for key in _OF_EVENT} for n, row in enumerate(rows)])
    later = (shop.snapshot() or shop.newest_snapshot()).query(
        f"""
with tokens as (
  select w.customer_id, i.token from (select distinct customer_id from wanted) w
  join identities i on i.customer_id = w.customer_id
  union select customer_id, token from wanted
), earlier as (
  select t.customer_id, least(e.occurred_at, e.received_at) as happened_at, e.source, e.event_id from events e
  join tokens t on t.token = coalesce(e.user_token, e.anonymous_token)
  where e.name in {sql_list(names)} and {COUNTS}
)
select distinct w.place from wanted w join earlier e on e.customer_id = w.customer_id
where e.happened_at < w.happened_at
  or (e.happened_at = w.happened_at and (e.source < w.source or (e.source = w.source and e.event_id < w.event_id)))""",
        wanted=wanted,
    )
    places = set(later["place"].to_pylist())
    return [row for n, row in enumerate(rows) if n not in places]


_OF_EVENT = ("customer_id", "token", "happened_at", "source", "event_id")


def members_among(shop: Shop, segment: str, customer_ids: Collection[str]) -> set[str]:
    """Which of some customers are in a segment by the last run; nobody before any. Raises NotFound, BadSegment."""
    snapshot = shop.snapshot()
    if snapshot is None:
        return set()
    query = segment_query(SegmentRule(segment), snapshot_scope(snapshot))
    rows = query_members(
        snapshot,
        query,
        "select m.customer_id from members m join wanted w on w.customer_id = m.customer_id",
        wanted=pa.table({"customer_id": pa.array(sorted(customer_ids), TEXT)}),
    )
    return set(rows["customer_id"].to_pylist())


def segment_matches(
    snapshot: Snapshot, one: OpenJourney, since: datetime | None, at: datetime, *, after: str = "", most: int = MEMBERS
) -> tuple[list[TriggerMatch], str]:
    """Who became a member of a journey's segment by the runs after a cutoff; without one, every member.

    The rules are those that were approved: the snapshot is one of the shop as approved.
    At most so many of those whose ids come after some characters, and the characters after which others follow; ''
    where nobody does. Who became one and left again between runs is not among them.
    """
    trigger = one.journey.trigger
    if not isinstance(trigger, SegmentTrigger):
        return [], ""
    stays = "select * from trigger_members where journey = $journey and approval = $approval and left_at is null"
    of = {"journey": one.name, "approval": one.approval, "after": after}
    if since:
        newer = timestamp(max(since, first_cutoff(snapshot, trigger.enters)))
        rows = snapshot.query(
            f"select customer_id, entered_at from ({stays}) s where entered_at > {newer} and customer_id >= $after"
            f" order by customer_id limit {most}",
            of,
        )
    else:
        query = segment_query(SegmentRule(trigger.enters), snapshot_scope(snapshot))
        entered_at = f"coalesce(s.entered_at, {timestamp(snapshot.run.as_of)})"
        rows = query_members(
            snapshot,
            SegmentQuery(query.sql, {**query.parameters, **of}, query.tags),
            f"select m.customer_id, {entered_at} as entered_at from members m"
            f" left join ({stays}) s on s.customer_id = m.customer_id"
            f" where m.customer_id >= $after order by m.customer_id limit {most}",
        )
    ids = rows["customer_id"].to_pylist()
    tokens, times = user_tokens(snapshot, ids), rows["entered_at"].to_pylist()
    matches = [
        TriggerMatch(
            one.name,
            one.version,
            customer_id=each,
            token=tokens[each],
            at=at,
            cause=f"member since {entered_at.isoformat()}",
        )
        for each, entered_at in zip(ids, times, strict=True)
        if each in tokens
    ]
    return matches, ids[-1][:PREFIX] if len(ids) == most else ""


def first_cutoff(snapshot: Snapshot, segment: str) -> datetime:
    """Cutoff of the first run that knew a segment: whom it has from then on has not become a member."""
    definition, run = SEGMENT_DEFINITIONS.c, RUNS.c
    saved_at = sa.select(sa.func.min(definition.saved_at)).where(definition.name == segment).scalar_subquery()
    with snapshot.store.begin() as connection:
        cutoff = connection.scalar(sa.select(sa.func.min(run.as_of)).where(run.finished_at >= saved_at))
    return snapshot.run.as_of if cutoff is None else utc(cutoff)


def product_matches(shop: Shop, one: OpenJourney, changes: Sequence[Mapping[str, Any]]) -> list[TriggerMatch]:
    """Who enters because a product that they were interested in became cheaper, or is back in stock."""
    trigger = one.journey.trigger
    if not isinstance(trigger, ProductTrigger):
        return []
    rows = [row for row in changes if one.is_open_at(row["happened_at"]) and _is_change(row, trigger)]
    return _interest_hits(shop, one, trigger, rows) if rows else []


def _is_change(row: Mapping[str, Any], trigger: ProductTrigger) -> bool:
    if trigger.product == "price_drop":
        price, before = row["price_cents"], row["price_before"]
        return (
            isinstance(price, int)
            and isinstance(before, int)
            and 0 < price <= before * (1 - trigger.least_share) + 1e-9
        )
    stock, before = row["stock"], row["stock_before"]
    return isinstance(stock, float) and isinstance(before, float) and stock >= 1 > before


def product_changes(shop: Shop, relation: str) -> list[dict[str, Any]]:
    """New rows of the catalogue, fresh when they came, with the price and the stock that were known before each."""
    text = "try_cast(json_extract_string(e.properties, '$.stock') as double)"
    times = "least(e.occurred_at, e.received_at) as happened_at"
    currency = "coalesce(e.currency, '') as currency"
    columns = f"e.product_id, {times}, e.source, e.event_id, e.price_cents, {currency}, {text} as stock"
    is_update = f"e.name = '{PRODUCT_UPDATED}' and e.product_id is not null"
    is_fresh = f"e.occurred_at >= e.received_at - interval {int(FRESH.total_seconds())} second"
    new = shop.query(f"select {columns} from ({relation}) e where {is_update} and {is_fresh}")
    if not new.num_rows:
        return []
    rows = shop.newest_snapshot().query(
        f"""
with catalogue as (
  select {columns} from events e
  where {is_update} and e.product_id in (select product_id from new_rows)
), prices as (
  select product_id, source, event_id, lag(price_cents) over (partition by product_id, currency order by happened_at,
    source, event_id) as price_before from catalogue where price_cents is not null
), stocks as (
  select product_id, source, event_id, lag(stock) over (partition by product_id order by happened_at, source, event_id)
    as stock_before from catalogue where stock is not null
)
select n.product_id, n.happened_at, n.source, n.event_id, n.price_cents, n.stock, p.price_before, s.stock_before
from new_rows n
left join prices p on p.product_id = n.product_id and p.source = n.source and p.event_id = n.event_id
left join stocks s on s.product_id = n.product_id and s.source = n.source and s.event_id = n.event_id""",
        new_rows=new,
    )
    return rows.to_pylist()


def _interest_hits(
    shop: Shop, one: OpenJourney, trigger: ProductTrigger, rows: Sequence[Mapping[str, Any]]
) -> list[TriggerMatch]:
    """Customers with an event that shows interest in one of the products, lately before its change."""
    names = sorted({name for event in trigger.after for name in event_names(event)})
    keys = ("product_id", "happened_at", "source", "event_id")
    interested = (
        (shop.snapshot() or shop.newest_snapshot())
        .query(
            f"""
with interest as (
  select distinct c.product_id, c.happened_at, c.source, c.event_id,
    coalesce(i.customer_id, md5(e.user_token)) as customer_id, e.user_token
  from changes c join events e on e.product_id = c.product_id
  left join identities i on i.token = coalesce(e.user_token, e.anonymous_token)
    and e.occurred_at < coalesce(i.shared_from, {timestamp(END_OF_TIME)})
  where e.name in {sql_list(names)} and e.occurred_at <= c.happened_at
    and e.occurred_at >= c.happened_at - interval {int(timedelta(days=trigger.within_days).total_seconds())} second
    and {COUNTS}
)
select customer_id, product_id, happened_at, source, event_id, min(user_token) as token from interest
where customer_id is not null group by customer_id, product_id, happened_at, source, event_id
order by happened_at, product_id, customer_id""",
            changes=pa.Table.from_pylist([{key: row[key] for key in keys} for row in rows]),
        )
        .to_pylist()
    )
    unnamed = {row["customer_id"] for row in interested if row["token"] is None}
    tokens = user_tokens(shop.snapshot() or shop.newest_snapshot(), unnamed) if unnamed else {}
    return [
        TriggerMatch(
            *(one.name, one.version, row["customer_id"], row["token"] or tokens[row["customer_id"]]),
            *(row["happened_at"], f"{row['source']}/{row['event_id']}", row["product_id"]),
        )
        for row in interested
        if row["token"] or row["customer_id"] in tokens
    ]
