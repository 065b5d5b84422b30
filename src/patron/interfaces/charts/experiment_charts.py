"""How the effect of an experiment grew: by day, or by run."""

from collections.abc import Sequence

import altair as alt

from patron.answers.offers.offer_experiment import MeasuredRun
from patron.commands.outreach.campaigns.effect_by_day import DayEffect
from patron.interfaces.charts.chart import BLUE, FAINT, NARROW, WIDE, Chart, specification
from patron.interfaces.charts.chart_data import chart_of
from patron.interfaces.charts.value_marks import value_lines
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

MAX_POINTS = 400


def effect_by_day(days: Sequence[DayEffect], words: Words, formats: Formats, *, is_journey: bool) -> Chart | None:
    """Effect per customer until the end of each day, with the interval that holds at all of them; None for one day."""
    points = [(str(day.day), day.day, day.effect_cents, day.low, day.high) for day in days[:MAX_POINTS]]
    axis = words("experiments.day_since_entry" if is_journey else "experiments.day")
    return _grown(points, axis, words("experiments.by_day"), words("experiments.by_day_note"), words, formats)


def effect_by_run(runs: Sequence[MeasuredRun], words: Words, formats: Formats) -> Chart | None:
    """Effect per decision as each run measured it; None for one run."""
    points = [
        (one.run_id[: len("2024-01-31")], place, one.customer_cents, one.customer_low, one.customer_high)
        for place, one in enumerate(runs[-MAX_POINTS:], 1)
    ]
    note = words("experiments.by_run_note")
    return _grown(points, words("experiments.run"), words("experiments.by_run"), note, words, formats)


def _grown(
    points: Sequence[tuple[str, int, float, float, float]],
    axis: str,
    title: str,
    description: str,
    words: Words,
    formats: Formats,
) -> Chart | None:
    if len(points) < 2:
        return None
    values = [
        {"at": place, "effect": effect / 100, "low": low / 100, "high": high / 100}
        for _, place, effect, low, high in points
    ]
    flat = alt.Scale(zero=False, nice=False)
    x = alt.X("at:Q", title=axis, axis=alt.Axis(format="d", tickMinStep=1), scale=flat)
    base = chart_of(values).encode(x=x)
    band = base.mark_area(color=BLUE, opacity=0.18).encode(
        y=alt.Y("low:Q", title=formats.currency), y2=alt.Y2("high:Q")
    )
    line = base.mark_line(color=BLUE, strokeWidth=2.5).encode(y=alt.Y("effect:Q", title=formats.currency))
    zero = chart_of([{}]).mark_rule(color=FAINT, strokeDash=[4, 4]).encode(y=alt.YDatum(0))
    layers = [band, zero, line, value_lines(x, (place for _, place, *_ in points))]
    return Chart(
        title=title,
        description=description,
        spec=specification(*layers, width=WIDE, height=260),
        narrow=specification(*layers, width=NARROW, height=240),
        head=(axis, words("experiments.each"), words("experiments.interval")),
        rows=tuple(
            (name, formats.money(effect), f"{formats.money(low)} … {formats.money(high)}")
            for name, _, effect, low, high in points
        ),
    )
