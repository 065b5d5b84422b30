"""Questions of the trade that every shop has from the start, over the declared tables."""

from dataclasses import dataclass
from string import Template


@dataclass(frozen=True)
class ReadyQuestion:
    """One question; its name and what it is for are texts of the console, by its code."""

    code: str
    sql: str
    is_pinned: bool = False
    """Whether it is on the dashboard until somebody takes it off."""

    def sql_in(self, time_zone: str) -> str:
        """SQL with the days and months of a time zone."""
        return Template(self.sql).substitute(zone="'" + time_zone.replace("'", "''") + "'").strip()


READY_QUESTIONS = (
    ReadyQuestion(
        "revenue_by_month",
        """
select date_trunc('month', ordered_at at time zone $zone) as month, sum(paid_cents) as paid_cents
from order_lines
group by 1
order by 1""",
        is_pinned=True,
    ),
    ReadyQuestion(
        "revenue_by_channel",
        """
select date_trunc('month', ordered_at at time zone $zone) as month, channel, sum(paid_cents) as paid_cents
from order_lines
group by 1, 2
order by 1, 3 desc""",
    ),
    ReadyQuestion(
        "new_and_returning",
        """
select date_trunc('month', o.occurred_at at time zone $zone) as month,
  case when o.occurred_at = c.first_order_at then 'new' else 'returning' end as buyers,
  count(distinct o.customer_id) as customer_count
from orders o
join customers c using (customer_id)
where o.is_identified
group by 1, 2
order by 1, 2""",
        is_pinned=True,
    ),
    ReadyQuestion(
        "repeat_by_first_category",
        """
with firsts as (
  select customer_id, arg_min(category, occurred_at) as category
  from order_lines
  where not is_refund and is_identified
  group by 1
)
select f.category, avg(case when c.order_count > 1 then 1.0 else 0.0 end) as repeat_share,
  count(*) as customer_count
from firsts f
join customers c using (customer_id)
where f.category is not null
group by 1
having count(*) >= 20
order by 2 desc
limit 25""",
    ),
    ReadyQuestion(
        "repeat_by_first_product",
        """
with firsts as (
  select customer_id, arg_min(product_id, occurred_at) as product_id
  from order_lines
  where not is_refund and is_identified
  group by 1
)
select coalesce(p.product_name, f.product_id) as product_name,
  avg(case when c.order_count > 1 then 1.0 else 0.0 end) as repeat_share, count(*) as customer_count
from firsts f
join customers c using (customer_id)
left join products p using (product_id)
where f.product_id is not null
group by 1
having count(*) >= 20
order by 2 desc
limit 25""",
    ),
    ReadyQuestion(
        "refunds_by_category",
        """
select category, -sum(case when is_refund then paid_cents else 0 end)
    / nullif(sum(case when is_refund then 0 else paid_cents end), 0) as refund_share,
  -sum(case when is_refund then paid_cents else 0 end) as refunded_cents
from order_lines
where category is not null
group by 1
order by 2 desc nulls last
limit 25""",
    ),
    ReadyQuestion(
        "orders_by_weekday",
        """
select local_weekday, count(*) as order_count
from orders
group by 1
order by 1""",
        is_pinned=True,
    ),
    ReadyQuestion(
        "orders_by_hour",
        """
select local_hour, count(*) as order_count
from orders
group by 1
order by 1""",
    ),
    ReadyQuestion(
        "discounts_by_month",
        """
select date_trunc('month', occurred_at at time zone $zone) as month,
  sum(discount_cents) / nullif(sum(gross_cents), 0) as discount_share
from orders
group by 1
order by 1""",
        is_pinned=True,
    ),
    ReadyQuestion(
        "order_value_by_month",
        """
with placed as (
  select date_trunc('month', min(ordered_at) at time zone $zone) as month, sum(paid_cents) as paid_cents,
    max(case when is_refund then 0 else 1 end) as order_count
  from order_lines
  group by customer_id, order_id
)
select month, sum(paid_cents) / nullif(sum(order_count), 0) as mean_order_cents,
  median(case when order_count = 1 then paid_cents end) as median_order_cents
from placed
group by 1
order by 1""",
    ),
    ReadyQuestion(
        "products_by_margin",
        """
select coalesce(p.product_name, l.product_id) as product_name,
  sum(l.paid_cents - l.quantity * p.cost_cents) as margin_cents, sum(l.paid_cents) as paid_cents,
  sum(l.quantity) as unit_count
from order_lines l
left join products p using (product_id)
where l.product_id is not null
group by 1
order by 2 desc nulls last, 3 desc
limit 25""",
    ),
    ReadyQuestion(
        "customers_by_orders",
        """
select case when order_count >= 5 then '5+' else cast(order_count as varchar) end as orders,
  count(*) as customer_count, sum(paid_cents) as paid_cents
from customers
where is_identified and order_count > 0
group by 1
order by 1""",
    ),
    ReadyQuestion(
        "customers_by_stage",
        """
select lifecycle_stage, count(*) as customer_count
from segments
where run_id = (select max(run_id) from segments)
group by 1
order by 2 desc""",
        is_pinned=True,
    ),
    ReadyQuestion(
        "risk_by_stage",
        """
select s.lifecycle_stage, sum(v.value_at_risk_cents) as value_at_risk_cents,
  avg(v.churn_probability) as churn_probability
from value_at_risk v
join segments s using (run_id, customer_id)
where run_id = (select max(run_id) from segments)
group by 1
order by 2 desc""",
        is_pinned=True,
    ),
    ReadyQuestion(
        "visits_to_orders",
        """
select device, count(*) as session_count,
  avg(case when order_count > 0 then 1.0 else 0.0 end) as conversion_share
from sessions
group by 1
order by 2 desc""",
    ),
)
READY_BY_CODE = {question.code: question for question in READY_QUESTIONS}
