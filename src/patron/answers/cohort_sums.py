"""Customers by the month of their first order and another trait, summed by months since: what retention is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.storage.engine import literal
from patron.storage.last_run import records
from patron.storage.margin import margin_sum
from patron.storage.missing_forecasts import scores_sql
from patron.storage.shop import Snapshot

Grouping = Literal["month", "channel", "category", "country"]
GROUPINGS: tuple[Grouping, ...] = ("month", "channel", "category", "country")
REACH_80 = 1.2815515655446004
"""Standard errors on either side of an 80 % interval."""
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class AgeSum:
    """What the customers of a cohort did in one month after their first order; amounts in cents."""

    active_count: int
    paid_cents: int
    margin_cents: float
    paid_squares: float
    """By how much the sum of the squares of what each customer has paid so far grew in this month."""
    margin_squares: float


NO_SUM = AgeSum(0, 0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ForecastSum:
    """What the customers of a cohort are expected to pay in the next 90 days; cents."""

    scored_count: int
    value_cents: float
    variance: float
    """Of the sum, if customers differ from their forecasts independently."""


NO_FORECAST = ForecastSum(0, 0.0, 0.0)


@dataclass(frozen=True)
class CohortSum:
    """Customers of one group who came in one month."""

    group: str
    month: int
    """Year times 12 plus month, from 0: months since the year 0."""
    customer_count: int
    ages: Mapping[int, AgeSum]
    """By months since the first order; a month in which nobody did anything is not there."""
    forecast: ForecastSum


@dataclass(frozen=True)
class CohortSums:
    """All cohorts of a run."""

    run_month: int
    """Month that is not over at the run; nothing is known of it where the run is at its first moment."""
    is_run_month_begun: bool
    cohorts: tuple[CohortSum, ...]
    forecast_error: float | None
    """Standard error of the forecast of the whole shop, as a share of it; None without one."""


def cohort_sums(view: Snapshot, grouping: Grouping) -> CohortSums:
    """Sum cohorts by month, by the shop's clock, and by another trait of each customer unless grouped by month."""
    zone = view.settings.shop.time_zone
    as_of = view.run.as_of.astimezone(ZoneInfo(zone))
    days = _days(view, (as_of.date() - EPOCH).days)
    firsts = _firsts_sql(grouping, literal(zone))
    counted = {(row["grp"], row["cohort"]): row for row in records(view.query(f"{firsts} {_COUNTS}", days=days))}
    forecasts = {
        (row["grp"], row["cohort"]): ForecastSum(row["scored_count"], row["value_cents"], row["variance"])
        for row in records(view.query(f"{firsts} {_forecasts_sql(view)}", days=days))
    }
    ages: dict[tuple[str, int], dict[int, AgeSum]] = {}
    for row in records(view.query(f"{firsts}, {_ages_sql(view)}", days=days)):
        group, month, age = (row.pop(name) for name in ("grp", "cohort", "age"))
        ages.setdefault((group, month), {})[age] = AgeSum(**row)
    return CohortSums(
        month_number(as_of.strftime("%Y-%m")),
        (as_of.day, as_of.hour, as_of.minute, as_of.second) != (1, 0, 0, 0),
        tuple(
            CohortSum(*key, row["customer_count"], ages.get(key, {}), forecasts.get(key, NO_FORECAST))
            for key, row in sorted(counted.items())
        ),
        _forecast_error(view),
    )


def known_groupings(view: Snapshot) -> tuple[Grouping, ...]:
    """Groupings that the shop's data can tell apart."""
    sql = """
select count(distinct coalesce(acquisition_channel, '')) as channel,
  (select count(distinct category) from order_lines) as category,
  (select count(distinct value) from traits where trait = 'country') as country
from customers where is_identified and first_order_at is not null"""
    row = records(view.query(sql))[0]
    return ("month", *(name for name in GROUPINGS[1:] if row[name] > (name != "country")))


def month_number(month: str) -> int:
    """Months since the year 0 of a month that is written YYYY-MM."""
    year, number = month.split("-")
    return int(year) * 12 + int(number) - 1


def month_text(number: int) -> str:
    """A month as it is written: YYYY-MM."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _days(view: Snapshot, last_day: int) -> pa.Table:
    """The month of every day since the first order: to look it up is faster than to write each line's date."""
    first_at = records(view.query("select min(ordered_at) as first_at from order_lines"))[0]["first_at"]
    first_day = (
        last_day
        if first_at is None
        else (first_at.astimezone(ZoneInfo(view.settings.shop.time_zone)).date() - EPOCH).days
    )
    numbers = list(range(first_day, last_day + 1))
    months = [month_number((EPOCH + timedelta(days=day)).strftime("%Y-%m")) for day in numbers]
    return pa.table({"day": pa.array(numbers, pa.int64()), "month": pa.array(months, pa.int64())})


def _firsts_sql(grouping: Grouping, zone: str) -> str:
    """The cohort and the group of each customer; the group of one of whom it is not known is empty."""
    joined = {
        "month": "",
        "channel": "",
        "category": """
left join (
  select customer_id, category as grp,
    row_number() over (partition by customer_id order by gross desc, category) as place
  from (
    select l.customer_id, l.category, cast(sum(l.gross_cents) as bigint) as gross
    from order_lines l join customers f on f.customer_id = l.customer_id and f.first_order_at = l.ordered_at
    where not l.is_refund and l.category is not null group by l.customer_id, l.category
  ) first_orders
) g on g.customer_id = c.customer_id and g.place = 1""",
        "country": """
left join (
  select customer_id, value as grp, row_number() over (
    partition by customer_id order by known_at desc, event_id desc) as place
  from traits where trait = 'country'
) g on g.customer_id = c.customer_id and g.place = 1""",
    }[grouping]
    group = {"month": "''", "channel": "coalesce(c.acquisition_channel, '')"}.get(grouping, "coalesce(g.grp, '')")
    return f"""
with firsts as (
  select c.customer_id, d.month as cohort, {group} as grp
  from customers c join days d on d.day = local_day(c.first_order_at, {zone}){joined}
  where c.is_identified and c.first_order_at is not null
)"""


_COUNTS = "select grp, cohort, count(*) as customer_count from firsts group by grp, cohort"


def _ages_sql(view: Snapshot) -> str:
    """Squares of what each customer has paid so far grow by what is new times twice the sum less what is new."""
    margin = margin_sum("true", view.settings.shop.margin_share)
    so_far = "sum({0}) over (partition by customer_id order by month)"
    return f"""
monthly as (
  select l.customer_id, d.month, max(case when l.is_refund then 0 else 1 end) as is_active,
    cast(sum(l.paid_cents) as bigint) as paid, {margin} as margin
  from order_lines l join days d on d.day = local_day(l.ordered_at, {literal(view.settings.shop.time_zone)})
  where l.is_identified group by l.customer_id, d.month
), grown as (
  select *, {so_far.format("paid")} as paid_so_far, {so_far.format("margin")} as margin_so_far from monthly
)
select f.grp, f.cohort, m.month - f.cohort as age, cast(sum(m.is_active) as bigint) as active_count,
  cast(sum(m.paid) as bigint) as paid_cents, cast(sum(m.margin) as double) as margin_cents,
  sum(cast(m.paid as double) * (2 * m.paid_so_far - m.paid)) as paid_squares,
  sum(cast(m.margin as double) * cast(2 * m.margin_so_far - m.margin as double)) as margin_squares
from grown m join firsts f on f.customer_id = m.customer_id
where m.month >= f.cohort group by f.grp, f.cohort, m.month - f.cohort"""


def _forecasts_sql(view: Snapshot) -> str:
    error = f"(coalesce(s.high, s.value) - coalesce(s.low, s.value)) / {2 * REACH_80}"
    return f"""
select f.grp, f.cohort, count(*) as scored_count, sum(s.value) as value_cents, sum({error} * {error}) as variance
from {scores_sql(view, "value")} s join firsts f on f.customer_id = s.customer_id
where s.run_id = '{view.run.run_id}' group by f.grp, f.cohort"""


def _forecast_error(view: Snapshot) -> float | None:
    sql = f"""
select value, low, high from shop_forecasts where question = 'value' and run_id = '{view.run.run_id}' and value > 0"""
    row = next(iter(records(view.query(sql))), None)
    return (row["high"] - row["low"]) / (2 * REACH_80) / row["value"] if row else None
