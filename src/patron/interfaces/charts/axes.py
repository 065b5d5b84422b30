"""Axes whose labels are written in the reader's language, not in the drawing library's."""

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt

from patron.interfaces.charts.chart import INK
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import MARK, MARK_ENCODING, row_mark
from patron.interfaces.i18n.formats import Formats

LABEL_PIXELS = 110
"""Room that the name of a month takes, with what keeps it from the next one."""
SAME_DAY = timedelta(hours=10)
"""Days of UTC are written by this hour of them, which lies on the same day in nearly every time zone."""
SHORT_DAYS = 75
"""A shorter time is labelled by days, a longer one by months."""


def nice_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Round values that cover low to high, at most `most` steps apart by 1, 2 or 5 times a power of ten."""
    if high <= low:
        high = low + 1
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    first = math.floor(low / step)
    last = math.ceil(high / step - 1e-9)
    return [round(step * number, 10) for number in range(first, last + 1)]


def labelled_axis(
    values: Iterable[float], write: Callable[[float], str], *, title: str | None = None, is_gridded: bool = True
) -> alt.Axis:
    """Axis with these ticks, each labelled by `write`; without lines across where it is not `is_gridded`."""
    ticks = list(values)
    # why: a lookup instead of a number format, because only Babel knows every language's way to write amounts
    # and with the true minus sign, which the drawing library writes below zero
    lookup = json.dumps({f"{tick:.6f}".replace("-", "\u2212"): write(tick) for tick in ticks}, ensure_ascii=False)
    label = f"{lookup}[format(datum.value, '.6f')]"
    return alt.Axis(values=ticks, labelExpr=label, title=title, grid=alt.Undefined if is_gridded else False)


def unit_divisor(unit: str) -> float:
    """What values are divided by to be drawn: money is kept in cents."""
    return 100.0 if unit == "money" else 1.0


def unit_axis(ticks: list[float], unit: str, formats: Formats) -> alt.Axis:
    """Axis of values of a question or metric in its own unit, divided by `unit_divisor`."""
    writers: dict[str, Callable[[float], str]] = {
        "money": lambda v: formats.short_money(v * 100),
        "share": lambda v: formats.share(v, 0),
    }
    return labelled_axis(ticks, writers.get(unit, formats.number))


def scale(ticks: list[float]) -> alt.Scale:
    """Linear scale from the first to the last tick."""
    return alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False)


def day_of(moment: datetime) -> float:
    """Days since 1970: times on a numeric axis."""
    return moment.timestamp() / 86_400


def date_axis(start: datetime, end: datetime, formats: Formats, *, width: int) -> alt.Axis:
    """Axis of `day_of` from start to end, both in UTC, labelled by months, or by days where the time is short."""
    most = max(width // LABEL_PIXELS, 2)
    ticks = _days(start, end, most) if (end - start).days < SHORT_DAYS else _months(start, end, most)
    write = formats.short_date if (end - start).days < SHORT_DAYS else formats.month
    later = SAME_DAY if (end - start).days < SHORT_DAYS else timedelta(days=14)
    names = {day_of(tick): write(tick + later) for tick in ticks}
    return labelled_axis(names, lambda value: names[value])


def _days(start: datetime, end: datetime, most: int) -> list[datetime]:
    step = max(1, math.ceil(((end - start).days + 1) / most))
    first = datetime(start.year, start.month, start.day, tzinfo=UTC)
    ticks = [first + timedelta(days=step * n) for n in range(most + 1)]
    return [tick for tick in ticks if start <= tick <= end]


def _months(start: datetime, end: datetime, most: int) -> list[datetime]:
    first, last = start.year * 12 + start.month - 1, end.year * 12 + end.month - 1
    steps = (1, 2, 3, 6, *(12 * years for years in (1, 2, 5, 10, 20, 50, 100, last + 1)))
    step = next(one for one in steps if (last - first) // one + 1 <= most)
    ticks = [
        datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(first, last + 1) if not month % step
    ]
    return [tick for tick in ticks if start <= tick <= end]


def names_above(base: alt.Chart, *, dy: int, field: str = "name", color: str = INK) -> alt.Chart:
    """Name of each row above its mark, from the left edge, so that long names stay readable at any width."""
    # why: a name that is longer than the picture ends in dots and is whole in the table
    named = base.mark_text(align="left", dy=dy, limit=alt.ExprRef("width"), color=color)
    return named.encode(text=alt.Text(f"{field}:N"), x=alt.XValue(0))


def named_bars(rows: list[dict[str, Any]]) -> tuple[alt.Chart, ...]:
    """Layers of horizontal bars, each under its own name, so that long names stay readable on a narrow screen."""
    names = [row["name"] for row in rows]
    most = max([1.0, *(float(str(row["n"])) for row in rows)])
    marked = [{MARK: row_mark(place), **row} for place, row in enumerate(rows)]
    base = chart_of(marked).encode(
        y=alt.Y("name:N", sort=names, axis=None, scale=alt.Scale(paddingInner=0)),
        x=alt.X("n:Q", axis=None, scale=alt.Scale(domain=[0, most])),
    )
    bars = base.mark_bar(height=12, yOffset=9).encode(color=alt.Color("colour:N", scale=None))
    left = names_above(base, dy=-9)
    right = base.mark_text(align="right", dy=-9).encode(text=alt.Text("label:N"), x=alt.XValue("width"))
    across = {"x": alt.XValue(0), "x2": alt.X2Value("width")}
    return bars, left, right, base.mark_rect(opacity=0).encode(**across, description=MARK_ENCODING)
