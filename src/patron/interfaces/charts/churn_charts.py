"""Why customers leave, and how long one is likely to stay."""

from collections.abc import Sequence
from datetime import UTC, datetime

import altair as alt

from patron.answers.models.churn_drivers import ChurnDriver, PartialDependence
from patron.answers.models.survival import CustomerSurvival
from patron.interfaces.charts.axes import date_axis, day_of, labelled_axis, named_bars, nice_ticks, scale
from patron.interfaces.charts.chart import BLUE, GREY, HALF, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import value_lines
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

HALF_WAY = 0.5


def drivers(all_drivers: Sequence[ChurnDriver], words: Words, formats: Formats) -> Chart:
    """Customers likely to leave by their first reason, as bars."""
    rows = [
        {
            "name": words.code("churn_driver", driver.code),
            "n": driver.customer_count,
            "colour": GREY if driver.code == "none" else BLUE,
            "label": f"{formats.count(driver.customer_count)} · {formats.share(driver.share)}",
        }
        for driver in all_drivers
    ]
    likely = sum(driver.customer_count for driver in all_drivers)
    return Chart(
        title=words("chart.drivers.title"),
        description=words("chart.drivers.description", n=likely, count=formats.count(likely)),
        spec=specification(*named_bars(rows), width=WIDE, height=40 * len(rows) + 16),
        head=(
            words("column.reasons"),
            words("column.customers"),
            words("column.share"),
            words("column.churn_probability"),
            words("column.help"),
        ),
        rows=tuple(
            (
                words.code("churn_driver", driver.code),
                formats.count(driver.customer_count),
                formats.share(driver.share),
                formats.share(driver.mean_churn_probability, 0),
                words(f"churn_help.{driver.help}") if driver.help else "",
            )
            for driver in all_drivers
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

    x = alt.X("value:Q", axis=labelled_axis(x_ticks, write, title=name, is_gridded=False), scale=scale(x_ticks))
    line = (
        chart_of(rows)
        .mark_line(color=BLUE, strokeWidth=2, point=alt.OverlayMarkDef(size=36, color=BLUE))
        .encode(
            x=x,
            y=alt.Y("mean:Q", axis=labelled_axis(ticks, lambda v: formats.share(v, 0)), scale=scale(ticks)),
        )
    )
    return Chart(
        title=name,
        description=words("chart.dependence.description"),
        spec=specification(line, value_lines(x, (value for value, _ in one.points)), height=220),
        head=(name, words("column.churn_probability")),
        rows=tuple((write(value), formats.share(mean)) for value, mean in one.points),
    )


def survival_curve(curve: CustomerSurvival, as_of: datetime, words: Words, formats: Formats) -> Chart:
    """Probability that a customer is still one at each horizon, as a line, and that of all active ones, dashed."""
    one, everybody = words("survival.this_customer"), words("survival.all_customers")
    start = [(as_of, 1.0, 1.0)]
    points = [*start, *((point.at, point.probability_active, point.mean_probability_active) for point in curve.points)]
    rows = [
        {"at": day_of(at), "share": share, "of": name, "label": formats.share(share, 0)}
        for at, *shares in points
        for name, share in zip((one, everybody), shares, strict=True)
    ]
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    x_axis = date_axis(as_of.astimezone(UTC), curve.points[-1].at.astimezone(UTC), formats, width=HALF)
    x = alt.X("at:Q", axis=x_axis, scale=alt.Scale(nice=False, zero=False))
    base = chart_of(rows).encode(
        x=x,
        y=alt.Y("share:Q", axis=labelled_axis(ticks, lambda v: formats.share(v, 0)), scale=scale(ticks)),
        color=alt.Color("of:N", scale=alt.Scale(domain=[one, everybody], range=[BLUE, GREY])),
    )
    dashes = alt.condition(alt.datum.of == everybody, alt.value([6, 3]), alt.value([1, 0]))
    of_customer = base.transform_filter(alt.datum.of == one)
    dots = of_customer.mark_point(filled=True, size=50, opacity=1)
    high = of_customer.transform_filter((alt.datum.share >= HALF_WAY) & (alt.datum.at > day_of(as_of)))
    low = of_customer.transform_filter(alt.datum.share < HALF_WAY)
    is_last = alt.datum.at == day_of(curve.points[-1].at)
    # why: below a line that is high, and to the right of one that is low, so that the falling line crosses no number
    labels = (
        high.mark_text(dy=16, dx=-2, align="right"),
        low.transform_filter(~is_last).mark_text(dy=-8, dx=5, align="left"),
        low.transform_filter(is_last).mark_text(dy=-10, align="right"),
    )
    line = base.mark_line(strokeWidth=2).encode(strokeDash=dashes)
    texts = (label.encode(text=alt.Text("label:N")) for label in labels)
    values = value_lines(x, (day_of(point.at) for point in curve.points))
    last = curve.points[-1]
    return Chart(
        title=words("chart.survival.title"),
        description=words(
            "chart.survival.description",
            share=formats.share(last.probability_active, 0),
            date=formats.date(last.at),
            mean=formats.share(last.mean_probability_active, 0),
        ),
        spec=specification(line, dots, *texts, values, width=HALF, height=220),
        head=(words("survival.until"), one, everybody),
        rows=tuple(
            (
                words("survival.in_days", n=point.horizon_days, date=formats.date(point.at)),
                formats.share(point.probability_active, 0),
                formats.share(point.mean_probability_active, 0),
            )
            for point in curve.points
        ),
    )
