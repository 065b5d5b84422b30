"""Revenue of the period that a reader chose, next to the one it is compared with; what is not over is dashed."""

import altair as alt

from patron.answers.insight.period_figures import Course
from patron.answers.insight.revenue import Window
from patron.interfaces.charts.axes import labelled_axis, nice_ticks, scale
from patron.interfaces.charts.chart import BLUE, GREY, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import value_lines
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

MAX_LABELS = 8
DASHES = [4, 4]


def revenue_in_period(course: Course, words: Words, formats: Formats) -> Chart:
    """Net revenue by day, week or month as a line over a filled area, and that of the other period as a grey line."""
    rows = [{"at": n, "paid": window.paid_cents / 100} for n, window in enumerate(course.windows)]
    others = [{"at": n, "paid": window.paid_cents / 100} for n, window in enumerate(course.compared)]
    amounts = [row["paid"] for row in (*rows, *others)]
    ticks = nice_ticks(min([0.0, *amounts]), max([1.0, *amounts]), most=4)
    step = -(-len(rows) // MAX_LABELS) or 1
    names = {float(n): _name(course, window, formats) for n, window in enumerate(course.windows)}
    x = alt.X(
        "at:Q",
        axis=labelled_axis(list(names)[::step], lambda value: names[value]),
        scale=alt.Scale(nice=False, zero=False, domain=[0, max(len(rows) - 1, 1)]),
    )
    y = alt.Y("paid:Q", axis=labelled_axis(ticks, lambda v: formats.short_money(v * 100)), scale=scale(ticks))
    is_cut = course.is_last_cut_off and len(rows) > 1
    whole = rows[:-1] if is_cut else rows
    area = chart_of(whole).mark_area(color=BLUE, opacity=0.12).encode(x=x, y=y)
    parts = [area, _line(whole, x, y, BLUE, width=2)]
    parts += [_line(others, x, y, GREY, width=1.5)] if others else []
    parts += [_line(rows[-2:], x, y, BLUE, width=2, dashes=DASHES)] if is_cut else []
    return Chart(
        title=words(f"chart.period.title_{course.step}"),
        description=_description(course, words, formats),
        spec=specification(*parts, value_lines(x, range(len(rows))), width=WIDE, height=230),
        head=(
            words(f"chart.period.{course.step}"),
            words("kpi.revenue"),
            words("chart.period.before"),
            words("column.orders"),
            words("kpi.buyers"),
        ),
        rows=tuple(
            (
                _name(course, window, formats),
                formats.money(window.paid_cents),
                formats.money(course.compared[n].paid_cents) if n < len(course.compared) else formats.money(None),
                formats.count(window.order_count),
                formats.count(window.customer_count),
            )
            for n, window in enumerate(course.windows)
        ),
    )


def _line(
    rows: list[dict[str, float]], x: alt.X, y: alt.Y, color: str, *, width: float, dashes: list[int] | None = None
) -> alt.Chart:
    dash = alt.Undefined if dashes is None else dashes
    return chart_of(rows).mark_line(color=color, strokeWidth=width, strokeDash=dash).encode(x=x, y=y)


def _name(course: Course, window: Window, formats: Formats) -> str:
    return formats.month(window.starts_at) if course.step == "month" else formats.short_date(window.starts_at)


def _description(course: Course, words: Words, formats: Formats) -> str:
    best = max(course.windows, key=lambda window: window.paid_cents, default=None)
    parts = [
        words(
            f"chart.period.best_{course.step}",
            best=formats.money(best.paid_cents if best else None),
            date=formats.date(best.starts_at if best else None),
        )
    ]
    if course.compared:
        parts.append(words("chart.period.grey"))
    if course.is_last_cut_off:
        parts.append(words(f"chart.period.dashed_{course.step}"))
    return words("list.space").join(parts)
