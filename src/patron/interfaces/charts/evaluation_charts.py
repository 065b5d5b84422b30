"""Charts of evaluation: forecasts against the actual, effects with their intervals, drift of features."""

from collections.abc import Sequence
from dataclasses import replace

import altair as alt
import pyarrow as pa

from patron.answers.models import Drift, ForecastCheck
from patron.answers.offer_results import Effect
from patron.interfaces.charts.axes import labelled_axis, nice_ticks, scale
from patron.interfaces.charts.chart import (
    BLUE,
    FAINT,
    GREY,
    ORANGE,
    VERMILION,
    WIDE,
    Chart,
    specification,
)
from patron.interfaces.charts.clv_charts import calibration_by_decile
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

PSI_MOVED, PSI_DIFFERENT = 0.1, 0.25
"""Customary limits of the population stability index."""
MAX_EFFECTS = 10
"""Rows that a picture of effects can hold."""


def forecast_by_decile(
    checks: Sequence[ForecastCheck], question: str, unit: str, words: Words, formats: Formats
) -> Chart:
    """Mean forecast and mean actual of each decile of the forecast."""
    deciles = [check for check in checks if check.decile]
    names = ("decile", "customer_count", "forecast_mean", "actual_mean")
    table = pa.table({name: [getattr(check, name) for check in deciles] for name in names})
    return replace(
        calibration_by_decile(table, words, formats, unit=unit),
        title=words("chart.deciles.title", question=words.code("question", question)),
        description=words("chart.deciles.description", date=formats.date(deciles[0].scored_at if deciles else None)),
    )


def effects(all_effects: Sequence[Effect], offer_names: dict[str, str], words: Words, formats: Formats) -> Chart:
    """Effect of each offer and its largest strata with 95 % intervals, and the line of no effect."""
    by_size = sorted(all_effects, key=lambda effect: (effect.stratum != "all", -effect.treated_count, effect.stratum))
    largest = [effect for effect in by_size if effect.treated_count][:MAX_EFFECTS]
    rows = [
        {
            "name": effect_name(effect, offer_names, words),
            "effect": effect.effect_cents / 100,
            "low": effect.low / 100,
            "high": effect.high / 100,
            "colour": GREY if effect.low <= 0 <= effect.high else (BLUE if effect.effect_cents > 0 else VERMILION),
        }
        for effect in largest
    ]
    ticks = nice_ticks(min([0.0, *(r["low"] for r in rows)]), max([0.01, *(r["high"] for r in rows)]), most=6)
    names = [row["name"] for row in rows]
    digits_matter = ticks[-1] - ticks[0] < 10

    def write(amount: float) -> str:
        return formats.money(amount * 100) if digits_matter else formats.whole_money(amount * 100)

    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=430, labelExpr="split(datum.label, ' · ')"))
    )
    axis = labelled_axis(ticks, write, title=words("chart.effects.axis"))
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(color=FAINT, strokeDash=[4, 3]).encode(x="x:Q")
    range_ = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", axis=axis, scale=scale(ticks)), x2="high:Q", color=alt.Color("colour:N", scale=None)
    )
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        x="effect:Q", color=alt.Color("colour:N", scale=None)
    )
    return Chart(
        title=words("chart.effects.title"),
        description=words("chart.effects.description"),
        spec=specification(zero + range_ + dots, width=WIDE, height=38 * max(len(rows), 1) + 60),
        head=(
            words("column.offer_segment"),
            words("column.treated"),
            words("column.control"),
            words("column.effect"),
            words("column.interval"),
        ),
        rows=tuple(
            (
                effect_name(effect, offer_names, words),
                formats.count(effect.treated_count),
                formats.count(effect.control_count),
                formats.money(effect.effect_cents),
                f"{formats.money(effect.low)} … {formats.money(effect.high)}",
            )
            for effect in largest
        ),
    )


def effect_name(effect: Effect, offer_names: dict[str, str], words: Words) -> str:
    """Name of an effect's row: the offer, and the stratum unless it is everybody."""
    offer = offer_names.get(effect.offer) or words.code("offer", effect.offer)
    return offer if effect.stratum == "all" else f"{offer} · {words.stratum(effect.stratum)}"


def drift(moved: Sequence[Drift], words: Words, formats: Formats, *, most: int = 12) -> Chart:
    """Features that moved most since the run before, with the customary limits."""
    rows = [
        {
            "name": words.feature(row.feature),
            "psi": row.population_stability_index,
            "colour": VERMILION
            if row.population_stability_index > PSI_DIFFERENT
            else (ORANGE if row.population_stability_index > PSI_MOVED else GREY),
        }
        for row in moved[:most]
    ]
    ticks = nice_ticks(0, max([PSI_DIFFERENT, *(float(row["psi"]) for row in rows)]), most=5)
    names = [row["name"] for row in rows]
    digits = 2 if ticks[-1] < 1 else 1
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height=12)
        .encode(
            y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=300)),
            x=alt.X(
                "psi:Q",
                axis=labelled_axis(ticks, lambda v: formats.number(v, digits), title=words("chart.drift.axis")),
                scale=scale(ticks),
            ),
            color=alt.Color("colour:N", scale=None),
        )
    )
    limits = [{"x": PSI_MOVED}, {"x": PSI_DIFFERENT}]
    rules = alt.Chart(alt.Data(values=limits)).mark_rule(color=FAINT, strokeDash=[4, 3]).encode(x="x:Q")
    return Chart(
        title=words("chart.drift.title"),
        description=words("chart.drift.description"),
        spec=specification(bars + rules, width=WIDE, height=24 * max(len(rows), 1) + 50),
        head=(
            words("column.feature"),
            words("column.psi"),
            words("column.mean_before"),
            words("column.mean_now"),
        ),
        rows=tuple(
            (
                words.feature(row.feature),
                formats.number(row.population_stability_index),
                formats.number(row.mean_before),
                formats.number(row.mean_now),
            )
            for row in moved[:most]
        ),
    )
