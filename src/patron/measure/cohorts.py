"""Customers by the month of their first order and another trait, summed by months since: what retention is made of."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.schema.models.questions import VALUE
from patron.storage.engine import exact_sum, literal
from patron.storage.offers.margin import margin_sum
from patron.storage.runs.stage_view import StageView

EPOCH = date(1970, 1, 1)
OF_GROUP = """
  case when grouping(f.channel) = 0 then 'channel' when grouping(f.category) = 0 then 'category'
    when grouping(f.country) = 0 then 'country' else 'month' end as split_by,
  coalesce(f.channel, f.category, f.country, '') as group_code"""


def write_cohorts(view: StageView) -> None:
    """Write `cohorts` and `cohort_months`; months are those of the shop's clock."""
    days = _days(view)
    months = days.group_by(["month", "month_text"]).aggregate([])
    firsts = _firsts_sql(view)
    for name, sql in (("cohorts", _cohorts_sql(view)), ("cohort_months", _cohort_months_sql(view))):
        view.write(name, view.query(f"{firsts}, {sql}", days=days, months=months))


def _days(view: StageView) -> pa.Table:
    """The month of every day since the first order: to look it up is faster than to write each line's date."""
    first_at = view.query("select min(ordered_at) as first_at from order_lines")["first_at"][0].as_py()
    zone = ZoneInfo(view.settings.shop.time_zone)
    last_day = (view.run.as_of.astimezone(zone).date() - EPOCH).days
    first_day = last_day if first_at is None else (first_at.astimezone(zone).date() - EPOCH).days
    dates = [EPOCH + timedelta(days=day) for day in range(first_day, last_day + 1)]
    return pa.table(
        {
            "day": pa.array([(date_ - EPOCH).days for date_ in dates], pa.int64()),
            "month": pa.array([date_.year * 12 + date_.month for date_ in dates], pa.int64()),
            "month_text": pa.array([f"{date_:%Y-%m}" for date_ in dates], pa.string()),
        }
    )


def _firsts_sql(view: StageView) -> str:
    """The cohort of each customer and the value of each trait; empty where it is not known."""
    return f"""
with first_categories as (
  select customer_id, category, row_number() over (partition by customer_id order by gross desc, category) as place
  from (
    select l.customer_id, l.category, cast(sum(l.gross_cents) as bigint) as gross
    from order_lines l join customers c on c.customer_id = l.customer_id and c.first_order_at = l.ordered_at
    where not l.is_refund and l.category is not null group by l.customer_id, l.category
  ) bought
), countries as (
  select customer_id, value as country, row_number() over (
    partition by customer_id order by known_at desc, event_id desc) as place
  from traits where trait = 'country'
), firsts as (
  select c.customer_id, d.month as cohort, coalesce(c.acquisition_channel, '') as channel,
    coalesce(g.category, '') as category, coalesce(t.country, '') as country
  from customers c join days d on d.day = local_day(c.first_order_at, {literal(view.settings.shop.time_zone)})
  left join first_categories g on g.customer_id = c.customer_id and g.place = 1
  left join countries t on t.customer_id = c.customer_id and t.place = 1
  where c.is_identified and c.first_order_at is not null
)"""


def _grouping_sets(*more: str) -> str:
    columns = ", ".join(("f.cohort", *more))
    traits = ", ".join(f"({columns}, f.{trait})" for trait in ("channel", "category", "country"))
    return f"group by grouping sets (({columns}), {traits})"


def _cohorts_sql(view: StageView) -> str:
    width = "(coalesce(s.high, s.value) - coalesce(s.low, s.value))"
    return f"""
summed as (
  select {OF_GROUP}, f.cohort, count(*) as customer_count, count(s.value) as scored_count,
    coalesce({exact_sum("s.value")}, 0) as expected_cents,
    coalesce({exact_sum(f"{width} * {width}")}, 0) as squared_widths
  from firsts f left join (
    select customer_id, value, low, high from this_scores
    where question = '{VALUE.name}'
  ) s on s.customer_id = f.customer_id
  {_grouping_sets()}
)
select '{view.run.run_id}' as run_id, s.split_by, s.group_code, m.month_text as first_month, s.customer_count,
  s.scored_count, s.expected_cents, s.squared_widths
from summed s join months m on m.month = s.cohort"""


def _cohort_months_sql(view: StageView) -> str:
    """Squares of what each customer has paid so far grow by what is new times twice the sum less what is new."""
    so_far = "sum({0}) over (partition by customer_id order by month)"
    return f"""
monthly as (
  select l.customer_id, d.month, max(case when l.is_refund then 0 else 1 end) as is_active,
    cast(sum(l.paid_cents) as bigint) as paid, {margin_sum("true", view.settings.shop.margin_share)} as margin
  from order_lines l join days d on d.day = local_day(l.ordered_at, {literal(view.settings.shop.time_zone)})
  where l.is_identified group by l.customer_id, d.month
), grown as (
  select *, {so_far.format("paid")} as paid_so_far, {so_far.format("margin")} as margin_so_far from monthly
), summed as (
  select {OF_GROUP}, f.cohort, g.month - f.cohort as age_months, cast(sum(g.is_active) as bigint) as active_count,
    cast(sum(g.paid) as bigint) as paid_cents, cast(sum(g.margin) as double) as margin_cents,
    {exact_sum("cast(g.paid as double) * (2 * g.paid_so_far - g.paid)")} as paid_squares,
    {exact_sum("cast(g.margin as double) * cast(2 * g.margin_so_far - g.margin as double)")} as margin_squares
  from grown g join firsts f on f.customer_id = g.customer_id
  where g.month >= f.cohort {_grouping_sets("g.month - f.cohort")}
)
select '{view.run.run_id}' as run_id, s.split_by, s.group_code, m.month_text as first_month, s.age_months,
  s.active_count, s.paid_cents, s.margin_cents, s.paid_squares, s.margin_squares
from summed s join months m on m.month = s.cohort"""
