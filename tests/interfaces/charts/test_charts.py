import json
import os
import re
import signal
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import altair as alt
import pytest

from patron.answers.insight import report
from patron.answers.offers.offer_results import Effect
from patron.interfaces.charts import evaluation_charts
from patron.interfaces.charts.axes import nice_ticks
from patron.interfaces.charts.chart import BLUE, NARROW, Chart, svg_of
from patron.interfaces.charts.chart_sets import report_charts
from patron.interfaces.charts.drawing_process import draw_in_own_process
from patron.interfaces.charts.value_marks import value_mark
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.translations import words
from patron.storage.sandbox.sandbox import STOPPED_CALLS


@pytest.fixture(scope="module", params=LOCALES)
def charts(request, made_shop):
    found = report.report(made_shop)
    drawn = report_charts(
        found.overview,
        found.cohorts,
        found.models,
        found.repeat_purchase_model,
        words(request.param),
        Formats(request.param, "USD", "UTC"),
    )
    flat = [*vars(drawn).values()]
    return [chart for one in flat for chart in (one if isinstance(one, tuple) else (one,))]


def test_every_chart_has_a_title_a_description_and_a_table_that_says_the_same(charts):
    assert len(charts) >= 8
    for chart in charts:
        assert isinstance(chart, Chart)
        assert chart.title
        assert chart.description
        assert chart.rows
        assert all(len(row) == len(chart.head) for row in chart.rows)


def test_every_chart_is_one_labelled_image_whose_texts_stay_texts(charts):
    for chart in charts:
        root = ET.fromstring(chart.svg())  # noqa: S314 - our own drawing
        assert root.get("role") == "img"
        assert chart.title in str(root.get("aria-label"))
        assert "<text" in chart.svg()


def test_marks_of_every_chart_stand_for_every_row_and_cell_of_its_table(charts):
    for chart in charts:
        marks = {tuple(map(int, match.split("."))) for match in re.findall(r'data-row="([\d.]+)"', chart.svg())}
        texts = re.findall(r'data-value="([^"]+)"', chart.svg())
        if chart.columns:
            assert marks == {
                (row, column)
                for row, cells in enumerate(chart.rows)
                for column, cell in enumerate(cells)
                if column > 1 and cell != MISSING
            }, chart.title
        elif not texts:
            assert marks == {(row,) for row in range(len(chart.rows))}, chart.title
        assert len(re.findall("data-(?:row|value)=", chart.narrow_svg())) > 1, chart.title


def test_values_at_marks_and_texts_keep_their_digits():
    rows = [{"at": 1 / 3, "mark": value_mark("0.12345"), "text": "0.6789"}]
    chart = alt.Chart(alt.Data(values=rows)).encode(x="at:Q", text="text:N", description="mark:N")
    drawn = svg_of(json.dumps(chart.mark_text().to_dict()), "")
    assert 'data-value="0.12345"' in drawn
    assert ">0.6789<" in drawn
    assert not re.search(r'="[^"]*\d\.\d{3}', re.sub('data-value="[^"]*"', "", drawn))


def test_axis_labels_are_written_below_zero_too(charts):
    effects = next(chart for chart in charts if any("…" in cell for cell in chart.rows[0]))
    assert "-$" in effects.svg() or "-US$" in effects.svg()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0, 123_456), (0.001, 0.002), (5, 5)])
def test_ticks_are_few_and_cover_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize("locale", LOCALES)
def test_a_placebo_that_excludes_zero_is_said_to_be_chance_and_is_not_drawn_as_an_effect(locale):
    at = datetime(2024, 1, 1, tzinfo=UTC)
    same = {"offer": "any", "treated_count": 9, "control_count": 9, "standard_error": 1.0, "decided_from": at}
    same |= {"decided_until": at, "is_placebo": True}
    rows = [
        Effect(stratum="all", effect_cents=5.0, low=1.0, high=9.0, **same),
        Effect(stratum="lapsed/deals_low/value_low", effect_cents=0.0, low=-4.0, high=4.0, **same),
    ]
    drawn = evaluation_charts.effects(rows, {}, words(locale), Formats(locale, "USD", "UTC"))
    assert drawn.description == words(locale)("chart.effects.placebo", n=2, out=1)
    real = evaluation_charts.effects(
        [replace(row, is_placebo=False) for row in rows], {}, words(locale), Formats(locale, "USD", "UTC")
    )
    assert real.description == words(locale)("chart.effects.description")
    assert BLUE in real.svg()
    assert BLUE not in drawn.svg()


def test_every_chart_is_drawn_for_a_phone_too(charts):
    for chart in charts:
        if chart is not None:
            assert f'width="{NARROW}"' in chart.narrow_svg().partition(">")[0]


def test_limits_of_drift_stand_at_each_bar_and_cross_no_name(charts):
    titles = {words(locale)("chart.drift.title") for locale in LOCALES}
    [drift] = [chart for chart in charts if chart is not None and chart.title in titles]
    layers = drift.spec["layer"]
    [limits] = [json.loads(layer["data"]["values"]) for layer in layers if layer["mark"]["type"] == "tick"]
    assert {limit["x"] for limit in limits} == {evaluation_charts.PSI_MOVED, evaluation_charts.PSI_DIFFERENT}
    assert [limit["name"] for limit in limits] == [row[0] for row in drift.rows for _ in range(2)]
    assert "rule" not in {layer["mark"]["type"] for layer in layers}


def test_a_process_of_its_own_draws_the_same_and_a_chart_is_drawn_if_that_is_killed(charts):
    here = [chart.svg() for chart in charts[:2]]
    stops: list[object] = []
    before = STOPPED_CALLS.set(stops)
    try:
        with draw_in_own_process():
            for signal_first in (False, True):
                svg_of.cache_clear()
                if signal_first:
                    for child in children():
                        os.kill(child, signal.SIGKILL)
                assert [chart.svg() for chart in charts[:2]] == here
            assert children()
        assert not children()
    finally:
        STOPPED_CALLS.reset(before)
        svg_of.cache_clear()
    assert stops == [], "nobody sent what could not be read"


def children():
    """Processes that draw for this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"sandbox_process" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found
