import xml.etree.ElementTree as ET

import pytest

from patron.answers import report
from patron.interfaces.charts.axes import nice_ticks
from patron.interfaces.charts.chart import Chart
from patron.interfaces.charts.chart_sets import report_charts
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words


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


def test_axis_labels_are_written_below_zero_too(charts):
    effects = next(chart for chart in charts if chart.rows[0][-1].count("…"))
    assert "-$" in effects.svg() or "-US$" in effects.svg()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0, 123_456), (0.001, 0.002), (5, 5)])
def test_ticks_are_few_and_cover_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
