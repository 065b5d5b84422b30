"""Charts of evaluation: forecasts against the actual, effects with their intervals, drift of features."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pyarrow as pa

from patron.answers.models.models import Drift, ForecastCheck
from patron.answers.offers.offer_results import Effect
from patron.interfaces.charts.axes import labelled_axis, names_above, nice_ticks, scale
from patron.interfaces.charts.chart import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    WIDE,
    Chart,
    specification,
)
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.clv_charts import calibration_by_decile
from patron.interfaces.charts.value_marks import MARK, MARK_ENCODING, row_mark, value_rows
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

PSI_MOVED, PSI_DIFFERENT = 0.1, 0.25
"""Customary limits of the population stability index."""
BAND = 44
"""Height of what stands for a row of effects where one points at it, pixels."""
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
            "row": place,
            **_row_names(effect, offer_names, words),
            "effect": effect.effect_cents / 100,
            "low": effect.low / 100,
            "high": effect.high / 100,
            "colour": _effect_colour(effect),
            MARK: row_mark(place),
        }
        for place, effect in enumerate(largest)
    ]
    return Chart(
        title=words("chart.effects.title"),
        description=_effects_description(largest, words),
        spec=specification(*_intervals(rows, words, formats), width=WIDE, height=56 * max(len(rows), 1) + 50),
        head=(
            words("column.offer_segment"),
            words("column.treated"),
            words("column.control"),
            words("column.raw_effect"),
            words("column.adjusted_effect"),
            words("column.interval"),
            words("column.sequence"),
            words("column.offer_cost"),
            words("column.offer_net"),
        ),
        rows=tuple(
            (
                effect_name(effect, offer_names, words),
                formats.count(effect.treated_count),
                formats.count(effect.control_count),
                formats.money(effect.raw_cents),
                formats.money(effect.effect_cents),
                f"{formats.money(effect.low)} … {formats.money(effect.high)}",
                f"{formats.money(effect.sequence_low)} … {formats.money(effect.sequence_high)}",
                formats.money(effect.cost_cents),
                formats.money(effect.net_cents),
            )
            for effect in largest
        ),
    )


def _row_names(effect: Effect, offer_names: dict[str, str], words: Words) -> dict[str, str]:
    """Offer and stratum in two lines; everybody's offer in one, next to its interval."""
    offer = words.offer(effect.offer, offer_names)
    if effect.stratum == "all":
        return {"upper": "", "lower": offer, "stratum": ""}
    return {"upper": offer, "lower": "", "stratum": words.stratum(effect.stratum)}


def _excludes_zero(effect: Effect) -> bool:
    return not effect.low <= 0 <= effect.high


def _effect_colour(effect: Effect) -> str:
    """Grey where an effect is not significant; a placebo has no effect, whatever its interval says."""
    if not _excludes_zero(effect):
        return GREY
    return INK if effect.is_placebo else (BLUE if effect.effect_cents > 0 else VERMILION)


def _effects_description(shown: Sequence[Effect], words: Words) -> str:
    if shown and all(effect.is_placebo for effect in shown):
        return words("chart.effects.placebo", n=len(shown), out=sum(map(_excludes_zero, shown)))
    return words("chart.effects.description")


def _intervals(rows: list[dict[str, Any]], words: Words, formats: Formats) -> tuple[alt.Chart, ...]:
    """A dot and its interval for each row, under the row's own name, and the line of zero."""
    ticks = nice_ticks(min([0.0, *(r["low"] for r in rows)]), max([0.01, *(r["high"] for r in rows)]), most=6)
    digits_matter = ticks[-1] - ticks[0] < 10

    def write(amount: float) -> str:
        return formats.money(amount * 100) if digits_matter else formats.whole_money(amount * 100)

    base = chart_of(rows).encode(y=alt.Y("row:O", axis=None, scale=alt.Scale(type="point", padding=0.6)))
    axis = labelled_axis(ticks, write, title=words("chart.effects.axis"))
    colour = alt.Color("colour:N", scale=None)
    zero = chart_of([{"x": 0}]).mark_rule(color=FAINT, strokeDash=[4, 3]).encode(x=alt.X("x:Q"))
    lines = base.mark_rule(strokeWidth=3, yOffset=12).encode(
        x=alt.X("low:Q", axis=axis, scale=scale(ticks)), x2=alt.X2("high:Q"), color=colour
    )
    dots = base.mark_point(filled=True, size=90, opacity=1, yOffset=12).encode(x=alt.X("effect:Q"), color=colour)
    names = (
        names_above(base, dy=-18, field="upper"),
        names_above(base, dy=-3, field="lower"),
        names_above(base, dy=-3, field="stratum", color=FAINT),
    )
    bands = base.mark_rule(opacity=0, strokeWidth=BAND).encode(
        x=alt.XValue(0), x2=alt.X2Value("width"), description=MARK_ENCODING
    )
    return zero, lines, dots, *names, bands


def effect_name(effect: Effect, offer_names: dict[str, str], words: Words) -> str:
    """Name of an effect's row: the offer, and the stratum unless it is everybody."""
    offer = words.offer(effect.offer, offer_names)
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
    y = alt.Y("name:N", sort=names, axis=None, scale=alt.Scale(paddingInner=0))
    base = chart_of(rows).encode(y=y)
    axis = labelled_axis(ticks, lambda v: formats.number(v, digits), title=words("chart.drift.axis"))
    bars = base.mark_bar(height=10, yOffset=8).encode(
        x=alt.X("psi:Q", axis=axis, scale=scale(ticks)), color=alt.Color("colour:N", scale=None)
    )
    # why by the bars: lines from top to bottom would cross the names
    limits = [{"name": name, "x": limit} for name in names for limit in (PSI_MOVED, PSI_DIFFERENT)]
    limit_ticks = chart_of(limits).mark_tick(color=INK, thickness=2, size=12, yOffset=8).encode(x=alt.X("x:Q"), y=y)
    return Chart(
        title=words("chart.drift.title"),
        description=words("chart.drift.description"),
        spec=specification(
            bars,
            limit_ticks,
            names_above(base, dy=-7),
            value_rows(y, names),
            width=WIDE,
            height=34 * max(len(rows), 1) + 50,
        ),
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
