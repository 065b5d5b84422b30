"""Customers at risk of leaving, why, and what the shop stands to lose."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from patron.answers.churn_reasons import ChurnReason, churn_reasons
from patron.answers.score_reasons import mean_by_recency, score_reasons
from patron.storage.last_run import records
from patron.storage.missing_forecasts import scores_sql
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class CustomerAtRisk:
    """One customer to watch: value at risk is the usual spend of 90 days times the churn probability."""

    customer_id: str
    lifecycle_stage: str
    last_order_at: datetime | None
    churn_probability: float
    usual_cents: float
    """Paid in the last 180 days, per 90 days."""
    value_at_risk_cents: float
    reasons: tuple[str, ...]
    """Features that moved the forecast most, signed."""
    churn_reasons: tuple[ChurnReason, ...] | None
    """What sets the customer apart, the strongest first; None where the run has no such reasons of anybody."""
    action: str | None
    """Offer decided on at this run, 'none', or None when nothing was decided."""


def watch_list(view: Snapshot, *, limit: int = 12, only: pa.Table | None = None) -> tuple[CustomerAtRisk, ...]:
    """Customers in the stage at_risk who paid in the last 180 days, the most value at risk first.

    `only` lists those of these customers (a table with customer_id).
    """
    run_id = view.run.run_id
    is_visible = "" if only is None else " and v.customer_id in (select customer_id from visible)"
    sql = f"""
with churn as (
  select customer_id, reasons from {scores_sql(view, "churn")} s where run_id = '{run_id}'
)
select v.customer_id, s.lifecycle_stage, c.last_order_at, v.churn_probability, v.usual_cents, v.value_at_risk_cents,
  r.reasons, d.action
from value_at_risk v
join churn r on r.customer_id = v.customer_id
join segments s on s.customer_id = v.customer_id and s.run_id = '{run_id}'
left join customers c on c.customer_id = v.customer_id
left join decisions d on d.customer_id = v.customer_id and d.run_id = '{run_id}'
where v.run_id = '{run_id}' and s.lifecycle_stage = 'at_risk'{is_visible}
order by v.value_at_risk_cents desc, v.customer_id limit {int(limit)}"""
    mean = mean_by_recency(view, "churn")
    rows = records(view.query(sql, **({} if only is None else {"visible": only})))
    why = churn_reasons(view, pa.table({"customer_id": pa.array([row["customer_id"] for row in rows], pa.string())}))
    for row in rows:
        row["reasons"] = score_reasons(row["churn_probability"], row["reasons"], mean)
        row["churn_reasons"] = None if why is None else why.get(row["customer_id"], ())
    return tuple(CustomerAtRisk(**row) for row in rows)
