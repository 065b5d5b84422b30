"""Why customers are likely to leave: what sets each of them apart, with the fact, the usual, and what might help."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.models.questions import CHURN
from patron.schema.models.reason_codes import REASON_CODES
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

FACTS = ("code", "contribution", "fact", "usual", "basis", "of_count", "window_days", "days_ago")
HELP_OF_CODE = {one.code: one.help for one in REASON_CODES}


@dataclass(frozen=True)
class ChurnReason:
    """One reason of one customer; fact and usual in the unit of its code (`schema/models/reason_codes.py`)."""

    code: str
    contribution: float
    """What it added to the log-odds of leaving."""
    fact: float
    usual: float
    basis: str
    """For whom it is usual: customer, or shop (the median) where the customer has too little history."""
    of_count: int | None
    """Of how many the fact and the usual are a share."""
    window_days: int | None
    """Days before the run in which the fact was counted."""
    days_ago: int | None
    since: datetime | None
    """When what the fact is about happened, to the day."""
    help: str
    """Code of what might help."""


def churn_reasons(view: Snapshot, customers: pa.Table) -> dict[str, tuple[ChurnReason, ...]] | None:
    """Reasons of these customers (a table with customer_id), the strongest first; who has none is left out.

    None where the run has no reasons of anybody: its champion does not explain itself, or it is an older run.
    """
    if not _has_reasons(view):
        return None
    of_run = f"run_id = '{view.run.run_id}' and question = '{CHURN.name}'"
    sql = f"""
select r.customer_id, {", ".join(f"r.{name}" for name in FACTS)}
from reasons r join chosen c on c.customer_id = r.customer_id where {of_run} order by r.customer_id, r.rank"""
    reasons: dict[str, tuple[ChurnReason, ...]] = {}
    for row in records(view.query(sql, chosen=customers.select(["customer_id"]))):
        customer = row.pop("customer_id")
        reasons[customer] = (*reasons.get(customer, ()), _reason(view, row))
    return reasons


def customer_churn_reasons(view: Snapshot, customer_id: str) -> tuple[ChurnReason, ...] | None:
    """Reasons of one customer, the strongest first; None where the run has no reasons of anybody."""
    if not _has_reasons(view):
        return None
    rows = view.customer_rows("reasons", customer_id, is_of_run=True).filter(pc.field("question") == CHURN.name)
    return tuple(_reason(view, row) for row in records(rows.sort_by("rank").select(FACTS)))


def _has_reasons(view: Snapshot) -> bool:
    sql = f"select 1 as one from this_reasons where question = '{CHURN.name}' limit 1"
    return view.once("has churn reasons", lambda: view.query(sql).num_rows > 0)


def _reason(view: Snapshot, row: dict[str, Any]) -> ChurnReason:
    since = None if row["days_ago"] is None else view.run.as_of - timedelta(days=row["days_ago"])
    return ChurnReason(**row, since=since, help=HELP_OF_CODE[row["code"]])
