"""Key figures of a period that the reader chose, next to those of another one; each names the people behind it.

What customers who had ordered before brought, and what new ones did, are figures of their own: the forecast of
customers is compared with what those of 90 days ago brought since, that of prospects with what those of then brought.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field

from patron.answers.customers.watch_list import watch_list_total
from patron.answers.insight.overview import Overview, show_overview
from patron.answers.insight.periods import (
    Compare,
    Period,
    PeriodQuery,
    Span,
    add_months,
    other_span,
    parse_period_query,
    span_of,
)
from patron.answers.insight.revenue import (
    DAYS_COMPARED,
    OF_SHOP,
    WINDOW_FIGURES,
    Window,
    earlier_customers_revenue_cents,
    earlier_run_id,
    expected_cents,
    first_order_at,
    window_edges,
    windows_between,
)
from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.models.questions import PROSPECTS
from patron.storage.engine import exact_sum, literal, timestamp
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, records
from patron.storage.runs.runs import Run
from patron.storage.shop import Snapshot

DAILY_UP_TO, WEEKLY_UP_TO = 31, 200
"""Days of a period whose course is drawn by the day, and by the week; a longer one by the month."""
SLACK = timedelta(days=3)
"""A compared period may begin so long before the first order."""
REASONS_NOT_COMPARED = ("before_first_order", "too_young_then", "no_run", "nothing_then", "no_forecast")


@dataclass(frozen=True)
class PeriodFigure:
    """One figure of the period and of the other one."""

    code: str
    unit: str
    """money (cents), count or share."""
    group: str
    """shop, customers or new_customers."""
    value: float | None
    previous: float | None
    not_compared: str | None = None
    """Why there is no `previous`: one of REASONS_NOT_COMPARED; None where there is, or nothing is compared."""
    basis: str = "period"
    """What `previous` is: the same of the other period; customers_then, prospects_then or earlier_run."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the customer list that name the people behind it; empty where the list has no such filter."""
    is_more_better: bool = True

    def change_share(self) -> float | None:
        """Relative change; for a share the difference itself."""
        if self.value is None or self.previous is None:
            return None
        if self.unit == "share":
            return self.value - self.previous
        return self.value / self.previous - 1 if self.previous else None


@dataclass(frozen=True)
class Course:
    """Revenue by day, week or month."""

    step: str
    """day, week or month."""
    windows: tuple[Window, ...]
    is_last_cut_off: bool
    """Whether the last one is not over yet where the data end."""
    compared: tuple[Window, ...] = ()
    """Those of the other period, in the same order."""


@dataclass(frozen=True)
class PeriodFigures:
    """Key figures of a period."""

    query: PeriodQuery
    span: Span
    compared: Span | None
    figures: tuple[PeriodFigure, ...]
    course: Course
    months: tuple[str, ...]
    """Months with orders, the newest first, to choose from."""


@dataclass(frozen=True)
class PeriodOverview:
    """The overview of the last run, with the key figures of a period."""

    overview: Overview
    period: PeriodFigures


def period_figures(view: Snapshot, query: PeriodQuery) -> PeriodFigures:
    """Key figures of a period at a run. Raises BadQuery for a period that is none."""
    zone = ZoneInfo(view.settings.shop.time_zone)
    span = span_of(query, view.run.as_of, zone)
    compared = other_span(span, query, zone)
    first_at = first_order_at(view)
    is_known = compared is not None and first_at is not None and compared.starts_at + SLACK >= first_at
    before = compared if is_known else None
    sums = _Sums.of(view, span, before)
    figures = (
        *_shop_figures(view, sums, query),
        *_customer_figures(view, sums, query),
        *_new_customer_figures(view, sums, query),
    )
    return PeriodFigures(
        query, span, compared, figures, _course(view, span, before, zone), _months(first_at, view, zone)
    )


def period_at_last_run(cache: AnswerCache, query: PeriodQuery) -> PeriodFigures:
    """Key figures of a period at the last run; only the periods that were requested most recently are kept."""
    return cache.cached_per_customer(("period", query), lambda: period_figures(last_run(cache.shop), query))


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/overview/period")
def show_period(  # noqa: PLR0913, PLR0917 - one argument for each parameter
    cache: AnswerCache,
    visible: VisibleCustomers | None = None,
    period: Period = "90",
    month: Annotated[str, Field(max_length=7)] = "",
    first_day: Annotated[str, Field(alias="from", max_length=10)] = "",
    last_day: Annotated[str, Field(alias="to", max_length=10)] = "",
    compare: Compare = "previous",
) -> PeriodOverview:
    """The last run with the key figures of a period, next to those of another one."""
    named = {"period": period, "month": month, "from": first_day, "to": last_day, "compare": compare}
    return PeriodOverview(show_overview(cache, visible=visible), period_at_last_run(cache, parse_period_query(named)))


def _time_filters(column: str, start: datetime | None, end: datetime | None, view: Snapshot) -> dict[str, str]:
    """Parameters of the customer list for a time from a start until before an end: days where they are midnights."""
    zone, parameters = ZoneInfo(view.settings.shop.time_zone), dict[str, str]()
    for name, at, days in (("from", start, 0), ("to", end, 1)):
        if at is not None:
            local = at.astimezone(zone)
            day = f"{local.date() - timedelta(days=days)}"
            parameters[f"{column}_{name}"] = day if local.time() == time.min else at.astimezone(UTC).isoformat()
    return parameters


@dataclass(frozen=True)
class _Sums:
    """What the period and the other one come to; the other one is None where there is nothing to compare with."""

    span: Span
    now: Window
    then: Window | None

    @classmethod
    def of(cls, view: Snapshot, span: Span, before: Span | None) -> Self:
        return cls(span, _window_of(view, span), _window_of(view, before) if before else None)

    def figure(self, code: str, group: str, query: PeriodQuery, filters: Mapping[str, str]) -> PeriodFigure:
        """One of WINDOW_FIGURES, with the parameters of the list of its people."""
        unit, of = WINDOW_FIGURES[code]
        previous = of(self.then) if self.then else None
        reason = None
        if query.compare != "none":
            reason = "before_first_order" if self.then is None else "nothing_then" if not previous else None
        return PeriodFigure(code, unit, group, of(self.now), previous or None, reason, filters=filters)


def _window_of(view: Snapshot, span: Span) -> Window:
    return windows_between(view, [span.ends_at, span.starts_at])[0]


def _shop_figures(view: Snapshot, sums: _Sums, query: PeriodQuery) -> tuple[PeriodFigure, ...]:
    # why: who ordered last in the period ordered in it, and nobody else, where it goes on until the run
    reaches_run = sums.span.ends_at == view.run.as_of
    buyers = _time_filters("last_order", sums.span.starts_at, None, view) if reaches_run else {}
    return tuple(sums.figure(code, "shop", query, buyers) for code in OF_SHOP)


def _customer_figures(view: Snapshot, sums: _Sums, query: PeriodQuery) -> tuple[PeriodFigure, ...]:
    start, known = sums.span.starts_at, dict[str, str]()
    if sums.span.ends_at == view.run.as_of:
        known = _time_filters("last_order", start, None, view) | _time_filters("first_order", None, start, view)
    earlier = _earlier_view(view, sums.span, query)
    at_risk = (_at_risk_count(view), _at_risk_count(earlier) if earlier else None)
    at_stake = (_at_stake(view) or 0.0, _at_stake(earlier) if earlier else None)
    return (
        sums.figure("revenue_known", "customers", query, known),
        _expected_revenue(view, query),
        _run_figure("at_risk", "count", at_risk, earlier, query, {"lifecycle_stage": "at_risk"}),
        _run_figure("value_at_risk", "money", at_stake, earlier, query, {"at_risk": "1", "sort": "value_at_risk"}),
    )


def _run_figure(
    code: str,
    unit: str,
    values: tuple[float, float | None],
    earlier: Snapshot | None,
    query: PeriodQuery,
    filters: Mapping[str, str],
) -> PeriodFigure:
    """A figure of this run, next to that of an earlier one; less is better."""
    value, previous = values
    reason = None
    if query.compare != "none":
        reason = "no_run" if earlier is None else "nothing_then" if not previous else None
    return PeriodFigure(code, unit, "customers", value, previous, reason, "earlier_run", filters, is_more_better=False)


def _expected_revenue(view: Snapshot, query: PeriodQuery) -> PeriodFigure:
    """What customers are expected to bring in 90 days, next to what those of 90 days ago have brought since."""
    value = expected_cents(view)
    is_compared = query.compare != "none" and value is not None
    brought = earlier_customers_revenue_cents(view) if is_compared else None
    reason = "no_forecast" if value is None else None
    if is_compared and not brought:
        reason = "too_young_then" if brought is None else "nothing_then"
    return PeriodFigure(
        "expected_value", "money", "customers", value, brought or None, reason, "customers_then", {"sort": "value"}
    )


def _new_customer_figures(view: Snapshot, sums: _Sums, query: PeriodQuery) -> tuple[PeriodFigure, ...]:
    filters = _time_filters("first_order", sums.span.starts_at, sums.span.ends_at, view)
    won = (sums.figure(code, "new_customers", query, filters) for code in ("revenue_new", "new_customers"))
    return (*won, _expected_of_prospects(view, query))


def _expected_of_prospects(view: Snapshot, query: PeriodQuery) -> PeriodFigure:
    """What people without an order are expected to bring in 90 days, next to what those of then brought since."""
    sql = f"""
select {exact_sum("value")} as total from scores
where run_id = {literal(view.run.run_id)} and question = '{PROSPECTS.name}'"""
    value = records(view.query(sql))[0]["total"]
    now, cutoff, earliest = window_edges(view, DAYS_COMPARED, 2)
    sql = f"""
select count(*) as people, cast(coalesce(sum(l.paid), 0) as double) as paid from customers c left join (
  select customer_id, sum(paid_cents) as paid from order_lines
  where ordered_at >= {timestamp(cutoff)} and ordered_at < {timestamp(now)} group by customer_id
) l on l.customer_id = c.customer_id
where c.is_identified and c.first_event_at >= {timestamp(earliest)} and c.first_event_at < {timestamp(cutoff)}
  and (c.first_order_at is null or c.first_order_at >= {timestamp(cutoff)})"""
    then = records(view.query(sql))[0] if query.compare != "none" and value is not None else {"people": 0, "paid": None}
    reason = (
        "no_forecast" if value is None else "nothing_then" if query.compare != "none" and not then["paid"] else None
    )
    return PeriodFigure(
        "prospects_value", "money", "new_customers", value, then["paid"] or None, reason, "prospects_then"
    )


def _at_stake(view: Snapshot) -> float | None:
    return watch_list_total(view).value_at_risk_cents


def _at_risk_count(view: Snapshot) -> float:
    sql = f"""
select cast(count(*) as double) as n from segments
where run_id = {literal(view.run.run_id)} and lifecycle_stage = 'at_risk'"""
    return records(view.query(sql))[0]["n"]


def _earlier_view(view: Snapshot, span: Span, query: PeriodQuery) -> Snapshot | None:
    """The run at the beginning of the period, or a year before, that can be compared; None where there is none."""
    if query.compare == "none":
        return None
    zone = ZoneInfo(view.settings.shop.time_zone)
    at = add_months(view.run.as_of.astimezone(zone), -12) if query.compare == "year" else span.starts_at
    run_id = earlier_run_id(view, at.astimezone(UTC))
    return Snapshot(view.shop, Run(run_id, at, 0), {}) if run_id else None


def _course(view: Snapshot, span: Span, before: Span | None, zone: ZoneInfo) -> Course:
    days = (span.ends_at - span.starts_at).days
    step = "day" if days <= DAILY_UP_TO else "week" if days <= WEEKLY_UP_TO else "month"
    edges = _edges(span, step, zone)
    end = edges[-1]
    as_of = view.run.as_of
    shown = [edge.astimezone(UTC) for edge in edges[:-1]] + [min(end.astimezone(UTC), as_of)]
    windows = windows_between(view, shown[::-1])
    compared = ()
    if before:
        others = _edges(before, step, zone)[: len(edges)]
        compared = windows_between(view, [edge.astimezone(UTC) for edge in others][::-1]) if len(others) > 1 else ()
    return Course(step, windows, end.astimezone(UTC) > as_of, compared)


def _edges(span: Span, step: str, zone: ZoneInfo) -> list[datetime]:
    """Where days, weeks from Monday or months begin, from the one that a span begins in until after its end."""
    local, end = span.starts_at.astimezone(zone), span.ends_at.astimezone(zone)
    at = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if step == "week":
        at -= timedelta(days=at.weekday())
    elif step == "month":
        at = at.replace(day=1)
    edges = [at]
    while edges[-1] < end:
        last = edges[-1]
        edges.append(add_months(last, 1) if step == "month" else last + timedelta(days=7 if step == "week" else 1))
    return edges


def _months(first_at: datetime | None, view: Snapshot, zone: ZoneInfo) -> tuple[str, ...]:
    if first_at is None:
        return ()
    last = (view.run.as_of - timedelta(microseconds=1)).astimezone(zone).replace(day=1)
    start = first_at.astimezone(zone)
    count = (last.year - start.year) * 12 + last.month - start.month
    return tuple(f"{add_months(last, -ago):%Y-%m}" for ago in range(count + 1))
