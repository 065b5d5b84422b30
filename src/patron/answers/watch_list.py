"""Customers who are likely to stay away, why, and what the shop stands to lose."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.storage.engine import timestamp
from patron.storage.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class Watched:
    """One customer at risk: value at risk is the usual spend of 90 days times the chance of no order in them."""

    customer_id: str
    lifecycle_stage: str
    last_order_at: datetime | None
    churn: float
    usual_cents: float
    """Paid in the last 180 days, per 90 days."""
    value_at_risk_cents: float
    reasons: tuple[str, ...]
    action: str | None
    """Offer decided on at this run, 'none', or None when nothing was decided."""


def watch_list(view: Snapshot, *, limit: int = 12) -> tuple[Watched, ...]:
    """Customers at risk or likelier than average to stay away, the most value at risk first."""
    run_id, since = view.run.run_id, timestamp(view.run.as_of - timedelta(days=180))
    sql = f"""
with risk as (
  select customer_id, value as churn, reasons, avg(value) over () as mean_churn
  from scores where run_id = '{run_id}' and question = 'churn'
), usual as (
  select customer_id, sum(paid_cents) / 2.0 as usual_cents from order_lines
  where is_identified and ordered_at >= {since} group by customer_id
)
select r.customer_id, s.lifecycle_stage, c.last_order_at, r.churn, u.usual_cents,
  r.churn * u.usual_cents as value_at_risk_cents, r.reasons, d.action
from risk r
join usual u on u.customer_id = r.customer_id
join segments s on s.customer_id = r.customer_id and s.run_id = '{run_id}'
left join customers c on c.customer_id = r.customer_id
left join decisions d on d.customer_id = r.customer_id and d.run_id = '{run_id}'
where (s.lifecycle_stage = 'at_risk' or r.churn > r.mean_churn) and u.usual_cents > 0
order by value_at_risk_cents desc, r.customer_id limit {int(limit)}"""
    return tuple(Watched(**{**row, "reasons": tuple(row["reasons"] or ())}) for row in records(view.query(sql)))
