"""Charts of cohorts: shares or money by months since the first order, and when customers have paid back their cost."""

from dataclasses import dataclass

import altair as alt

from patron.answers.insight.payback import Payback
from patron.answers.insight.retention import OTHER, CohortCell, CohortRow, Retention
from patron.interfaces.charts.chart import BLUE, NARROW, ORANGE, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.heat_map import HeatCell, heat_map
from patron.interfaces.charts.retention import month_name
from patron.interfaces.charts.value_marks import row_mark, value_lines
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.translations import Words

NARROW_SHARES, NARROW_AMOUNTS = 12, 7
"""Columns that fit on a telephone."""
MAX_NAME_LENGTH = 22


@dataclass(frozen=True)
class CohortNames:
    """How rows are called in the reader's language."""

    retention: Retention
    words: Words
    formats: Formats

    def __call__(self, code: str) -> str:
        """Name of a row."""
        facts = self.retention
        if facts.grouping == "month" or facts.group is not None:
            return month_name(code, self.formats)
        return group_name(facts.grouping, code, self.words)


def group_name(grouping: str, code: str, words: Words) -> str:
    """Name of a group."""
    if code in {"", OTHER}:
        return words(f"retention.{'other' if code else 'unknown'}")
    return words.level("channel", code) if grouping == "channel" else code


def cohort_map(facts: Retention, words: Words, formats: Formats) -> Chart | None:
    """Heat map of the rows and of all together; None where no month is over."""
    names, is_share = CohortNames(facts, words, formats), facts.measure == "share"
    rows = [(names(row.code), row) for row in facts.rows]
    if facts.mean is not None:
        rows.insert(0, (words("retention.mean"), facts.mean))
    first = 1 if is_share else 0  # why: everybody orders in the month of their first order
    shown = [cell for _, row in rows for cell in row.cells[first:]]
    if not shown:
        return None
    most = max(*(cell.value for cell in shown), 1e-9)
    labels = [f"{_short(name)}  ({formats.count(row.customer_count)})" for name, row in rows]
    cells = [
        HeatCell(
            label,
            age,
            level=cell.value / most,
            label=_value(cell, formats, is_share=is_share),
            short_label=_value(cell, formats, is_share=is_share),
            mark=row_mark(place, 2 + age - first),
            is_complete=cell.is_complete,
        )
        for place, (label, (_, row)) in enumerate(zip(labels, rows, strict=True))
        for age, cell in enumerate(row.cells)
        if age >= first
    ]
    columns = (NARROW_SHARES if is_share else NARROW_AMOUNTS) + first
    wide, narrow = heat_map(cells, labels, words("chart.retention.months"), narrow_columns=columns)
    ages = max(len(row.cells) for _, row in rows)
    return Chart(
        title=words(f"retention.title.{facts.measure}"),
        description=words("retention.chart", count=formats.count(sum(row.customer_count for row in facts.rows))),
        spec=wide,
        narrow=narrow,
        columns=words("chart.retention.months"),
        head=(words(f"retention.by.{facts.grouping}"), words("column.customers"), *map(str, range(first, ages))),
        rows=tuple(_row(name, row, formats, is_share=is_share, columns=range(first, ages)) for name, row in rows),
    )


def _row(name: str, row: CohortRow, formats: Formats, *, is_share: bool, columns: range) -> tuple[str, ...]:
    cells = (row.cells[age] if age < len(row.cells) else None for age in columns)
    texts = (MISSING if cell is None else cell_text(cell, formats, is_share=is_share) for cell in cells)
    return (name, formats.count(row.customer_count), *texts)


def cell_text(cell: CohortCell, formats: Formats, *, is_share: bool) -> str:
    """A value with its interval; one of a month that is not over has a star."""
    star = "" if cell.is_complete else " *"
    value = _value(cell, formats, is_share=is_share)
    if cell.low is None or cell.high is None:
        return value + star
    low, high = (formats.share(end, 0) if is_share else formats.whole_money(end) for end in (cell.low, cell.high))
    return f"{value} ({low}\N{EN DASH}{high}){star}"


def _value(cell: CohortCell, formats: Formats, *, is_share: bool) -> str:
    return formats.share(cell.value, 0) if is_share else formats.short_money(cell.value)


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}\N{HORIZONTAL ELLIPSIS}"


def payback_chart(one: Payback, words: Words, formats: Formats) -> Chart:
    """Margin of each customer by months since the first order, with its interval, against what winning them cost."""
    names = {"margin": words("payback.margin"), "cost": words("payback.cost_each")}
    points = [
        {
            "month": month.month,
            "margin": month.margin_cents / 100,
            "low": month.low / 100,
            "high": month.high / 100,
            "cost": one.cost_per_customer_cents / 100,
        }
        for month in one.months
    ]
    x = alt.X("month:Q", title=words("chart.retention.months"), axis=alt.Axis(format="d", tickMinStep=1))
    base = chart_of(points).encode(x=x)
    band = base.mark_area(color=BLUE, opacity=0.18).encode(
        y=alt.Y("low:Q", title=formats.currency), y2=alt.Y2("high:Q")
    )
    scale = alt.Scale(domain=list(names.values()), range=[BLUE, ORANGE])
    legend = alt.Legend(columnPadding=36)  # why: the reader's font may be wider than the one that was measured
    lines = [
        base.mark_line(strokeWidth=2.5, strokeDash=[6, 4] if column == "cost" else [1, 0]).encode(
            y=alt.Y(f"{column}:Q", title=formats.currency),
            color=alt.ColorDatum(name, scale=scale, legend=legend),
        )
        for column, name in names.items()
    ]
    layers = [band, *lines, value_lines(x, (month.month for month in one.months))]
    return Chart(
        title=words("payback.chart"),
        description=words("payback.chart_note"),
        spec=specification(*layers, width=WIDE, height=280),
        narrow=specification(*layers, width=NARROW, height=280),
        head=(
            words("chart.retention.months"),
            words("column.customers"),
            words("payback.margin"),
        ),
        rows=tuple(
            (
                str(month.month),
                formats.count(month.customer_count),
                f"{formats.money(month.margin_cents)} ({formats.money(month.low)} … {formats.money(month.high)})",
            )
            for month in one.months
        ),
    )
