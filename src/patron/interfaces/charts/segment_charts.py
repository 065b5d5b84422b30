"""Customers by lifecycle stage, by persona, and by the value expected of them."""

from collections.abc import Sequence

import altair as alt

from patron.answers.segments.segments_overview import LifecycleStage, Persona, ValueBin, ValueSpread
from patron.interfaces.charts.axes import labelled_axis, named_bars, nice_ticks, scale
from patron.interfaces.charts.chart import BLUE, GREEN, GREY, ORANGE, SKY, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import value_columns
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

STAGE_COLOURS = {"new": SKY, "active": GREEN, "at_risk": ORANGE, "lapsed": GREY, "reactivated": BLUE}


def lifecycle_stages(stages_now: Sequence[LifecycleStage], words: Words, formats: Formats) -> Chart:
    """Customers in each lifecycle stage, as bars with their number and share."""
    rows = [
        {
            "name": words.code("stage", stage.lifecycle_stage),
            "n": stage.customer_count,
            "colour": STAGE_COLOURS.get(stage.lifecycle_stage, GREY),
            "label": f"{formats.count(stage.customer_count)} · {formats.share(stage.share, 0)}",
        }
        for stage in stages_now
    ]
    return Chart(
        title=words("chart.stages.title"),
        description=words(
            "chart.stages.description",
            list=words("list.joint").join(f"{row['name']} {row['label']}" for row in rows),
        ),
        spec=specification(*named_bars(rows), height=40 * len(rows) + 16),
        head=(
            words("column.stage"),
            words("column.customers"),
            words("column.share"),
            words("column.before"),
            words("column.expected_total"),
        ),
        rows=tuple(
            (
                words.code("stage", stage.lifecycle_stage),
                formats.count(stage.customer_count),
                formats.share(stage.share),
                formats.count(stage.previous_count),
                formats.whole_money(stage.expected_cents),
            )
            for stage in stages_now
        ),
    )


def personas(persona_list: Sequence[Persona], words: Words, formats: Formats) -> Chart:
    """Customers in each persona, as bars."""
    rows = [
        {
            "name": words.persona(persona.name_code),
            "n": persona.customer_count,
            "colour": BLUE,
            "label": f"{formats.count(persona.customer_count)} · {formats.share(persona.share, 0)}",
        }
        for persona in persona_list
    ]
    return Chart(
        title=words("chart.personas.title"),
        description=words("chart.personas.description", n=len(persona_list)),
        spec=specification(*named_bars(rows), height=40 * len(rows) + 16),
        head=(
            words("column.persona"),
            words("column.customers"),
            words("column.paid_year"),
            words("column.orders_year"),
            words("column.days_since"),
        ),
        rows=tuple(
            (
                words.persona(persona.name_code),
                formats.count(persona.customer_count),
                formats.whole_money(persona.paid_cents_365_days),
                formats.number(persona.order_count_365_days, 1),
                formats.count(persona.days_since_last_order),
            )
            for persona in persona_list
        ),
    )


def value(spread: ValueSpread, words: Words, formats: Formats) -> Chart:
    """Customers by the spend expected of them in the next 90 days."""
    rows = [{"name": _range(b, words, formats), "n": b.customer_count} for b in spread.bins]
    names = [row["name"] for row in rows]
    ticks = nice_ticks(0, max([1, *(b.customer_count for b in spread.bins)]), most=4)
    x = alt.X(
        "name:N",
        sort=names,
        title=words("chart.value.axis"),
        axis=alt.Axis(labelAngle=-35, labelOverlap=False, labelLimit=120),
        scale=alt.Scale(paddingInner=0.12),
    )
    axis = labelled_axis(ticks, formats.count, title=words("column.customers"))
    bars = chart_of(rows).mark_bar(color=BLUE).encode(x=x, y=alt.Y("n:Q", axis=axis, scale=scale(ticks)))
    return Chart(
        title=words("chart.value.title"),
        description=words("chart.value.description", share=formats.share(spread.top_tenth_share, 0)),
        spec=specification(bars, value_columns(x, names), height=300),
        head=(words("chart.value.axis"), words("column.customers"), words("column.expected_total")),
        rows=tuple(
            (_range(b, words, formats), formats.count(b.customer_count), formats.whole_money(b.expected_cents))
            for b in spread.bins
        ),
    )


def _range(piece: ValueBin, words: Words, formats: Formats) -> str:
    start = formats.whole_money(piece.from_cents)
    if piece.until_cents is None:
        return words("range.over", start=start)
    if piece.from_cents <= 0:
        return words("range.under", end=formats.whole_money(piece.until_cents))
    return words("range.between", start=start, end=formats.count(piece.until_cents / 100))
