"""What the last run estimated of one customer and decided for them, for the customers themselves to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from patron.answers.churn_reasons import ChurnReason, churn_reasons
from patron.schema.errors import NotFound
from patron.schema.table_definition import TEXT
from patron.schema.tables import THRESHOLD
from patron.storage.last_run import last_run, records
from patron.storage.shop import Shop

LIKELY_STAGES = frozenset({"at_risk", "lapsed"})


@dataclass(frozen=True)
class CustomerExplanation:
    """One customer's own forecast and decision; nothing about anybody else, no score, no sensitive trait."""

    customer_id: str
    as_of: datetime
    is_likely_to_leave: bool | None
    """Whether the forecast puts the customer among those at risk or lapsed; None without a forecast."""
    reasons: tuple[ChurnReason, ...]
    """What sets the customer apart, the strongest first; empty for who is not likely to leave."""
    action: str | None
    """Id of the offer or none; None for who was not considered for one."""
    reason: str | None
    """Reason code of the action."""
    sensitive_traits: tuple[str, ...]
    """Traits that no forecast uses."""
    has_group_thresholds: bool
    """Whether groups of customers had thresholds of their own."""


def customer_explanation(shop: Shop, customer_ids: Sequence[str]) -> CustomerExplanation:
    """What was estimated and decided for the customer with one of these opaque ids. Raises NoRunYet, NotFound."""
    view = last_run(shop)
    run = f"run_id = '{view.run.run_id}'"
    chosen = pa.table({"customer_id": pa.array(list(customer_ids), TEXT)})
    known = records(
        view.query(
            f"""
select g.customer_id, g.lifecycle_stage, g.stage_basis, d.action, d.reason
from segments g join chosen c on c.customer_id = g.customer_id
left join decisions d on d.run_id = g.run_id and d.customer_id = g.customer_id
where g.{run} order by g.customer_id limit 1""",
            chosen=chosen,
        )
    )
    if not known:
        raise NotFound("the last run knows no order of this customer", todo="Check the id, or run again.")
    row = known[0]
    is_forecast = row["stage_basis"] == "forecast"
    is_likely = row["lifecycle_stage"] in LIKELY_STAGES if is_forecast else None
    reasons = churn_reasons(view, pa.table({"customer_id": pa.array([row["customer_id"]], TEXT)})) or {}
    thresholds = view.query(f"select 1 as one from fairness where {run} and metric = '{THRESHOLD}' limit 1")
    return CustomerExplanation(
        row["customer_id"],
        view.run.as_of,
        is_likely,
        reasons.get(row["customer_id"], ()) if is_likely else (),
        row["action"],
        row["reason"],
        shop.policy.fairness.sensitive_traits,
        thresholds.num_rows > 0,
    )
