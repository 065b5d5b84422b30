"""Revenue, orders and customers in windows of time before the run; key figures and cohorts.

`windows_between` is the one sum of money over a period: a page, an answer or a chart that says what was paid in a time
takes it from there. A refund counts in the window in which its order was placed, whenever it came.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from patron.answers.insight.cohort_sums import cohort_sums, month_text
from patron.schema.customers.cohort import Cohort
from patron.storage.engine import exact_sum, literal, timestamp
from patron.storage.models.missing_forecasts import scores_sql
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

DAYS_COMPARED = 90
"""What a figure is compared with lies so many days before: the same on a whole page, for every figure."""
DAYS_LATE = 7
"""An earlier run may lie so many days further back and still stand for it."""
Compared = Literal["previous_window", "customers_then", "earlier_run"]


@dataclass(frozen=True)
class Window:
    """One window of time before the run; refunds count where their order does."""

    starts_at: datetime
    ends_at: datetime
    paid_cents: int = 0
    """Net paid by everybody, guests too."""
    known_cents: int = 0
    """Net paid by customers whose first order came before the window."""
    new_cents: int = 0
    """Net paid by customers whose first order is in the window."""
    order_count: int = 0
    customer_count: int = 0
    """Customers with an order in the window."""
    repeat_count: int = 0
    """Of them, who had ordered before the window."""

    @property
    def new_count(self) -> int:
        """Of the customers with an order in the window, whose first it is."""
        return self.customer_count - self.repeat_count


@dataclass(frozen=True)
class KeyFigure:
    """One key figure now, what it is compared with, and its trend."""

    code: str
    unit: str
    """money (cents), count or share."""
    value: float | None
    previous: float | None
    trend: tuple[float, ...]
    is_more_better: bool = True
    compared: Compared = "previous_window"
    """What `previous` is: the 90 days before, what the customers of 90 days ago brought since, or a run 90 days ago."""

    def change_share(self) -> float | None:
        """Relative change; for a share the difference itself."""
        if self.value is None or self.previous is None:
            return None
        if self.unit == "share":
            return self.value - self.previous
        return self.value / self.previous - 1 if self.previous else None


def window_edges(view: Snapshot, days: int, count: int) -> list[datetime]:
    """Where windows begin and end by the shop's clock, newest first: a day may have 23 or 25 hours."""
    as_of = view.run.as_of.astimezone(ZoneInfo(view.settings.shop.time_zone))
    return [(as_of - timedelta(days=days * ago)).astimezone(UTC) for ago in range(count + 1)]


def _windows_sql(edges: list[datetime]) -> str:
    starts = "".join(f" when {{time}} >= {timestamp(start)} then {ago}" for ago, start in enumerate(edges[1:]))
    age = f"case{starts} end"
    span = f"{{time}} >= {timestamp(edges[-1])} and {{time}} < {timestamp(edges[0])}"
    first_order_age = f"coalesce({age.format(time='c.first_order_at')}, {len(edges)})"
    return f"""
with lines as (
  select {age.format(time="l.ordered_at")} as ago, l.customer_id, l.is_identified,
    cast(sum(l.paid_cents) as bigint) as cents
  from order_lines l where {span.format(time="l.ordered_at")} group by 1, 2, 3
), paid as (
  select l.ago, cast(sum(l.cents) as bigint) as paid_cents,
    cast(sum(case when l.is_identified and {first_order_age} > l.ago then l.cents else 0 end) as bigint) as known_cents,
    cast(sum(case when l.is_identified and {first_order_age} <= l.ago then l.cents else 0 end) as bigint) as new_cents
  from lines l left join customers c on c.customer_id = l.customer_id group by l.ago
), ordered as (
  select distinct {age.format(time="occurred_at")} as ago, customer_id, is_identified, order_id
  from orders where {span.format(time="occurred_at")}
), visited as (
  select ago, customer_id, is_identified, count(*) as order_count from ordered group by ago, customer_id, is_identified
), visits as (
  select v.ago, cast(sum(v.order_count) as bigint) as order_count,
    count(case when v.is_identified then 1 end) as customer_count,
    count(case when v.is_identified and {first_order_age} > v.ago then 1 end) as repeat_count
  from visited v join customers c on c.customer_id = v.customer_id group by v.ago
)
select coalesce(paid.ago, visits.ago) as ago, coalesce(paid_cents, 0) as paid_cents,
  coalesce(known_cents, 0) as known_cents, coalesce(new_cents, 0) as new_cents,
  coalesce(order_count, 0) as order_count, coalesce(customer_count, 0) as customer_count,
  coalesce(repeat_count, 0) as repeat_count
from paid full join visits on paid.ago = visits.ago"""


def first_order_at(view: Snapshot) -> datetime | None:
    """Time of the shop's first order; None before it."""
    return records(view.query("select min(occurred_at) as first_at from orders"))[0]["first_at"]


def windows(view: Snapshot, *, days: int, count: int) -> tuple[Window, ...]:
    """Windows of `days` before the run, oldest first, none of which begins before the first order."""
    first_at = first_order_at(view)
    if first_at is None:
        return ()
    # why: a window that begins days before the first order would look like growth out of nothing
    slack = timedelta(days=min(days // 4, 3))
    windows = windows_between(view, window_edges(view, days, count))
    return tuple(window for window in windows if window.starts_at + slack >= first_at)


def windows_between(view: Snapshot, edges: list[datetime]) -> tuple[Window, ...]:
    """Windows between times that are given newest first; the windows are oldest first."""
    by_age = {row.pop("ago"): row for row in records(view.query(_windows_sql(edges)))}
    return tuple(
        Window(start, end, **by_age.get(ago, {}))
        for ago, (start, end) in reversed(list(enumerate(zip(edges[1:], edges, strict=False))))
    )


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


WINDOW_FIGURES: dict[str, tuple[str, Callable[[Window], float | None]]] = {
    "revenue": ("money", lambda window: float(window.paid_cents)),
    "buyers": ("count", lambda window: float(window.customer_count)),
    "order_value": ("money", lambda window: _ratio(window.paid_cents, window.order_count)),
    "repeat_share": ("share", lambda window: _ratio(window.repeat_count, window.customer_count)),
    "revenue_known": ("money", lambda window: float(window.known_cents)),
    "revenue_new": ("money", lambda window: float(window.new_cents)),
    "new_customers": ("count", lambda window: float(window.new_count)),
}
"""Figures of a window: their unit, and how they follow from its sums."""
OF_SHOP = ("revenue", "buyers", "order_value", "repeat_share")
"""Those about everybody."""


def _from_windows(now: Window | None, before: Window | None, course: tuple[Window, ...]) -> tuple[KeyFigure, ...]:
    return tuple(
        KeyFigure(
            code,
            unit,
            value=of(now) if now else None,
            previous=of(before) if before else None,
            trend=tuple(of(window) or 0.0 for window in course),
        )
        for code in OF_SHOP
        for unit, of in [WINDOW_FIGURES[code]]
    )


def comparable_runs_sql(view: Snapshot) -> str:
    """SQL for the runs whose lifecycle stages have the same basis as this one's: others cannot be compared."""
    basis = "select run_id, max(as_of) as as_of, coalesce(min(stage_basis), '') as basis from segments group by run_id"
    return f"""(
select r.run_id, r.as_of from ({basis}) r
join ({basis}) own on own.basis = r.basis and own.run_id = '{view.run.run_id}')"""


def earlier_run_id(view: Snapshot, at: datetime | None = None) -> str | None:
    """The comparable run at a time (90 days before this one), or up to a week earlier; None where there was none."""
    at = at or window_edges(view, DAYS_COMPARED, 1)[1]
    sql = f"""
select run_id from {comparable_runs_sql(view)} r
where as_of <= {timestamp(at)} and as_of > {timestamp(at - timedelta(days=DAYS_LATE))}
order by as_of desc limit 1"""
    return next((row["run_id"] for row in records(view.query(sql))), None)


def _by_run(view: Snapshot, sql: str) -> dict[str, float]:
    """The figure at each run until this one, oldest first; of the runs of a day the last."""
    rows = records(view.query(f"{sql} group by run_id order by run_id"))
    known = [row for row in rows if row["run_id"] <= view.run.run_id]
    last_of_day = {row["run_id"][: len("2024-01-31")]: row for row in known}
    return {row["run_id"]: row["figure"] for row in last_of_day.values()}


def expected_cents(view: Snapshot) -> float | None:
    """What customers with an order are expected to bring in the next 90 days; None without a forecast."""
    sql = f"select {exact_sum('value')} as total from {scores_sql(view, 'value')} v where v.run_id = "
    return records(view.query(sql + literal(view.run.run_id)))[0]["total"]


def earlier_customers_revenue_cents(view: Snapshot) -> float | None:
    """What those who were customers 90 days ago have brought since, cents: a forecast is compared with it.

    Whoever was won since belongs to neither: 90 days ago a forecast would not have had them, and today's has not those
    who are won tomorrow. None where the shop was younger than 90 days then: it had won few of its customers yet, and
    the two would differ by how many there are.
    """
    edges, first_at = window_edges(view, DAYS_COMPARED, 2), first_order_at(view)
    if first_at is None or first_at > edges[-1]:
        return None
    return float(windows_between(view, edges[:2])[0].known_cents)


def _expected_value(view: Snapshot) -> KeyFigure:
    """The forecast of all customers with an order, next to what those of 90 days ago have brought since."""
    by_run = _by_run(view, f"select run_id, {exact_sum('value')} as figure from {scores_sql(view, 'value')} v")
    value = by_run.get(view.run.run_id)
    return KeyFigure(
        "expected_value",
        "money",
        value=value,
        previous=None if value is None else earlier_customers_revenue_cents(view),
        trend=tuple(by_run.values()),
        compared="customers_then",
    )


def _at_risk(view: Snapshot) -> KeyFigure:
    """Customers in the stage at_risk, next to those of a run 90 days ago."""
    count = "cast(sum(case when lifecycle_stage = 'at_risk' then 1 else 0 end) as double)"
    sql = f"""
select run_id, {count} as figure from segments
where run_id in (select run_id from {comparable_runs_sql(view)} c)"""
    by_run, earlier = _by_run(view, sql), earlier_run_id(view)
    previous = records(view.query(f"{sql} and run_id = '{earlier}' group by run_id"))[0]["figure"] if earlier else None
    value, trend = by_run.get(view.run.run_id), tuple(by_run.values())
    return KeyFigure(
        "at_risk", "count", value=value, previous=previous, trend=trend, is_more_better=False, compared="earlier_run"
    )


def key_figures(view: Snapshot) -> tuple[KeyFigure, ...]:
    """Key figures, each next to the same of 90 days before."""
    compared = windows(view, days=DAYS_COMPARED, count=2)
    now = compared[-1] if compared else None
    before = compared[0] if len(compared) == 2 else None
    course = windows(view, days=30, count=12)
    return (
        *_from_windows(now, before, course),
        _expected_value(view),
        _at_risk(view),
    )


def cohorts(view: Snapshot, *, months: int = 12) -> tuple[Cohort, ...]:
    """Retention of the last monthly cohorts, months by the shop's clock."""
    sums = cohort_sums(view, "month")
    last = sums.run_month - 1  # why: the month of the run is not over
    return tuple(
        Cohort(
            month_text(cohort.month),
            cohort.customer_count,
            tuple(
                cohort.ages[age].active_count / cohort.customer_count if age in cohort.ages else 0.0
                for age in range(last - cohort.month + 1)
            ),
        )
        for cohort in sums.cohorts
        if cohort.month <= last
    )[-months:]
