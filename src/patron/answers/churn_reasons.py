"""Why customers are likely to leave: what sets each of them apart, with the fact, the usual, and what might help."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from patron.schema.reason_codes import REASON_CODES
from patron.storage.last_run import records
from patron.storage.shop import Snapshot

HELP_OF_CODE = {one.code: one.help for one in REASON_CODES}


@dataclass(frozen=True)
class ChurnReason:
    """One reason of one customer; fact and usual are in the unit that `schema/reason_codes.py` has for the code."""

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
    of_run = f"run_id = '{view.run.run_id}' and question = 'churn'"
    any_reason = f"select 1 as one from reasons where {of_run} limit 1"
    if not view.once("has churn reasons", lambda: view.query(any_reason).num_rows):
        return None
    sql = f"""
select r.customer_id, r.code, r.contribution, r.fact, r.usual, r.basis, r.of_count, r.window_days, r.days_ago
from reasons r join chosen c on c.customer_id = r.customer_id where {of_run} order by r.customer_id, r.rank"""
    reasons: dict[str, tuple[ChurnReason, ...]] = {}
    for row in records(view.query(sql, chosen=customers.select(["customer_id"]))):
        customer = row.pop("customer_id")
        since = None if row["days_ago"] is None else view.run.as_of - timedelta(days=row["days_ago"])
        reason = ChurnReason(**row, since=since, help=HELP_OF_CODE[row["code"]])
        reasons[customer] = (*reasons.get(customer, ()), reason)
    return reasons
