"""New events with the customer they belong to: by the last run's identities, else by the user's own token."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from patron.schema.table_definition import TEXT
from patron.segments.segment_sql import END_OF_TIME
from patron.storage.engine import literal, sql_list, timestamp
from patron.storage.shop import Shop, Snapshot

FRESH = timedelta(days=1)
"""Events that are older when they arrive make nobody enter a journey."""
COUNTS = "not list_has_any(coalesce(e.flags, []), ['test', 'bot', 'no_consent'])"
"""SQL condition: no test traffic, and no behaviour without the consent that it needs."""


def read_new_events(
    shop: Shop, relation: str, names: Collection[str], *, exits: Collection[str], since: datetime | None
) -> pa.Table:
    """New events of some names that count: test traffic and behaviour without consent does not.

    Of those that are old when they arrive only `exits` after `since` matter, to customers who are on their way.
    """
    is_fresh = f"e.occurred_at >= e.received_at - interval {int(FRESH.total_seconds())} second"
    is_exit = f"(e.name in {sql_list(exits)} and e.occurred_at > {timestamp(since)})" if since and exits else "false"
    return shop.query(f"""
select e.name, e.user_token, e.anonymous_token, least(e.occurred_at, e.received_at) as happened_at,
  {is_fresh} as is_fresh, e.source, e.event_id, e.product_id
from ({relation}) e
where e.name in {sql_list(names)} and ({is_fresh} or {is_exit})
  and {COUNTS}""")


def with_customers(snapshot: Snapshot, events: pa.Table) -> pa.Table:
    """Events of known customers with `customer_id` and a user `token`, by customer and time.

    A device's belong to the customer whom the last run links it to, until a second person used it.
    """
    return snapshot.query(
        f"""
with linked as (
  select e.*, coalesce(u.customer_id, case when e.user_token is null then d.customer_id else md5(e.user_token) end)
    as customer_id
  from new_events e left join identities u on u.token = e.user_token
  left join identities d on e.user_token is null and d.token = e.anonymous_token
    and e.happened_at < coalesce(d.shared_from, {timestamp(END_OF_TIME)})
), users as (
  select customer_id, min(token) as token from identities
  where is_user and customer_id in (select customer_id from linked where user_token is null) group by customer_id
)
select l.customer_id, coalesce(l.user_token, t.token) as token, l.name, l.happened_at, l.is_fresh, l.source, l.event_id,
  l.product_id
from linked l left join users t on t.customer_id = l.customer_id
where coalesce(l.user_token, t.token) is not null order by l.customer_id, l.happened_at, l.source, l.event_id""",
        new_events=events,
    )


def events_since(
    shop: Shop, names: Collection[str], since: datetime, token_of: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """Events of some names that happened to some customers after a time, each customer with one of their user tokens.

    Columns: customer_id, name, happened_at.
    """
    if not names or not token_of:
        return []
    snapshot = shop.snapshot() or shop.newest_snapshot()
    rows = snapshot.query(
        f"""
with tokens as (
  select w.customer_id, i.token from wanted w join identities i on i.customer_id = w.customer_id
  union select customer_id, token from wanted
)
select distinct t.customer_id, e.name, least(e.occurred_at, e.received_at) as happened_at from events e
join tokens t on t.token = coalesce(e.user_token, e.anonymous_token)
where e.name in {sql_list(sorted(names))} and e.occurred_at > {timestamp(since)} and e.received_at > {timestamp(since)}
  and e.month >= {literal(since.strftime("%Y-%m"))} and {COUNTS}
order by t.customer_id, happened_at, e.name""",
        wanted=pa.table({"customer_id": pa.array(list(token_of), TEXT), "token": pa.array(token_of.values(), TEXT)}),
    )
    return rows.to_pylist()


def slices_of_customers(events: pa.Table, rows: int) -> Iterator[pa.Table]:
    """Slices of about so many rows of a table in the order of customers, each customer's whole."""
    ids, start = events["customer_id"], 0
    while start < events.num_rows:
        end = start + rows
        while end < events.num_rows and ids[end].as_py() == ids[end - 1].as_py():
            end += 1
        yield events.slice(start, end - start)
        start = end


def earlier_ids(snapshot: Snapshot, customer_ids: Collection[str]) -> Mapping[str, str]:
    """The customer of every id that these customers have or had before they were merged, their own ones included."""
    rows = snapshot.query(
        "select i.customer_id, md5(i.token) as earlier_id from identities i"
        " join wanted w on w.customer_id = i.customer_id",
        wanted=_customer_table(customer_ids),
    )
    of_earlier = dict(zip(rows["earlier_id"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))
    return of_earlier | {customer_id: customer_id for customer_id in customer_ids}


def user_tokens(snapshot: Snapshot, customer_ids: Collection[str]) -> Mapping[str, str]:
    """A user token of each customer who is a user."""
    rows = snapshot.query(
        "select i.customer_id, min(i.token) as token from identities i join wanted w on w.customer_id = i.customer_id"
        " where i.is_user group by i.customer_id",
        wanted=_customer_table(customer_ids),
    )
    return dict(zip(rows["customer_id"].to_pylist(), rows["token"].to_pylist(), strict=True))


def _customer_table(customer_ids: Collection[str]) -> pa.Table:
    return pa.table({"customer_id": pa.array(sorted(set(customer_ids)), TEXT)})
