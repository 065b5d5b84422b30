"""The shop's course: revenue by week, and the small lines inside the key figures."""

from collections.abc import Sequence
from datetime import datetime

import altair as alt

from patron.answers.customers.customer_profile import MonthlySpend
from patron.answers.insight.revenue import Window
from patron.interfaces.charts.axes import labelled_axis, nice_ticks, scale
from patron.interfaces.charts.chart import BLUE, HALF, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import value_lines
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words


def revenue_by_week(weeks: Sequence[Window], words: Words, formats: Formats) -> Chart:
    """Net revenue of each of the last weeks, as a line over a filled area."""
    rows = [{"at": _day(week.starts_at), "paid": week.paid_cents / 100} for week in weeks]
    ticks = nice_ticks(min([0.0, *(row["paid"] for row in rows)]), max([1.0, *(row["paid"] for row in rows)]), most=4)
    months = _month_starts(weeks)
    x = alt.X("at:Q", axis=_time_axis(months, formats), scale=alt.Scale(nice=False, zero=False))
    y = alt.Y("paid:Q", axis=labelled_axis(ticks, lambda v: formats.short_money(v * 100)), scale=scale(ticks))
    base = chart_of(rows).encode(x=x, y=y)
    parts = (base.mark_area(color=BLUE, opacity=0.12), base.mark_line(color=BLUE, strokeWidth=2))
    values = value_lines(x, (row["at"] for row in rows))
    best = max(weeks, key=lambda week: week.paid_cents, default=None)
    return Chart(
        title=words("chart.revenue.title"),
        description=words(
            "chart.revenue.description",
            n=len(weeks),
            best=formats.money(best.paid_cents if best else None),
            week=formats.date(best.starts_at if best else None),
        ),
        spec=specification(*parts, values, width=WIDE, height=230),
        head=(words("chart.revenue.week"), words("kpi.revenue"), words("column.orders"), words("kpi.buyers")),
        rows=tuple(
            (
                formats.date(week.starts_at),
                formats.money(week.paid_cents),
                formats.count(week.order_count),
                formats.count(week.customer_count),
            )
            for week in weeks
        ),
    )


def spent_by_month(months: Sequence[MonthlySpend], words: Words, formats: Formats) -> Chart:
    """What one customer paid in each 30-day month, as bars."""
    rows = [{"at": n, "paid": month.paid_cents / 100} for n, month in enumerate(months)]
    ticks = nice_ticks(min([0.0, *(row["paid"] for row in rows)]), max([1.0, *(row["paid"] for row in rows)]), most=3)
    names = {float(n): formats.short_date(month.starts_at) for n, month in enumerate(months)}
    shown = [n for n in names if (len(months) - 1 - n) % 3 == 2]
    axis = labelled_axis(shown, lambda v: names[v])
    x = alt.X("at:Q", axis=axis, scale=alt.Scale(domain=[-0.6, len(months) - 0.4], nice=False))
    y = alt.Y("paid:Q", axis=labelled_axis(ticks, lambda v: formats.short_money(v * 100)), scale=scale(ticks))
    bars = chart_of(rows).mark_bar(color=BLUE, size=16).encode(x=x, y=y)
    return Chart(
        title=words("chart.spend.title"),
        description=words("chart.spend.description", total=formats.money(sum(month.paid_cents for month in months))),
        spec=specification(bars, value_lines(x, names), width=HALF, height=170),
        head=(words("chart.spend.month"), words("column.paid")),
        rows=tuple((formats.date(month.starts_at), formats.money(month.paid_cents)) for month in months),
    )


def sparkline(values: Sequence[float], *, width: int = 120, height: int = 32) -> str:
    """Course of a key figure as a small line; decoration beside the numbers, so hidden from screen readers."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (width - 6) / (len(values) - 1)
    points = [(3 + n * step, height - 4 - (value - low) / span * (height - 8)) for n, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end_x, end_y = points[-1]
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
        f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="1.5" stroke-linejoin="round"/>'
        f'<circle cx="{end_x:.1f}" cy="{end_y:.1f}" r="2.5" fill="{BLUE}"/></svg>'
    )


def _day(moment: datetime) -> float:
    return moment.timestamp() / 86_400


def _month_starts(weeks: Sequence[Window]) -> list[datetime]:
    """First week of each month, every second one when there are many."""
    firsts: dict[tuple[int, int], datetime] = {}
    for week in weeks[1:]:
        firsts.setdefault((week.starts_at.year, week.starts_at.month), week.starts_at)
    starts = list(firsts.values())
    return starts[:: 2 if len(starts) > 7 else 1]


def _time_axis(starts: list[datetime], formats: Formats) -> alt.Axis:
    names = {_day(start): formats.month(start) for start in starts}
    return labelled_axis(names, lambda value: names[value])
