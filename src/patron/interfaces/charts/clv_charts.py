"""Models of customer value: what they say, and how it came out. Tables are those of `patron.clv.diagnostics`.

In a notebook `patron.plots` computes and draws in one call. Another language is
`tracking(table, words("zh_CN"), Formats("zh_CN", "CNY", "UTC"))`.
"""

from datetime import datetime
from typing import Any

import altair as alt
import pyarrow as pa

from patron.interfaces.charts.axes import (
    SAME_DAY,
    date_axis,
    day_of,
    labelled_axis,
    nice_ticks,
    scale,
    unit_axis,
    unit_divisor,
)
from patron.interfaces.charts.chart import BLUE, FAINT, GREY, HALF, ORANGE, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.customer_charts import alive_over_time, forecast_fan
from patron.interfaces.charts.heat_map import SHADES
from patron.interfaces.charts.retention import retention
from patron.interfaces.charts.time_spans import ENGLISH, PLAIN, span
from patron.interfaces.charts.value_marks import MARK, MARK_ENCODING, value_lines, value_mark
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.customers.cohort import Cohort
from patron.schema.table_metadata import metadata_of

__all__ = [
    "alive_over_time",
    "calibration_by_decile",
    "cohorts",
    "forecast_fan",
    "frequency_recency",
    "lorenz",
    "tracking",
]
LINES = alt.Legend(symbolSize=400, columnPadding=18)
"""Legend of lines, long enough to show their dashes."""
MAX_COLUMNS = 8
"""Recencies of a matrix that its table has room for."""


def frequency_recency(
    table: pa.Table,
    words: Words = ENGLISH,
    formats: Formats = PLAIN,
    *,
    of: str = "expected_orders",
    width: int = HALF,
) -> Chart:
    """Heat map of `expected_orders` or `probability_alive`, by repeat orders (up) and time of the last one (across)."""
    metadata, rows = metadata_of(table), table.to_pylist()
    is_chance = of == "probability_alive"
    recencies = sorted({row["recency"] for row in rows})
    step = recencies[1] - recencies[0]
    cells = _cells(rows, of, step)
    across, up = nice_ticks(0, recencies[-1], most=6), nice_ticks(0, max(row["frequency"] for row in rows), most=5)
    across, up = [x for x in across if x <= recencies[-1]], [y for y in up if y <= cells[-1]["high"] and y == int(y)]
    unit = words.code("time_unit", metadata.get("unit") or "any")
    names = (words("chart.matrix.frequency"), words("chart.matrix.recency", unit=unit))
    x = alt.X(
        "from:Q",
        axis=labelled_axis(across, lambda v: formats.number(v, 0), title=names[1]),
        scale=alt.Scale(domain=[-step / 2, recencies[-1] + step / 2], nice=False),
    )
    y = alt.Y(
        "low:Q",
        axis=labelled_axis(up, formats.count, title=names[0], is_gridded=False),
        scale=alt.Scale(domain=[-0.5, cells[-1]["high"]], nice=False),
    )
    top = 1.0 if is_chance else max(float(row[of]) for row in rows)
    shades = alt.Color(
        "value:Q",
        # why: in steps, as a page has each of these shades in its own theme
        scale=alt.Scale(type="quantize", range=list(SHADES), domain=[0, top]),
        legend=alt.Legend(format=".0%" if is_chance else "~r", gradientLength=200, tickCount=2 if is_chance else 4),
    )
    horizon = span(metadata["horizon"], metadata.get("unit", ""), words, formats)
    shown = recencies[:: max(1, -(-len(recencies) // MAX_COLUMNS))]
    by_place = {(row["frequency"], row["recency"]): row[of] for row in rows}

    def write(value: float | None) -> str:
        return formats.share(value, 0) if is_chance else formats.number(value)

    # why: the table has room for some columns only
    for cell, row in zip(cells, rows, strict=True):
        place = (f"{names[0]} {formats.count(row['frequency'])}", f"{names[1]} {formats.number(row['recency'], 0)}")
        cell[MARK] = value_mark(" · ".join((*place, write(row[of]))))
    squares = chart_of(cells).mark_rect(strokeWidth=0)
    chart = squares.encode(x=x, x2=alt.X2("until:Q"), y=y, y2=alt.Y2("high:Q"), color=shades, description=MARK_ENCODING)
    return Chart(
        title=words("chart.matrix.alive") if is_chance else words("chart.matrix.orders", horizon=horizon),
        description=words(
            "chart.matrix.description", age=span(metadata["age"], metadata.get("unit", ""), words, formats)
        ),
        spec=specification(chart, width=width, height=320),
        head=(names[0], *(formats.number(recency, 0) for recency in shown)),
        rows=tuple(
            (formats.count(frequency), *(write(by_place.get((frequency, recency))) for recency in shown))
            for frequency in sorted({row["frequency"] for row in rows})
        ),
    )


def _cells(rows: list[dict[str, Any]], of: str, step: float) -> list[dict[str, Any]]:
    """Rectangles of a heat map around each recency and frequency."""
    return [
        {
            "from": row["recency"] - step / 2,
            "until": row["recency"] + step / 2,
            "low": row["frequency"] - 0.5,
            "high": row["frequency"] + 0.5,
            "value": row[of],
        }
        for row in rows
    ]


def tracking(
    table: pa.Table,
    words: Words = ENGLISH,
    formats: Formats = PLAIN,
    *,
    is_cumulative: bool = False,
    width: int = WIDE,
) -> Chart:
    """Actual and expected repeat orders, by week or cumulative, and the end of the calibration period."""
    metadata, end = metadata_of(table), "_so_far" if is_cumulative else ""
    weeks = table.to_pylist()
    expected, actual = words("chart.tracking.expected"), words("chart.deciles.actual")
    rows = [
        {"at": day_of(week["at"]), "orders": week[column + end], "kind": kind}
        for week in weeks
        for kind, column in ((actual, "orders"), (expected, "expected"))
    ]
    ticks = nice_ticks(0, max([1.0, *(row["orders"] for row in rows)]), most=4)
    x = alt.X(
        "at:Q",
        axis=date_axis(weeks[0]["at"], weeks[-1]["at"], formats, width=width),
        scale=alt.Scale(nice=False, zero=False),
    )
    y = alt.Y(
        "orders:Q", axis=labelled_axis(ticks, formats.count, title=words("chart.matrix.frequency")), scale=scale(ticks)
    )
    known = [{"at": day_of(week["at"])} for week in weeks if not week["is_holdout"]][-1:]
    is_held_out = any(week["is_holdout"] for week in weeks)
    layers = [_lines(rows, (actual, expected)).encode(x=x, y=y)]
    values = value_lines(x, (day_of(week["at"]) for week in weeks))
    if known and is_held_out:
        layers = [chart_of(known).mark_rule(color=FAINT, strokeDash=[4, 3]).encode(x=alt.X("at:Q")), *layers]
    last = weeks[-1]
    bias = last["expected_so_far"] / last["orders_so_far"] - 1 if last["orders_so_far"] else None
    return Chart(
        title=words("chart.tracking.cumulative") if is_cumulative else words("chart.tracking.weekly"),
        description=words(
            "chart.tracking.description",
            date=formats.date(datetime.fromisoformat(metadata["fitted_until"] + "T10:00Z")),
            actual=formats.count(last["orders_so_far"]),
            expected=formats.count(last["expected_so_far"]),
            bias=formats.change(bias),
        ),
        spec=specification(*layers, values, width=width, height=240),
        head=(words("chart.tracking.week"), actual, expected),
        rows=tuple(
            (
                formats.date(week["at"] + SAME_DAY),
                formats.count(week["orders" + end]),
                formats.number(week["expected" + end], 1),
            )
            for week in weeks
        ),
    )


def _lines(rows: list[dict[str, Any]], kinds: tuple[str, str]) -> alt.Chart:
    """One line for each of two kinds of rows, distinct without colour too."""
    colours, dashes = ({"domain": list(kinds), "range": looks} for looks in ([BLUE, ORANGE], [[1, 0], [6, 3]]))
    return (
        chart_of(rows)
        .mark_line(strokeWidth=2)
        .encode(
            color=alt.Color("kind:N", scale=alt.Scale(**colours), sort=None, legend=LINES),
            strokeDash=alt.StrokeDash("kind:N", scale=alt.Scale(**dashes), sort=None),
        )
    )


def calibration_by_decile(
    table: pa.Table, words: Words = ENGLISH, formats: Formats = PLAIN, *, unit: str = "number", width: int = HALF
) -> Chart:
    """Mean forecast and mean actual of each decile of customers; `unit` is as in `Formats.by_unit`."""
    deciles = table.to_pylist()
    shown = unit_divisor(unit)
    forecast, actual = words("chart.deciles.forecast"), words("chart.deciles.actual")
    rows: list[dict[str, Any]] = [
        {"decile": decile["decile"], "value": decile[column] / shown, "kind": kind}
        for decile in deciles
        for kind, column in ((forecast, "forecast_mean"), (actual, "actual_mean"))
    ]
    lowest = min([0.0, *(row["value"] for row in rows)])  # why: an interval must not make room for what cannot be
    bars = [
        {"decile": t["decile"], "low": max(t["actual_low"] / shown, lowest), "high": t["actual_high"] / shown}
        for t in deciles
        if t.get("actual_low") is not None
    ]
    values = [*(row["value"] for row in rows), *(bar[end] for bar in bars for end in ("low", "high"))]
    ticks = nice_ticks(min([0.0, *values]), max([0.01, *values]), most=4)
    x = alt.X("decile:O", axis=alt.Axis(labelAngle=0, title=words("chart.deciles.axis")))
    base = chart_of(rows).encode(
        x=x,
        y=alt.Y("value:Q", axis=unit_axis(ticks, unit, formats), scale=scale(ticks)),
        color=alt.Color("kind:N", scale=alt.Scale(domain=[forecast, actual], range=[BLUE, ORANGE]), sort=None),
    )
    # why: shape and line tell the two apart without colour
    layers = [
        base.transform_filter(alt.datum.kind == forecast).mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=36)),
        base.transform_filter(alt.datum.kind == actual).mark_point(shape="diamond", filled=True, size=80, opacity=1),
    ]
    if bars:
        sure = chart_of(bars).mark_rule(color=ORANGE, strokeWidth=2)
        layers.append(sure.encode(x=alt.X("decile:O"), y=alt.Y("low:Q"), y2=alt.Y2("high:Q")))
    layers.append(value_lines(x, (decile["decile"] for decile in deciles)))
    return Chart(
        title=words("chart.calibration.title"),
        description=words(
            "chart.calibration.description", count=formats.count(sum(t["customer_count"] for t in deciles))
        ),
        spec=specification(*layers, width=width, height=260),
        head=(words("chart.deciles.axis"), words("column.customers"), forecast, actual),
        rows=tuple(
            (
                str(decile["decile"]),
                formats.count(decile["customer_count"]),
                formats.by_unit(unit, decile["forecast_mean"]),
                formats.by_unit(unit, decile["actual_mean"]),
            )
            for decile in deciles
        ),
    )


def lorenz(table: pa.Table, words: Words = ENGLISH, formats: Formats = PLAIN, *, width: int = HALF) -> Chart:
    """Lorenz curve: the share of an amount that the customers with the least hold, and the line of equality."""
    metadata, points = metadata_of(table), table.to_pylist()
    equal = words("chart.lorenz.equal")
    by_value = words("chart.lorenz.by_value")
    by_forecast = words("chart.lorenz.by_forecast")
    kinds = {by_value: "share_of_value", by_forecast: "share_of_value_by_forecast", equal: "share_of_customers"}
    if "normalised_gini" not in metadata:
        del kinds[by_forecast]
    rows = [
        {"customers": point["share_of_customers"], "held": point[column], "kind": kind}
        for kind, column in kinds.items()
        for point in points
    ]
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]

    def axis(title: str) -> alt.Axis:
        return labelled_axis(ticks, lambda share: formats.share(share, 0), title=title)

    looks = {by_value: (BLUE, [1, 0]), by_forecast: (ORANGE, [6, 3]), equal: (GREY, [2, 3])}
    colours, dashes = ([looks[kind][place] for kind in kinds] for place in (0, 1))
    lowest = nice_ticks(min(0.0, *(row["held"] for row in rows)), 1.0, most=4)
    x = alt.X("customers:Q", axis=axis(words("chart.lorenz.customers")), scale=scale(ticks))
    lines = (
        chart_of(rows)
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y("held:Q", axis=axis(words("chart.lorenz.value")), scale=scale(ticks if lowest[0] >= 0 else lowest)),
            color=alt.Color("kind:N", scale=alt.Scale(domain=list(kinds), range=colours), sort=None, legend=LINES),
            strokeDash=alt.StrokeDash("kind:N", scale=alt.Scale(domain=list(kinds), range=dashes), sort=None),
        )
    )
    top = 1 - next(point["share_of_value"] for point in points if point["share_of_customers"] >= 0.9 - 1e-9)
    values = {"gini": formats.number(float(metadata["gini"])), "share": formats.share(top, 0)}
    description = words("chart.lorenz.description", **values)
    if by_forecast in kinds:
        normalised = formats.number(float(metadata["normalised_gini"]))
        description += words("chart.lorenz.normalised_gini", normalised=normalised)
    tenths = [point for point in points if abs((tenth := point["share_of_customers"] * 10) - round(tenth)) < 1e-9]
    values = value_lines(x, (point["share_of_customers"] for point in tenths))
    return Chart(
        title=words("chart.lorenz.title"),
        description=description,
        spec=specification(lines, values, width=width, height=300),
        head=(words("chart.lorenz.customers"), *(kind for kind in kinds if kind != equal)),
        rows=tuple(
            (
                formats.share(point["share_of_customers"], 0),
                *(formats.share(point[column]) for kind, column in kinds.items() if kind != equal),
            )
            for point in tenths
        ),
    )


def cohorts(table: pa.Table, words: Words = ENGLISH, formats: Formats = PLAIN) -> Chart:
    """Heat map of the share of each monthly cohort that ordered in each month after its first."""
    shares_by_cohort: dict[tuple[str, int], list[float]] = {}
    for row in table.to_pylist():
        shares_by_cohort.setdefault((row["cohort"], row["customer_count"]), []).append(row["share"])
    return retention(
        [Cohort(month, count, tuple(shares)) for (month, count), shares in shares_by_cohort.items()], words, formats
    )
