"""Why customers leave: the first reasons of all together, and what the strongest features do to the forecast."""

from collections.abc import Sequence

import altair as alt

from patron.answers.churn_drivers import ChurnDriver, PartialDependence
from patron.interfaces.charts.axes import labelled_axis, named_bars, nice_ticks, scale
from patron.interfaces.charts.chart import BLUE, GREY, WIDE, Chart, specification
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words


def drivers(all_drivers: Sequence[ChurnDriver], words: Words, formats: Formats) -> Chart:
    """Customers likely to leave by their first reason, as bars."""
    rows = [
        {
            "name": words.code("churn_driver", one.code),
            "n": one.customer_count,
            "colour": GREY if one.code == "none" else BLUE,
            "label": f"{formats.count(one.customer_count)} · {formats.share(one.share)}",
        }
        for one in all_drivers
    ]
    likely = sum(one.customer_count for one in all_drivers)
    return Chart(
        title=words("chart.drivers.title"),
        description=words("chart.drivers.description", n=likely, count=formats.count(likely)),
        spec=specification(named_bars(rows), width=WIDE, height=40 * len(rows) + 16),
        head=(
            words("column.reasons"),
            words("column.customers"),
            words("column.share"),
            words("column.churn_probability"),
            words("column.help"),
        ),
        rows=tuple(
            (
                words.code("churn_driver", one.code),
                formats.count(one.customer_count),
                formats.share(one.share),
                formats.share(one.mean_churn_probability, 0),
                words(f"churn_help.{one.help}") if one.help else "",
            )
            for one in all_drivers
        ),
    )


def dependence(one: PartialDependence, words: Words, formats: Formats) -> Chart:
    """Mean churn probability if all customers had each value of a feature, as a line."""
    name = words.feature(one.feature)
    rows = [{"value": value, "mean": mean} for value, mean in one.points]
    x_ticks, ticks = nice_ticks(one.points[0][0], one.points[-1][0]), [0.0, 0.25, 0.5, 0.75, 1.0]

    def write(value: float) -> str:
        if one.feature.startswith("paid_cents"):
            return formats.short_money(value)
        return formats.count(value) if value == round(value) else formats.number(value, 2)

    axis = labelled_axis(x_ticks, write, title=name, is_gridded=False)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(color=BLUE, strokeWidth=2, point=alt.OverlayMarkDef(size=36, color=BLUE))
        .encode(
            x=alt.X("value:Q", axis=axis, scale=scale(x_ticks)),
            y=alt.Y("mean:Q", axis=labelled_axis(ticks, lambda v: formats.share(v, 0)), scale=scale(ticks)),
        )
    )
    return Chart(
        title=name,
        description=words("chart.dependence.description"),
        spec=specification(chart, height=220),
        head=(name, words("column.churn_probability")),
        rows=tuple((write(value), formats.share(mean)) for value, mean in one.points),
    )
