"""Charts of one customer: P(alive) over time, and expected orders."""

from typing import Any

import altair as alt
import pyarrow as pa

from patron.interfaces.charts.axes import SAME_DAY, date_axis, day_of, labelled_axis, nice_ticks, scale
from patron.interfaces.charts.chart import BLUE, FAINT, GREY, INK, ORANGE, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.time_spans import ENGLISH, PLAIN, span
from patron.interfaces.charts.value_marks import value_lines
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.table_metadata import metadata_of

MAX_RULES = 40
"""Orders that are marked by a line; more would hide the curve, and are dots only."""


def alive_over_time(
    table: pa.Table, words: Words = ENGLISH, formats: Formats = PLAIN, *, width: int = WIDE, height: int = 200
) -> Chart:
    """P(alive) of a customer as a line that falls between orders, and marks of the orders."""
    rows = table.to_pylist()
    points = [{"at": day_of(row["at"]), "alive": row["probability_alive"]} for row in rows]
    orders = [row for row in rows if row["is_order"]]
    axis = date_axis(rows[0]["at"], rows[-1]["at"], formats, width=width)
    x = alt.X("at:Q", axis=axis, scale=alt.Scale(nice=False, zero=False))
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    axis = labelled_axis(ticks, lambda share: formats.share(share, 0))
    y = alt.Y("alive:Q", axis=axis, scale=scale(ticks), stack=None)  # why: a day of an order has two values
    base = chart_of(points).encode(x=x, y=y)
    marks = chart_of([{"at": day_of(row["at"])} for row in orders])
    rules = marks.mark_rule(color=GREY, strokeWidth=1).encode(x=alt.X("at:Q"))
    dots = marks.mark_point(filled=True, color=INK, size=28, opacity=1).encode(x=alt.X("at:Q"), y=alt.YDatum(0))
    behind = [rules] if len(orders) <= MAX_RULES else []
    last = rows[-1]
    values = value_lines(x, (day_of(row["at"]) for row in (*orders, last)))
    parts = (base.mark_area(color=BLUE, opacity=0.12), base.mark_line(color=BLUE, strokeWidth=2), dots, values)
    return Chart(
        title=words("chart.alive.title"),
        description=words(
            "chart.alive.description",
            n=len(orders),
            count=formats.count(len(orders)),
            share=formats.share(last["probability_alive"], 0),
            date=formats.date(last["at"] + SAME_DAY),
        ),
        spec=specification(*behind, *parts, width=width, height=height),
        head=(words("chart.alive.date"), words("chart.alive.before"), words("chart.alive.after")),
        rows=tuple(_at_orders(rows, formats)),
    )


def _at_orders(rows: list[dict[str, Any]], formats: Formats) -> list[tuple[str, ...]]:
    """P(alive) just before and just after each order, and at the end."""
    before: float | None = None
    points = []
    for row in rows:
        if row["is_order"]:
            share = formats.share(row["probability_alive"], 0)
            points.append((formats.date(row["at"] + SAME_DAY), formats.share(before, 0), share))
        before = row["probability_alive"]
    last = formats.share(before, 0)
    return [*points, (formats.date(rows[-1]["at"] + SAME_DAY), last, last)]


def forecast_fan(
    table: pa.Table, words: Words = ENGLISH, formats: Formats = PLAIN, *, width: int = WIDE, height: int = 260
) -> Chart:
    """A customer's cumulative orders as steps, then the 50 % and 80 % intervals of those to come."""
    metadata, rows = metadata_of(table), table.to_pylist()
    past = [{"at": day_of(row["at"]), "orders": row["orders"]} for row in rows if row["orders"] is not None]
    ahead = [row for row in rows if row["orders"] is None]
    fan = [{**row, "at": day_of(row["at"])} for row in ahead]
    end, now = ahead[-1], past[-1]["orders"]
    ticks = nice_ticks(0, max(end["high_80"], end["expected"], 1.0), most=5)
    ticks = [tick for tick in ticks if tick == int(tick)]
    axis = date_axis(rows[0]["at"], end["at"], formats, width=width)
    x = alt.X("at:Q", axis=axis, scale=alt.Scale(nice=False, zero=False))
    base = chart_of(fan).encode(x=x)
    bands = [
        base.mark_area(color=BLUE, opacity=opacity, interpolate="step-after").encode(
            y=alt.Y(f"low_{part}:Q"), y2=alt.Y2(f"high_{part}:Q")
        )
        for part, opacity in ((80, 0.15), (50, 0.25))
    ]
    expected = base.mark_line(color=ORANGE, strokeWidth=2, strokeDash=[6, 3]).encode(
        y=alt.Y(
            "expected:Q", axis=labelled_axis(ticks, formats.count, title=words("column.orders")), scale=scale(ticks)
        )
    )
    steps = (
        chart_of(past)
        .mark_line(color=INK, strokeWidth=2, interpolate="step-after")
        .encode(x=alt.X("at:Q"), y=alt.Y("orders:Q"))
    )
    today = chart_of([past[-1]]).mark_rule(color=FAINT, strokeDash=[4, 3]).encode(x=alt.X("at:Q"))
    listed = ahead[:: max(len(ahead) // 6, 1)]
    values = value_lines(x, (day_of(row["at"]) for row in listed))
    more = {name: formats.count(end[name] - now) for name in ("low_80", "low_50", "high_50", "high_80")}
    return Chart(
        title=words("chart.fan.title"),
        description=words(
            "chart.fan.description",
            expected=formats.number(end["expected"] - now, 1),
            horizon=span(metadata["horizon"], metadata.get("unit", ""), words, formats),
            **more,
        ),
        spec=specification(*bands, today, expected, steps, values, width=width, height=height),
        head=(
            words("chart.alive.date"),
            words("chart.tracking.expected"),
            words("chart.fan.half"),
            words("chart.fan.four_in_five"),
        ),
        rows=tuple(
            (
                formats.date(row["at"] + SAME_DAY),
                formats.number(row["expected"], 1),
                f"{formats.count(row['low_50'])} … {formats.count(row['high_50'])}",
                f"{formats.count(row['low_80'])} … {formats.count(row['high_80'])}",
            )
            for row in listed
        ),
    )
