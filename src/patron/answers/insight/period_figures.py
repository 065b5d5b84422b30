"""Key figures of a period that the reader chose, next to those of another one; each names the people behind it.

What customers who had ordered before brought, and what new ones did, are figures of their own: the forecast of
customers is compared with what the same customers brought, that of prospects with what those of then brought.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from patron.answers.data.run_history import value_at_risk_cents
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
    Window,
    earlier_run_id,
    first_order_at,
    window_edges,
    windows_between,
)
from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.models.questions import PROSPECTS
from patron.storage.engine import exact_sum, literal, timestamp
from patron.storage.models.missing_forecasts import scores_sql
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, records
from patron.storage.runs.runs import Run
from patron.storage.shop import Snapshot

DAILY_UP_TO, WEEKLY_UP_TO = 31, 200
"""Days of a period whose course is drawn by the day, and by the week; a longer one by the month."""
SLACK = timedelta(days=3)
"""A compared period may begin so long before the first order."""
REASONS_NOT_COMPARED = ("before_first_order", "no_run", "nothing_then", "no_forecast")


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
    """What `previous` is: the same of the other period; same_customers, prospects_then or earlier_run."""
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
    figures = (
        *_shop_figures(view, span, before, query),
        *_customer_figures(view, span, before, query),
        *_new_customer_figures(view, span, before, query),
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


def _days(span: Span, view: Snapshot) -> tuple[str, str]:
    """First and last day of a span by the shop's calendar."""
    zone = ZoneInfo(view.settings.shop.time_zone)
    last = span.ends_at.astimezone(zone) - timedelta(microseconds=1)
    return f"{span.starts_at.astimezone(zone):%Y-%m-%d}", f"{last:%Y-%m-%d}"


def _reason_without_comparison(before: Span | None, previous: float | None, query: PeriodQuery) -> str | None:
    if query.compare == "none":
        return None
    return "before_first_order" if before is None else "nothing_then" if not previous else None


def _shop_figures(view: Snapshot, span: Span, before: Span | None, query: PeriodQuery) -> tuple[PeriodFigure, ...]:
    now = windows_between(view, [span.ends_at, span.starts_at])[0]
    then = windows_between(view, [before.ends_at, before.starts_at])[0] if before else None
    first, _ = _days(span, view)
    # why: who ordered last in the period ordered in it, and nobody else, where it goes on until the run
    buyers = {"last_order_from": first} if span.ends_at == view.run.as_of else {}
    return tuple(
        PeriodFigure(
            code,
            unit,
            "shop",
            value,
            previous or None,
            _reason_without_comparison(before, previous, query),
            filters=buyers,
        )
        for code, unit in (
            ("revenue", "money"),
            ("buyers", "count"),
            ("order_value", "money"),
            ("repeat_share", "share"),
        )
        for value, previous in [(_of_window(now, code), _of_window(then, code))]
    )


def _of_window(window: Window | None, code: str) -> float | None:
    if window is None:
        return None
    if code == "revenue":
        return float(window.paid_cents)
    if code == "buyers":
        return float(window.customer_count)
    above, below = (
        (window.paid_cents, window.order_count)
        if code == "order_value"
        else (window.repeat_count, window.customer_count)
    )
    return above / below if below else None


def _paid_by(view: Snapshot, span: Span | None) -> Mapping[str, float]:
    """What customers with an order before a span paid in it (known, cents), new ones (new), and how many these are."""
    if span is None:
        return {}
    start = timestamp(span.starts_at)
    sql = f"""
select case when c.first_order_at < {start} then 'known' else 'new' end as who,
  cast(sum(l.paid_cents) as double) as paid,
  cast(count(distinct case when c.first_order_at >= {start} then l.customer_id end) as double) as new_count
from order_lines l join customers c on c.customer_id = l.customer_id
where l.is_identified and l.ordered_at >= {start} and l.ordered_at < {timestamp(span.ends_at)} group by 1"""
    rows = {row["who"]: row for row in records(view.query(sql))}
    paid = {who: row["paid"] for who, row in rows.items()}
    return {
        "known": paid.get("known", 0.0),
        "new": paid.get("new", 0.0),
        "count": rows.get("new", {}).get("new_count", 0.0),
    }


def _customer_figures(view: Snapshot, span: Span, before: Span | None, query: PeriodQuery) -> tuple[PeriodFigure, ...]:
    now, then = _paid_by(view, span), _paid_by(view, before)
    first, _ = _days(span, view)
    earlier = _earlier_view(view, span, query)
    paid = PeriodFigure(
        "revenue_known",
        "money",
        "customers",
        now.get("known"),
        then.get("known") or None,
        _reason_without_comparison(before, then.get("known"), query),
        filters={"last_order_from": first, "first_order_to": _day_before(first)}
        if span.ends_at == view.run.as_of
        else {},
    )
    counts = (_at_risk_count(view), _at_risk_count(earlier) if earlier else None)
    at_stake = (value_at_risk_cents(view) if counts[0] else 0.0, value_at_risk_cents(earlier) if earlier else None)
    return (
        paid,
        _expected_revenue(view, query),
        *(
            PeriodFigure(
                code,
                unit,
                "customers",
                value,
                previous,
                None
                if query.compare == "none"
                else "no_run"
                if earlier is None
                else "nothing_then"
                if not previous
                else None,
                "earlier_run",
                {"lifecycle_stage": "at_risk"},
                is_more_better=False,
            )
            for code, unit, (value, previous) in (("at_risk", "count", counts), ("value_at_risk", "money", at_stake))
        ),
    )


def _expected_revenue(view: Snapshot, query: PeriodQuery) -> PeriodFigure:
    """What customers are expected to bring in 90 days, next to what the same ones brought in the last 90."""
    of_run = f"{scores_sql(view, 'value')} v where v.run_id = {literal(view.run.run_id)}"
    value = records(view.query(f"select {exact_sum('value')} as total from {of_run}"))[0]["total"]
    start = timestamp(window_edges(view, DAYS_COMPARED, 1)[1])
    sql = f"""
select cast(coalesce(sum(l.paid_cents), 0) as double) as paid from order_lines l
where l.ordered_at >= {start} and l.customer_id in (select v.customer_id from {of_run})"""
    is_compared = query.compare != "none" and value is not None
    paid = records(view.query(sql))[0]["paid"] if is_compared else None
    reason = "no_forecast" if value is None else "nothing_then" if is_compared and not paid else None
    return PeriodFigure(
        "expected_value", "money", "customers", value, paid or None, reason, "same_customers", {"sort": "value"}
    )


def _new_customer_figures(
    view: Snapshot, span: Span, before: Span | None, query: PeriodQuery
) -> tuple[PeriodFigure, ...]:
    now, then = _paid_by(view, span), _paid_by(view, before)
    first, last = _days(span, view)
    filters = {"first_order_from": first, "first_order_to": last}
    return (
        *(
            PeriodFigure(
                code,
                unit,
                "new_customers",
                now.get(name),
                then.get(name) or None,
                _reason_without_comparison(before, then.get(name), query),
                filters=filters,
            )
            for code, unit, name in (("revenue_new", "money", "new"), ("new_customers", "count", "count"))
        ),
        _expected_of_prospects(view, query),
    )


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


def _day_before(day: str) -> str:
    return f"{date.fromisoformat(day) - timedelta(days=1)}"


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
