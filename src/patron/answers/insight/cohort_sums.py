"""Cohorts of a run: customers by the month of their first order and another trait, summed by months since."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from patron.schema.models.questions import VALUE
from patron.storage.engine import literal
from patron.storage.models.missing_forecasts import missing_forecasts
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Snapshot

Grouping = Literal["month", "channel", "category", "country"]
GROUPINGS: tuple[Grouping, ...] = ("month", "channel", "category", "country")
REACH_80 = 1.2815515655446004
"""Standard errors on either side of an 80 % interval."""


@dataclass(frozen=True)
class AgeSum:
    """What the customers of a cohort did in one month after their first order; amounts in cents."""

    active_count: int
    paid_cents: int
    margin_cents: float
    paid_squares: float
    """By how much the sum of the squares of what each customer has paid so far grew in this month."""
    margin_squares: float


NO_SUM = AgeSum(0, 0, margin_cents=0.0, paid_squares=0.0, margin_squares=0.0)


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
    """Cohorts of a run by month of the shop's clock and, unless they are grouped by month, a trait of each customer."""
    of_run = f"where run_id = {literal(view.run.run_id)} and split_by = {literal(grouping)}"
    ages: dict[tuple[str, str], dict[int, AgeSum]] = {}
    columns = "active_count, paid_cents, margin_cents, paid_squares, margin_squares"
    sql = f"select group_code, first_month, age_months, {columns} from cohort_months {of_run}"
    for row in records(view.query(sql)):
        group, month, age = (row.pop(name) for name in ("group_code", "first_month", "age_months"))
        ages.setdefault((group, month), {})[age] = AgeSum(**row)
    has_forecast = all(one.question != VALUE.name for one in missing_forecasts(view))
    as_of = view.run.as_of.astimezone(ZoneInfo(view.settings.shop.time_zone))
    return CohortSums(
        month_number(as_of.strftime("%Y-%m")),
        (as_of.day, as_of.hour, as_of.minute, as_of.second) != (1, 0, 0, 0),
        tuple(
            CohortSum(
                row["group_code"],
                month_number(row["first_month"]),
                customer_count=row["customer_count"],
                ages=ages.get((row["group_code"], row["first_month"]), {}),
                forecast=_forecast(row) if has_forecast else NO_FORECAST,
            )
            for row in records(view.query(f"select * from cohorts {of_run} order by group_code, first_month"))
        ),
        _forecast_error(view),
    )


def sums_at_last_run(cache: AnswerCache, grouping: Grouping) -> CohortSums:
    """Cohorts of the last run, which cost a moment and stay until the next one. Raises NoRunYet."""
    return cache.cached(("cohort sums", grouping), lambda: cohort_sums(last_run(cache.shop), grouping))


def known_groupings(view: Snapshot) -> tuple[Grouping, ...]:
    """Groupings that the shop's data can tell apart."""
    sql = f"""
select split_by, count(distinct group_code) as group_count from cohorts
where run_id = {literal(view.run.run_id)} and split_by <> 'month' and (group_code <> '' or split_by = 'channel')
group by split_by"""
    counts = {row["split_by"]: row["group_count"] for row in records(view.query(sql))}
    return ("month", *(name for name in GROUPINGS[1:] if counts.get(name, 0) > (name != "country")))


def month_number(month: str) -> int:
    """Months since the year 0 of a month that is written YYYY-MM."""
    year, number = month.split("-")
    return int(year) * 12 + int(number) - 1


def month_text(number: int) -> str:
    """A month as it is written: YYYY-MM."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _forecast(row: Mapping[str, Any]) -> ForecastSum:
    variance = row["squared_widths"] / (2 * REACH_80) ** 2
    return ForecastSum(row["scored_count"], row["expected_cents"], variance)


def _forecast_error(view: Snapshot) -> float | None:
    sql = f"""
select value, low, high from shop_forecasts where question = 'value' and run_id = '{view.run.run_id}' and value > 0"""
    row = next(iter(records(view.query(sql))), None)
    return (row["high"] - row["low"]) / (2 * REACH_80) / row["value"] if row else None
