"""The chart of a question's result, chosen from its shape: lines over time, columns, bars, or none."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import altair as alt

from patron.answers.data.query_worker import Cell, QuestionResult, ResultColumn
from patron.interfaces.charts.axes import date_axis, day_of, labelled_axis, named_bars, nice_ticks, scale
from patron.interfaces.charts.chart import (
    BLUE,
    GREEN,
    GREY,
    HALF,
    NARROW,
    ORANGE,
    SKY,
    VERMILION,
    WIDE,
    Chart,
    specification,
)
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import MARK, MARK_ENCODING, value_mark
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.question_texts import cell_text, column_name, unit_of
from patron.interfaces.i18n.translations import Words

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, GREY)
MAX_BARS = 20
MAX_COLUMNS = 31
MAX_DOTS = 60
TILE_BARS = 6
HEIGHT, TILE_HEIGHT = 260, 170
LABEL_PIXELS = 56
"""Room that a label under a column takes."""
DRILLS = {
    "lifecycle_stage": "lifecycle_stage",
    "persona_id": "persona",
    "action": "action",
    "acquisition_channel": "channel",
    "category": "category",
    "product_name": "product",
}
"""Filters of the customer list, by the column whose values they take."""
PERIODS = {"first_order_at": "first_order", "last_order_at": "last_order"}
"""The same of times, whose days, weeks and months are filters."""
MAX_FILTER_LENGTH = 200
DAYS = {"day": 1, "week": 7, "month": 31}


def drill_address(column: ResultColumn, value: Cell) -> str:
    """Address of the customers behind a value; empty where the list has no such filter."""
    if isinstance(value, datetime):
        of, _, bucket = column.name.rpartition("_")
        if of not in PERIODS or bucket not in DAYS:
            return ""
        after = value + timedelta(days=DAYS[bucket])
        last = (after.replace(day=1) if bucket == "month" else after) - timedelta(days=1)
        days = {f"{PERIODS[of]}_from": f"{value:%Y-%m-%d}", f"{PERIODS[of]}_to": f"{last:%Y-%m-%d}"}
        return f"/customers?{urlencode(days)}"
    text = "" if value is None else str(value)
    if column.name not in DRILLS or not 0 < len(text) <= MAX_FILTER_LENGTH:
        return ""
    return f"/customers?{urlencode({DRILLS[column.name]: text})}"


def question_chart(
    title: str, result: QuestionResult, words: Words, formats: Formats, *, is_tile: bool = False
) -> Chart | None:
    """Draw a result; None where it has no shape that a picture shows better than its table."""
    measure = _measure(result)
    if measure is None or len(result.rows) < 2:
        return None
    first, *others = [n for n in range(len(result.columns)) if n != measure] or [measure]
    sizes = ((HALF, TILE_HEIGHT), (NARROW, TILE_HEIGHT)) if is_tile else ((WIDE, HEIGHT), (NARROW, TILE_HEIGHT))
    pick = _Picked(result, first, measure, words, formats)
    if result.columns[first].kind == "time":
        group = next((n for n in others if result.columns[n].kind == "text"), None)
        spec, narrow = (_lines(pick, group, size) for size in sizes)
    elif result.columns[first].kind == "number" and len(result.rows) <= MAX_COLUMNS:
        spec, narrow = (_columns(pick, size) for size in sizes)
    elif first != measure:
        spec = _bars(pick, [n for n in others if result.columns[n].kind == "text"][:1], is_tile=is_tile)
        narrow = None
    else:
        return None
    measured = column_name(result.columns[measure].name, words)
    by = column_name(result.columns[first].name, words)
    return Chart(
        title, words("explore.chart_description", measure=measured, by=by), spec=spec, head=(), rows=(), narrow=narrow
    )


class _Picked:
    """Which columns of a result are drawn, and how their values read."""

    def __init__(self, result: QuestionResult, key: int, measure: int, words: Words, formats: Formats) -> None:
        self.result = result
        self.key = key
        self.measure = measure
        self.words = words
        self.formats = formats
        self.unit = unit_of(result.columns[measure])
        self.divisor = 100.0 if self.unit == "money" else 1.0

    def text(self, row: tuple[Cell, ...], column: int) -> str:
        return cell_text(self.result.columns[column], row[column], self.words, self.formats)

    def number(self, row: tuple[Cell, ...]) -> float:
        value = row[self.measure]
        return float(value) / self.divisor if isinstance(value, int | float) else 0.0

    def axis(self, ticks: list[float]) -> alt.Axis:
        writers = {
            "money": lambda v: self.formats.short_money(v * 100),
            "share": lambda v: self.formats.share(v, 0 if max(map(abs, ticks)) >= 0.05 else 1),
        }
        digits = 0 if all(tick == int(tick) for tick in ticks) else 2
        return labelled_axis(ticks, writers.get(self.unit, lambda v: self.formats.number(v, digits)))

    def facts(self, row: tuple[Cell, ...], name: str) -> dict[str, Any]:
        """What a mark says when it is pointed at, and where it leads."""
        column = self.result.columns[self.key]
        tip = f"{name}: {self.text(row, self.measure)}"
        to = drill_address(column, row[self.key])
        return {"n": self.number(row), "tip": tip, MARK: value_mark(tip), "to": to}


def _measure(result: QuestionResult) -> int | None:
    """The first column of numbers that is not the key of the rows, and that has any."""
    numbers = [n for n, column in enumerate(result.columns) if column.kind == "number"]
    if numbers[:1] == [0] and len(numbers) > 1:
        numbers = numbers[1:]
    return next((n for n in numbers if any(row[n] is not None for row in result.rows)), None)


def _lines(pick: _Picked, group: int | None, size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    rows = [(at, row) for row in pick.result.rows if isinstance(at := row[pick.key], datetime)]
    totals: dict[str, float] = {}
    for _, row in rows:
        name = pick.text(row, group) if group is not None else ""
        totals[name] = totals.get(name, 0.0) + abs(pick.number(row))
    names = sorted(totals, key=lambda name: -totals[name])[: len(COLOURS)]
    points = []
    for at, row in rows:
        name = pick.text(row, group) if group is not None else ""
        if name in names and row[pick.measure] is not None:
            day = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            label = " · ".join(part for part in (name, pick.text(row, pick.key)) if part)
            points.append({"at": day_of(day), "name": name, **pick.facts(row, label)})
    ticks = nice_ticks(min([0.0, *(p["n"] for p in points)]), max([*(p["n"] for p in points)] or [1.0]), most=4)
    days = [p["at"] for p in points] or [0.0, 1.0]
    start, end = (datetime.fromtimestamp(day * 86_400, UTC) for day in (min(days), max(days)))
    legend = None if group is None else alt.Legend(symbolSize=80, columnPadding=18, columns=6 if width == WIDE else 3)
    base = chart_of(points).encode(
        x=alt.X("at:Q", axis=date_axis(start, end, pick.formats, width=width), scale=alt.Scale(nice=False, zero=False)),
        y=alt.Y("n:Q", axis=pick.axis(ticks), scale=scale(ticks)),
        color=alt.Color("name:N", scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)])), legend=legend),
    )
    layers = [base.mark_line(strokeWidth=2)]
    if len(points) <= MAX_DOTS * len(names):
        dots = base.mark_point(filled=True, size=26, opacity=1)
        layers.append(dots.encode(tooltip=alt.Tooltip("tip:N"), description=MARK_ENCODING))
    return specification(*layers, width=width, height=height)


def _columns(pick: _Picked, size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    rows = [{"at": n, **pick.facts(row, pick.text(row, pick.key))} for n, row in enumerate(pick.result.rows)]
    names = {float(n): pick.text(row, pick.key) for n, row in enumerate(pick.result.rows)}
    ticks = nice_ticks(min([0.0, *(row["n"] for row in rows)]), max([0.0, *(row["n"] for row in rows)]), most=4)
    step = -(-len(rows) // (width // LABEL_PIXELS)) or 1
    x = alt.X(
        "at:Q",
        axis=labelled_axis(list(names)[::step], lambda v: names[v], is_gridded=False),
        scale=alt.Scale(domain=[-0.6, len(rows) - 0.4], nice=False),
    )
    bars = chart_of(rows).mark_bar(color=BLUE, size=min(36, width * 0.6 / len(rows)))
    y = alt.Y("n:Q", axis=pick.axis(ticks), scale=scale(ticks))
    chart = bars.encode(x=x, y=y, tooltip=alt.Tooltip("tip:N"), description=MARK_ENCODING)
    return specification(chart, width=width, height=height)


def _bars(pick: _Picked, others: list[int], *, is_tile: bool) -> dict[str, Any]:
    rows = []
    for row in pick.result.rows[: TILE_BARS if is_tile else MAX_BARS]:
        name = " · ".join(pick.text(row, n) for n in (pick.key, *others))
        facts = pick.facts(row, name)
        label = pick.text(row, pick.measure)
        rows.append({**facts, "name": name, "n": max(facts["n"], 0.0), "label": label, "colour": BLUE})
    if pick.unit == "share" or max(row["n"] for row in rows) < 1:
        top = max([*(row["n"] for row in rows)]) or 1.0
        rows = [{**row, "n": row["n"] / top} for row in rows]  # why: bars of shares are as long as the largest
    *bars, values = named_bars(rows)
    values = values.encode(tooltip=alt.Tooltip("tip:N"))
    return specification(*bars, values, width=HALF if is_tile else WIDE, height=40 * len(rows) + 16)
