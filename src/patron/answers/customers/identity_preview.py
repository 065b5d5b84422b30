"""Which ids are one customer, and what a correction would do to value and segments, before anybody makes it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from patron.answers.customers.customer_index import CustomerIndex, microseconds
from patron.schema.common_sentences import CHECK_ID, NO_OWN_ID, NOT_THE_ID, RELOAD_PAGE
from patron.schema.errors import BadQuery, NotFound
from patron.schema.sentences import Sentence
from patron.schema.table_definition import TEXT
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

ONLY_ID = Sentence("only_id", "it is the customer's only id")
SAME_CUSTOMER = Sentence("same_customer", "both are the same customer")
NOTHING_TO_UNLINK = Sentence("nothing_to_unlink", "There is nothing to unlink.")
OTHER_CUSTOMER = Sentence("other_customer", "Name another customer.")

NEIGHBOURS = 50
"""Customers with a history most like it, whose forecasts stand for one that no run has made yet."""


@dataclass(frozen=True)
class LinkedIdentity:
    """One id that belongs to a customer."""

    token: str
    kind: str
    """user_id or anonymous_id."""
    known_at: datetime
    rule: str | None
    """What links it: alias, sign_in, email or phone; None for the customer's first."""


@dataclass(frozen=True)
class CustomerOutlook:
    """History and forecasts of one customer, as a run has them or as they would about be."""

    customer_id: str | None
    """None for a customer whom only the next run would make."""
    tokens: tuple[str, ...]
    order_count: int
    paid_cents: int
    last_order_at: datetime | None
    value_cents: float | None
    churn_probability: float | None
    lifecycle_stage: str | None
    segments: tuple[str, ...]
    is_estimate: bool
    """Whether the forecasts are those of the customers with a history most like it."""


@dataclass(frozen=True)
class IdentityPreview:
    """Customers before and after a correction; forecasts after it are about those that the next run makes."""

    run_id: str
    as_of: datetime
    before: tuple[CustomerOutlook, ...]
    after: tuple[CustomerOutlook, ...]


def linked_identities(shop: Shop, customer_id: str) -> tuple[LinkedIdentity, ...]:
    """Ids of a customer at the last run, users first. Raises NoRunYet."""
    sql = """
select i.token, case when i.is_user then 'user_id' else 'anonymous_id' end as kind, i.known_at, i.rule
from identities i join customer c on c.customer_id = i.customer_id order by i.is_user desc, i.known_at, i.token"""
    return tuple(LinkedIdentity(**row) for row in records(last_run(shop).query_customer(customer_id, sql)))


def preview_unlink(shop: Shop, customer_id: str, token: str, *, index: CustomerIndex) -> IdentityPreview:
    """What taking an id out of a customer would make of both. Raises NoRunYet, NotFound, BadQuery for the only id."""
    view = last_run(shop)
    tokens = [identity.token for identity in linked_identities(shop, customer_id)]
    if token not in tokens:
        raise NotFound(NOT_THE_ID, where=token[:64], todo=RELOAD_PAGE)
    if len(tokens) == 1:
        raise BadQuery(ONLY_ID, where=token, todo=NOTHING_TO_UNLINK)
    lines = _lines(view, customer_id)
    senders = _senders(view, lines)
    is_gone = [senders.get(_event_of(line)) == token for line in lines]
    parts = (
        (customer_id, [one for one in tokens if one != token], [not one for one in is_gone]),
        (None, [token], is_gone),
    )
    after = tuple(
        _outlook(view, index, who, ids, [line for line, is_in in zip(lines, mine, strict=True) if is_in])
        for who, ids, mine in parts
    )
    return IdentityPreview(view.run.run_id, view.run.as_of, (_now(view, index, customer_id, tokens),), after)


def preview_merge(shop: Shop, customer_id: str, other_customer_id: str, *, index: CustomerIndex) -> IdentityPreview:
    """What joining two customers would make of them. Raises NoRunYet, NotFound, BadQuery."""
    view = last_run(shop)
    if customer_id == other_customer_id:
        raise BadQuery(SAME_CUSTOMER, where="other", todo=OTHER_CUSTOMER)
    both = []
    for one in (customer_id, other_customer_id):
        identities = linked_identities(shop, one)
        if not any(identity.kind == "user_id" for identity in identities):
            raise NotFound(NO_OWN_ID, where=one[:64], todo=CHECK_ID)
        both.append((one, [identity.token for identity in identities]))
    lines = [line for one, _ in both for line in _lines(view, one)]
    joined = _outlook(view, index, customer_id, [token for _, tokens in both for token in tokens], lines)
    before = tuple(_now(view, index, one, tokens) for one, tokens in both)
    return IdentityPreview(view.run.run_id, view.run.as_of, before, (joined,))


def _now(view: Snapshot, index: CustomerIndex, customer_id: str, tokens: Iterable[str]) -> CustomerOutlook:
    """A customer as the run has it."""
    positions = index.positions([customer_id])
    row: dict[str, Any] = index.row(int(positions[0])) if len(positions) else {}
    return CustomerOutlook(
        customer_id,
        tuple(tokens),
        order_count=row.get("order_count", 0),
        paid_cents=row.get("paid_cents", 0),
        last_order_at=row.get("last_order_at"),
        value_cents=row.get("value_cents"),
        churn_probability=row.get("churn_probability"),
        lifecycle_stage=row.get("lifecycle_stage"),
        segments=tuple(sorted(_segments(view, [customer_id]))),
        is_estimate=False,
    )


def _outlook(
    view: Snapshot, index: CustomerIndex, customer_id: str | None, tokens: Iterable[str], lines: list[dict[str, Any]]
) -> CustomerOutlook:
    """A customer with these order lines: the history is exact, forecasts are those of whom they are most like."""
    orders = {line["order_id"] for line in lines if not line["is_refund"]}
    last = max((line["ordered_at"] for line in lines if not line["is_refund"]), default=None)
    paid = sum(line["paid_cents"] for line in lines)
    like = _most_alike(index, len(orders), last, paid)
    values = [one["value_cents"] for one in like if one["value_cents"] is not None]
    churn = [one["churn_probability"] for one in like if one["churn_probability"] is not None]
    stages = Counter(one["lifecycle_stage"] for one in like if one["lifecycle_stage"])
    members = _segments(view, [one["customer_id"] for one in like])
    return CustomerOutlook(
        customer_id,
        tuple(tokens),
        order_count=len(orders),
        paid_cents=paid,
        last_order_at=last,
        value_cents=float(np.median(values)) if values else None,
        churn_probability=float(np.mean(churn)) if churn else None,
        lifecycle_stage=stages.most_common(1)[0][0] if stages else None,
        segments=tuple(sorted(name for name, count in members.items() if 2 * count > len(like))),
        is_estimate=True,
    )


def _most_alike(index: CustomerIndex, orders: int, last: datetime | None, paid: int) -> list[dict[str, Any]]:
    """Rows of the customers nearest by orders, amount and last order; none for a history without an order."""
    if not orders or last is None or not len(index):
        return []
    days = np.abs(index.numbers["last_order_at"] - microseconds(last)) / (timedelta(days=1) / timedelta(microseconds=1))
    distance = (
        2 * np.abs(np.log1p(index.numbers["order_count"]) - np.log1p(orders))
        + np.abs(np.log1p(np.maximum(index.numbers["paid_cents"], 0)) - np.log1p(max(paid, 0)))
        + np.nan_to_num(days, nan=np.inf) / 30
    )
    nearest = np.argsort(distance, kind="stable")[:NEIGHBOURS]
    return [index.row(int(position)) for position in nearest if np.isfinite(distance[position])]


def _segments(view: Snapshot, customer_ids: list[str]) -> Counter[str]:
    """Segments that these customers are in at the run, and how many of them."""
    chosen = pa.table({"customer_id": pa.array(customer_ids, TEXT)})
    sql = """
select m.segment, count(*) as n from segment_members m join chosen c on c.customer_id = m.customer_id
where m.left_at is null group by m.segment"""
    return Counter({row["segment"]: row["n"] for row in records(view.query(sql, chosen=chosen))})


def _lines(view: Snapshot, customer_id: str) -> list[dict[str, Any]]:
    sql = """
select l.line_id, l.order_id, l.ordered_at, l.occurred_at, l.is_refund, l.paid_cents
from order_lines l join customer c on c.customer_id = l.customer_id order by l.line_id"""
    return records(view.query_customer(customer_id, sql))


def _event_of(line: dict[str, Any]) -> str:
    """The event of a line: its id without the position in it."""
    return line["line_id"].rpartition("/")[0]


def _senders(view: Snapshot, lines: list[dict[str, Any]]) -> dict[str, str]:
    """The id that each line's event came with."""
    months = sorted({f"{at:%Y-%m}" for line in lines for at in (line["ordered_at"], line["occurred_at"])})
    if not months:
        return {}
    tables = {
        "wanted": pa.table({"event": pa.array(sorted({_event_of(line) for line in lines}), TEXT)}),
        "months": pa.table({"month": pa.array(months, TEXT)}),
    }
    sql = """
select w.event, coalesce(e.user_token, e.anonymous_token) as token
from events e join wanted w on w.event = e.source || '/' || e.event_id
where e.month in (select month from months)"""
    return {row["event"]: row["token"] for row in records(view.query(sql, **tables))}
