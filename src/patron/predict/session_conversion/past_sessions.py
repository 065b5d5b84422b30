"""Past visits of the shop with their events, a sample of bounded size, as the library takes them."""

from datetime import timedelta
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from patron.clickstream import (
    EVENT_KINDS,
    ORDER,
    PAUSE_SECONDS,
    SECONDS_UNTIL_KNOWN,
    Session,
    SessionEvent,
    VisitorHistory,
)
from patron.predict.sampling import keys_of_facts
from patron.schema.numbers import float_column
from patron.storage.engine import sql_list, timestamp
from patron.storage.runs.stage_view import StageView

DAYS = 180
"""How long ago a visit may be that is learned from."""
MAX_SESSIONS = 8_000
"""Visits that are learned from and evaluated; of more, a sample. It bounds time and memory of a run."""
MICROSECONDS = 1_000_000
READ_FOR_ONE = 20
"""Visits that are read for each that is chosen: of more, the engine leaves out a part, which bounds memory."""
MIXED = "started * 7919 + ended * 104729 + event_count * 31"
"""SQL for a whole number whose rest is as good as drawn, and follows from no id."""
NUMBERS = ("started", "ended", "event_count", "view_count", "cart_add_count", "order_count")
FINISHED = """
select customer_id, started_at, ended_at, seconds_of(started_at) as started, seconds_of(ended_at) as ended,
    event_count, view_count, cart_add_count, order_count
from sessions where started_at >= {since} and ended_at < {until} and event_count > order_count"""
EVENTS = """
select s.place, e.occurred_at, e.known_at, e.kind, e.product_id, e.is_identified
from chosen_sessions s join (
    select customer_id, occurred_at, known_at, kind, product_id, is_identified, 0 as is_order, source, event_id
    from interactions where kind in {kinds}
    union all
    select customer_id, min(occurred_at) as occurred_at, min(known_at) as known_at, '{order}' as kind,
        cast(null as varchar) as product_id, is_identified, 1 as is_order, '' as source, order_id as event_id
    from orders group by customer_id, is_identified, order_id
) e on e.customer_id = s.customer_id and e.occurred_at >= s.started_at and e.occurred_at <= s.ended_at
order by s.place, e.occurred_at, e.is_order, e.source, e.event_id"""
HISTORY = """
select s.place, count(distinct o.order_id) as order_count, max(o.occurred_at) as last_order_at
from chosen_sessions s join orders o
    on o.customer_id = s.customer_id and o.occurred_at < s.started_at
    and seconds_of(o.known_at) - seconds_of(s.started_at) <= {seconds}
group by s.place order by s.place"""


def past_sessions(view: StageView, *, most: int = MAX_SESSIONS) -> list[Session]:
    """Finished visits of the last 180 days with something else than orders in them, by their start; a sample of more.

    Who somebody is counts only if the shop knew it when the visit began: a device that signs in at the checkout is
    joined to its user by a run, for the whole visit, and would say that an order came.
    """
    chosen = _chosen(view, most)
    if not chosen.num_rows:
        return []
    kinds = sql_list(sorted(set(EVENT_KINDS) - {ORDER}))
    events = view.query(EVENTS.format(kinds=kinds, order=ORDER), chosen_sessions=chosen)
    histories = _histories(view, chosen)
    customers, offsets = chosen["customer_id"].to_pylist(), chosen["share"].to_pylist()
    sessions = []
    for place, group in groupby(zip(*map(_plain, events.columns), strict=True), key=itemgetter(0)):
        parts = list(group)
        _, first_us, known_us, _, _, is_identified = parts[0]
        was_known = is_identified and known_us - first_us <= SECONDS_UNTIL_KNOWN * MICROSECONDS
        history = histories.get(place, VisitorHistory(is_known=True)) if was_known else VisitorHistory()
        done = [SessionEvent(us / MICROSECONDS, kind, product_id) for _, us, _, kind, product_id, _ in parts]
        sessions.append(Session(customers[place], done, history, offsets[place]))
    return sessions


def has_sessions(view: StageView) -> bool:
    """Whether there are visits to learn from: in a shop whose visitors are not seen to browse, there are none."""
    return bool(_parts(view, _finished(view), MAX_SESSIONS))


def _histories(view: StageView, chosen: pa.Table) -> dict[int, VisitorHistory]:
    """Earlier orders of the customer of each visit that has any."""
    columns = map(_plain, view.query(HISTORY.format(seconds=SECONDS_UNTIL_KNOWN), chosen_sessions=chosen).columns)
    rows = zip(*columns, strict=True)
    return {place: VisitorHistory(True, count, last_us / MICROSECONDS) for place, count, last_us in rows}


def _plain(column: pa.ChunkedArray) -> list:
    """Values of a column, times as microseconds since 1970: a datetime for each would take longer than all else."""
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


def _chosen(view: StageView, most: int) -> pa.Table:
    """Finished visits, a sample by what happened in them: place, customer_id, started_at, ended_at, share (0 to 1)."""
    finished = _finished(view)
    parts = _parts(view, finished, most)
    if not parts:
        return pa.table({"customer_id": pa.array([], pa.string())})
    ordered = "order by started_at, ended_at, customer_id"
    rows = view.query(f"select * from ({finished}) f where ({MIXED}) % {parts} = 0 {ordered}")
    keys = keys_of_facts(float_column(rows, name) for name in NUMBERS) >> np.uint64(12)
    order = np.lexsort([keys, float_column(rows, "started")])
    if rows.num_rows > most:
        largest = np.partition(keys, most - 1)[most - 1]
        order = order[keys[order] <= largest]
    chosen = rows.take(pa.array(order)).select(["customer_id", "started_at", "ended_at"])
    share = (keys[order] % np.uint64(1_000)).astype(np.float64) / 1_000
    return chosen.append_column("place", pa.array(np.arange(len(order)))).append_column("share", pa.array(share))


def _finished(view: StageView) -> str:
    """SQL of the visits of the last 180 days that are over."""
    since, until = view.run.as_of - timedelta(days=DAYS), view.run.as_of - timedelta(seconds=PAUSE_SECONDS)
    return FINISHED.format(since=timestamp(since), until=timestamp(until))


def _parts(view: StageView, finished: str, most: int) -> int:
    """How many parts the engine divides visits into, of which it reads one; 0 where nobody is seen to browse."""
    counts = view.query(f"select count(*) as n, sum(view_count + cart_add_count) as browsed from ({finished}) f")
    # why none: in a shop whose visitors are not seen to browse, a visit is a coupon or an opened message
    return max(1, counts["n"][0].as_py() // (READ_FOR_ONE * most)) if counts["browsed"][0].as_py() else 0
