"""Facts as they were known at a past run's cutoff, made of those that the last run left.

A run's own version of the facts goes with its files: some days after another run, or with an erasure. Rows that became
known later are then left out of the newest version, and what later events changed in earlier rows is undone. Two things
cannot be undone: customers who were merged since have one history, and a product has its last known name.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from patron.schema.tables import TABLES, TEXT_VECTORS
from patron.storage.engine import literal, timestamp
from patron.storage.runs.runs import Run

Rows = Callable[[str], str]
"""SQL of the rows of a table, by its name."""
FACTS = tuple(table.name for table in TABLES if table.partition_by is None and table is not TEXT_VECTORS)
"""Tables that each run replaces whole, of which a past run has its own version for a while."""


def past_conditions(run: Run) -> dict[str, str]:
    """What rows meet that were there when a run completed, as SQL, by table: of no later run, and known before."""
    conditions: dict[str, str] = {}
    for table in TABLES:
        if table.partition_by == "run_id":
            # why: the name of a run is its cutoff by the shop's calendar, so that names are in order
            conditions[table.name] = f"run_id <= {literal(run.run_id)}"
        elif any(column.name == "known_at" for column in table.columns):
            conditions[table.name] = f"known_at < {timestamp(run.as_of)}"
    return conditions


def facts_before(as_of: datetime) -> Mapping[str, Callable[[Rows], str]]:
    """SQL of tables whose rows later events change, as of a cutoff, from the other tables as of it; by table."""
    cutoff = timestamp(as_of)
    return {name: partial(make, cutoff) for name, make in CHANGED_LATER.items()}


def _customers(cutoff: str, rows: Rows) -> str:
    """Customers who were known, with the orders and refunds that were."""
    return f"""
select c.* replace (o.first_order_at as first_order_at, o.last_order_at as last_order_at,
  coalesce(o.order_count, 0) as order_count, coalesce(m.paid_cents, 0) as paid_cents,
  coalesce(m.refunded_cents, 0) as refunded_cents)
from ({rows("customers")}) c
left join (
  select customer_id, min(occurred_at) as first_order_at, max(occurred_at) as last_order_at,
    count(distinct order_id) as order_count
  from ({rows("orders")}) group by customer_id
) o on o.customer_id = c.customer_id
left join (
  select customer_id, cast(sum(paid_cents) as bigint) as paid_cents,
    cast(sum(case when is_refund then -paid_cents else 0 end) as bigint) as refunded_cents
  from ({rows("order_lines")}) group by customer_id
) m on m.customer_id = c.customer_id
where c.first_event_at < {cutoff}"""


def _order_lines(cutoff: str, rows: Rows) -> str:
    """Lines whose category and brand may have become known after them."""
    is_known = f"category_known_at < {cutoff}"
    columns = ", ".join(f"case when {is_known} then {name} end as {name}" for name in ("category", "brand"))
    return f"select * replace ({columns}) from ({rows('order_lines')})"


def _consents(cutoff: str, rows: Rows) -> str:  # noqa: ARG001 - as the others
    """Answers, the latest of which may have been followed by another one."""
    newest = "partition by customer_id, purpose, is_of_user order by occurred_at desc, is_granted, event"
    is_latest = f"is_of_user and row_number() over ({newest}) = 1"
    return f"select * replace ({is_latest} as is_latest) from ({rows('consents')})"


def _contracts(cutoff: str, rows: Rows) -> str:
    """Contracts that may have been cancelled later."""
    names = ("cancelled_at", "cancellation_known_at")
    columns = ", ".join(f"case when cancellation_known_at < {cutoff} then {name} end as {name}" for name in names)
    return f"select * replace ({columns}) from ({rows('contracts')})"


def _promotions(cutoff: str, rows: Rows) -> str:
    """Plans of promotions that may have been replaced later."""
    superseded = f"case when superseded_at < {cutoff} then superseded_at end as superseded_at"
    return f"select * replace ({superseded}) from ({rows('promotions')})"


def _sessions(cutoff: str, rows: Rows) -> str:
    return f"select * from ({rows('sessions')}) where ended_at < {cutoff}"


def _stays(table: str, cutoff: str, rows: Rows) -> str:
    """Stays that had begun; one that ended later lasts."""
    return f"""
select * replace (case when left_at <= {cutoff} then left_at end as left_at)
from ({rows(table)}) where entered_at <= {cutoff}"""


CHANGED_LATER: Mapping[str, Callable[[str, Rows], str]] = {
    "order_lines": _order_lines,
    "consents": _consents,
    "contracts": _contracts,
    "promotions": _promotions,
    "sessions": _sessions,
    "customers": _customers,
    "segment_members": partial(_stays, "segment_members"),
    "trigger_members": partial(_stays, "trigger_members"),
}
