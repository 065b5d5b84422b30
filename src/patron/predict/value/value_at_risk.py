"""What the shop stands to lose: the usual spend of each customer times their churn probability."""

from datetime import timedelta

from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

USUAL_DAYS = 180


def build_value_at_risk(view: StageView) -> None:
    """Write `value_at_risk`: one row for each customer with a churn score who paid in the last 180 days."""
    run_id, since = view.run.run_id, timestamp(view.run.as_of - timedelta(days=USUAL_DAYS))
    view.write_query(
        "value_at_risk",
        f"""
with usual as (
  select customer_id, cast(sum(paid_cents) as bigint) / 2.0 as usual_cents from order_lines
  where is_identified and ordered_at >= {since} group by customer_id
)
select '{run_id}' as run_id, s.customer_id, s.value as churn_probability, u.usual_cents,
  s.value * u.usual_cents as value_at_risk_cents
from scores s join usual u on u.customer_id = s.customer_id
where s.run_id = '{run_id}' and s.question = 'churn' and u.usual_cents > 0 order by s.customer_id""",
    )
