"""What happened with a customer: orders with their lines, messages, offers and visits, filtered and paged."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from patron.schema.errors import BadQuery
from patron.storage.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

TIMELINE_LENGTH = 20
"""Entries of a page."""
Kind = Literal["", "orders", "messages", "offers", "visits"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_LINES = 100
"""Lines of an order that are shown."""
GROUP = """case when kind in ('order', 'refund') then 'orders' when kind = 'offer' then 'offers'
    when starts_with(kind, 'message_') then 'messages' else 'visits' end"""


@dataclass(frozen=True)
class OrderLine:
    """One line of an order or a refund; amounts of a refund are below zero."""

    product_id: str | None
    product_name: str | None
    quantity: int
    gross_cents: int
    discount_cents: int
    paid_cents: int


@dataclass(frozen=True)
class TimelineEntry:
    """An order, the refunds of an order, an offer, or all other events of one kind on one day."""

    occurred_at: datetime
    kind: str
    detail: str | None
    """Category or campaign, where all of the entry's lines or events have the same."""
    count: int
    paid_cents: int | None
    order_id: str | None = None
    """The shop's order number, of orders and refunds."""
    lines: tuple[OrderLine, ...] = ()


@dataclass(frozen=True)
class TimelinePage:
    """One page of a customer's timeline."""

    customer_id: str
    kind: Kind
    page: int
    page_count: int
    total_count: int
    counts: dict[str, int]
    """Entries by kind; '' is all of them."""
    entries: tuple[TimelineEntry, ...]


def customer_timeline(shop: Shop, customer_id: str, *, kind: Kind = "", page: int = 1) -> TimelinePage:
    """A page of a customer's timeline at the last run. Raises NoRunYet, BadQuery; nobody has an empty one."""
    return timeline_page(last_run(shop), customer_id, kind=kind, page=page)


def timeline_page(
    view: Snapshot,
    customer_id: str,
    *,
    kind: Kind = "",
    page: int = 1,
    size: int = TIMELINE_LENGTH,
    start: int | None = None,
) -> TimelinePage:
    """Orders and refunds one by one, other things by day and kind, decisions of earlier runs; the latest first.

    `start` is how many entries earlier pages had, instead of a page. Raises BadQuery.
    """
    if kind not in KINDS:
        raise BadQuery(f"{kind!r} is not a value of it", where="kind", todo=f"It is one of {', '.join(KINDS[1:])}.")
    rows = records(view.query_customer(customer_id, _sql()))
    counts = {name: sum(row["part"] == name for row in rows) for name in KINDS[1:]} | {"": len(rows)}
    chosen = [row for row in rows if kind in {"", row["part"]}]
    page_count = max(1, -(-len(chosen) // size))
    start = (min(max(page, 1), page_count) - 1) * size if start is None else max(start, 0)
    entries = [_entry(row) for row in chosen[start : start + size]]
    lines = _lines(view, customer_id) if any(entry.order_id for entry in entries) else {}
    with_lines = (replace(one, lines=tuple(lines.get((one.order_id, one.kind), ())[:MOST_LINES])) for one in entries)
    page = start // size + 1
    return TimelinePage(customer_id, kind, page, page_count, len(chosen), counts, tuple(with_lines))


def _sql() -> str:
    return f"""
select {GROUP} as part, occurred_at, kind, detail, count, paid_cents, order_id from (
  select max(l.occurred_at) as occurred_at, case when l.is_refund then 'refund' else 'order' end as kind,
    case when count(distinct coalesce(l.category, '')) = 1 then max(l.category) end as detail,
    count(*) as count, cast(sum(l.paid_cents) as bigint) as paid_cents, l.order_id
  from order_lines l join customer a on a.customer_id = l.customer_id group by l.order_id, l.is_refund
  union all
  select max(i.occurred_at) as occurred_at, i.kind,
    case when count(distinct coalesce(i.category, i.campaign_id, '')) = 1
      then max(coalesce(i.category, i.campaign_id)) end as detail,
    count(*) as count, cast(null as bigint) as paid_cents, cast(null as varchar) as order_id
  from interactions i join customer a on a.customer_id = i.customer_id group by i.local_day, i.kind
  union all
  select x.exposed_at as occurred_at, 'offer' as kind, x.action as detail, 1 as count,
    cast(null as bigint) as paid_cents, cast(null as varchar) as order_id
  from exposures x join customer a on a.customer_id = x.customer_id
) entries order by occurred_at desc, kind, detail, order_id"""


def _entry(row: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry(
        row["occurred_at"], row["kind"], row["detail"] or None, row["count"], row["paid_cents"], row["order_id"]
    )


def _lines(view: Snapshot, customer_id: str) -> dict[tuple[str | None, str], list[OrderLine]]:
    """Lines of the customer's orders and refunds, by order and kind."""
    sql = """
select l.order_id, l.is_refund, l.product_id, p.product_name, l.quantity, l.gross_cents, l.discount_cents, l.paid_cents
from order_lines l join customer a on a.customer_id = l.customer_id
left join products p on p.product_id = l.product_id
order by l.order_id, l.line_id"""
    lines: dict[tuple[str | None, str], list[OrderLine]] = {}
    for row in records(view.query_customer(customer_id, sql)):
        kind = "refund" if row.pop("is_refund") else "order"
        lines.setdefault((row.pop("order_id"), kind), []).append(OrderLine(**row))
    return lines
