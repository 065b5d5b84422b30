"""Customers whom a bulk action drew: with a task or held out, each draw once, and what they bought in its window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.measure.decision_outcomes import BEFORE_DAYS
from patron.measure.effect_estimates import HOLDOUT, TREATED
from patron.storage.customers.customer_tables import TASKS
from patron.storage.offers.margin import margin_sum
from patron.storage.runs.stage_view import StageView
from patron.storage.store.store_metadata import in_utc

UNKNOWN = "unknown"
"""Reason of customers without one."""
DONE = "done"
ENTRIES = pa.schema(
    [
        ("entry", pa.int64()),
        ("customer_id", pa.string()),
        ("arm", pa.string()),
        ("holdout_share", pa.float64()),
        ("playbook", pa.string()),
        ("reason", pa.string()),
        ("done_count", pa.int64()),
        ("by_hand_count", pa.int64()),
        ("before_at", pa.timestamp("us", "UTC")),
        ("start_at", pa.timestamp("us", "UTC")),
        ("until_at", pa.timestamp("us", "UTC")),
    ]
)


@dataclass(frozen=True)
class _TaskRow:
    customer_id: str
    playbook: str
    reason: str
    state: str
    is_holdout: bool
    holdout_share: float | None
    assigned_at: datetime | None
    measured_until: datetime | None
    created_at: datetime


def task_entries(view: StageView) -> pa.Table:
    """Draws whose window is over by the run, one row each, with the outcomes of the window.

    A draw is of a customer and a time; it ends with its window, and only then is the customer drawn again. Customers
    who have become one count once, by their first draw, and those of whom nobody could be held out not at all.
    """
    rows = _task_rows(view)
    today = _customers_of_today(view, sorted({one.customer_id for one in rows}))
    by_customer: dict[str, list[_TaskRow]] = {}
    for row in rows:
        by_customer.setdefault(today.get(row.customer_id, row.customer_id), []).append(row)
    oldest, as_of = view.run.as_of - timedelta(days=view.policy.measure.history_days), view.run.as_of
    drawn = (
        draw
        for customer in sorted(by_customer)
        for draw in _draws(customer, by_customer[customer])
        if draw["start_at"] >= oldest and draw["until_at"] <= as_of and draw["holdout_share"] > 0
    )
    entries = pa.Table.from_pylist([{**one, "entry": number} for number, one in enumerate(drawn)], schema=ENTRIES)
    outcomes = view.query(task_outcomes_query(view.settings.shop.margin_share), entries=entries)
    for name in outcomes.column_names:
        entries = entries if name == "entry" else entries.append_column(name, outcomes[name])
    return entries


def task_outcomes_query(margin_share: float) -> str:
    """SQL over the Arrow table `entries` and order_lines: one row per entry, in their order.

    Net revenue and margin of the window are net of refunds known by its end; `before_cents` is the net revenue of the
    BEFORE_DAYS before it.
    """
    after, before = "l.ordered_at >= a.start_at", "l.ordered_at < a.start_at and l.known_at < a.start_at"
    bought = f"{after} and not l.is_refund"

    def paid(condition: str) -> str:
        return f"cast(sum(case when {condition} then l.paid_cents else 0 end) as bigint)"

    return f"""
with earned as (
  select a.entry, {paid(after)} as revenue_cents, {paid(before)} as before_cents,
    {margin_sum(after, margin_share)} as margin_cents,
    count(distinct case when {bought} then l.order_id end) as order_count
  from entries a join order_lines l on l.customer_id = a.customer_id
    and l.ordered_at >= a.before_at and l.ordered_at < a.until_at and l.known_at < a.until_at
  group by a.entry)
select a.entry, coalesce(e.revenue_cents, 0) as revenue_cents, coalesce(e.before_cents, 0) as before_cents,
  coalesce(e.margin_cents, 0.0) as margin_cents, coalesce(e.order_count, 0) as order_count
from entries a left join earned e on e.entry = a.entry
order by a.entry
"""


def _draws(customer: str, rows: Iterable[_TaskRow]) -> Iterable[Mapping[str, Any]]:
    """Draws of one customer in their order, with the tasks that were done in each, and those created by hand."""
    rows = list(rows)
    first = sorted(
        (row for row in rows if row.assigned_at is not None),
        key=lambda one: (one.assigned_at, not one.is_holdout, one.created_at),
    )
    until = None
    for one in first:
        start, end = one.assigned_at, one.measured_until
        if start is None or end is None or (until is not None and start < until):
            continue
        until = end
        within = [other for other in rows if start <= other.created_at < end]
        yield {
            "customer_id": customer,
            "arm": HOLDOUT if one.is_holdout else TREATED,
            "holdout_share": one.holdout_share or 0.0,
            "playbook": one.playbook,
            "reason": one.reason or UNKNOWN,
            "done_count": sum(other.state == DONE for other in within),
            "by_hand_count": sum(other.assigned_at is None for other in within),
            "before_at": start - timedelta(days=BEFORE_DAYS),
            "start_at": start,
            "until_at": end,
        }


def _task_rows(view: StageView) -> list[_TaskRow]:
    columns = [TASKS.c[name] for name in _TaskRow.__dataclass_fields__]
    with view.declared_store.begin() as connection:
        rows = connection.execute(sa.select(*columns).where(TASKS.c.created_at <= view.run.as_of)).mappings().all()
    return [_TaskRow(**in_utc(row)) for row in rows]


def _customers_of_today(view: StageView, customers: list[str]) -> Mapping[str, str]:
    """Whom the identifiers of customers belong to now who are no longer any."""
    rows = view.query(
        "select c.previous_customer_id, min(i.customer_id) as customer_id"
        " from identity_changes c join identities i on i.token = c.token"
        " join chosen d on d.customer_id = c.previous_customer_id"
        " left join identities k on k.customer_id = c.previous_customer_id"
        " where k.customer_id is null group by c.previous_customer_id",
        chosen=pa.table({"customer_id": pa.array(customers, pa.string())}),
    )
    return {row["previous_customer_id"]: row["customer_id"] for row in rows.to_pylist()}
