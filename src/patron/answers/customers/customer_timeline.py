"""What happened with a customer: orders with their lines, messages, offers and visits, filtered and paged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from patron.answers.data.products import name_of, products_by_id
from patron.schema.common_sentences import IT_IS_ONE_OF, NOT_A_VALUE
from patron.schema.errors import BadQuery
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

TIMELINE_LENGTH = 20
"""Entries of a page."""
Kind = Literal["", "orders", "messages", "offers", "visits"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_LINES = 100
"""Lines of an order that are shown."""


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
        raise BadQuery(NOT_A_VALUE(value=kind), where="kind", todo=IT_IS_ONE_OF(choices=", ".join(KINDS[1:])))
    every = sorted(_entries(view, customer_id), key=_latest_first)
    counts = {name: sum(_kind(one) == name for one in every) for name in KINDS[1:]} | {"": len(every)}
    chosen = [one for one in every if kind in {"", _kind(one)}]
    page_count = max(1, -(-len(chosen) // size))
    start = (min(max(page, 1), page_count) - 1) * size if start is None else max(start, 0)
    entries = chosen[start : start + size]
    lines = _lines(view, customer_id) if any(entry.order_id for entry in entries) else {}
    with_lines = (
        replace(entry, lines=tuple(lines.get((entry.order_id, entry.kind), ())[:MAX_LINES])) for entry in entries
    )
    page = start // size + 1
    return TimelinePage(
        customer_id,
        kind,
        page=page,
        page_count=page_count,
        total_count=len(chosen),
        counts=counts,
        entries=tuple(with_lines),
    )


def _entries(view: Snapshot, customer_id: str) -> Iterator[TimelineEntry]:
    lines = view.customer_rows("order_lines", customer_id)
    detail = pc.fill_null(lines["category"], "")
    for row in _groups(lines, ["order_id", "is_refund"], detail, [("paid_cents", "sum")]):
        kind, paid = "refund" if row["is_refund"] else "order", row["paid_cents_sum"]
        yield TimelineEntry(
            row["occurred_at_max"],
            kind,
            detail=_detail(row),
            count=row["detail_count"],
            paid_cents=paid,
            order_id=row["order_id"],
        )
    events = view.customer_rows("interactions", customer_id)
    detail = pc.coalesce(events["category"], events["campaign_id"], "")
    for row in _groups(events, ["local_day", "kind"], detail):
        yield TimelineEntry(
            row["occurred_at_max"], row["kind"], detail=_detail(row), count=row["detail_count"], paid_cents=None
        )
    offers = view.customer_rows("exposures", customer_id)
    for row in records(offers.filter(offers["is_delivered"]).select(["exposed_at", "action"])):
        yield TimelineEntry(row["exposed_at"], "offer", detail=row["action"], count=1, paid_cents=None)


def _groups(
    rows: pa.Table, keys: list[str], detail: pa.ChunkedArray, more: Iterable[tuple[str, str]] = ()
) -> list[dict[str, Any]]:
    """Groups of rows: how many, when the last was, and whether they have one detail. Somebody may have 100,000 rows."""
    facts = [("occurred_at", "max"), ("detail", "count"), ("detail", "count_distinct"), ("detail", "max"), *more]
    return records(rows.append_column("detail", detail).group_by(keys, use_threads=False).aggregate(facts))


def _detail(group: dict[str, Any]) -> str | None:
    """The detail that all rows of a group have; None where they differ, or it is empty."""
    return (group["detail_max"] or None) if group["detail_count_distinct"] == 1 else None


def _latest_first(entry: TimelineEntry) -> tuple[Any, ...]:
    texts = (entry.kind, entry.detail, entry.order_id)
    return (-entry.occurred_at.timestamp(), *((text is None, text or "") for text in texts))


def _kind(entry: TimelineEntry) -> Kind:
    if entry.kind in {"order", "refund"}:
        return "orders"
    if entry.kind == "offer":
        return "offers"
    return "messages" if entry.kind.startswith("message_") else "visits"


def _lines(view: Snapshot, customer_id: str) -> dict[tuple[str | None, str], list[OrderLine]]:
    """Lines of the customer's orders and refunds, by order and kind."""
    facts = ["order_id", "is_refund", "product_id", "quantity", "gross_cents", "discount_cents", "paid_cents"]
    rows = records(view.customer_rows("order_lines", customer_id).sort_by("line_id").select(facts))
    products = products_by_id(view, {row["product_id"] for row in rows})
    lines: dict[tuple[str | None, str], list[OrderLine]] = {}
    for row in rows:
        key = (row.pop("order_id"), "refund" if row.pop("is_refund") else "order")
        lines.setdefault(key, []).append(OrderLine(**row, product_name=name_of(products, row["product_id"])))
    return lines
