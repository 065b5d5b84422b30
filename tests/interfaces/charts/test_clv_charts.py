"""Charts of value models, as a notebook draws them: from a table of `views`, in English or another language."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest

from patron.clv import diagnostics, rfm
from patron.clv.maximum_likelihood import Estimates
from patron.clv.pareto_nbd import FittedParetoNBD
from patron.interfaces.charts import clv_charts as charts
from patron.interfaces.charts.axes import date_axis
from patron.interfaces.charts.chart import HALF, WIDE
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.schema.table_metadata import metadata_of, with_metadata

FITTED = FittedParetoNBD(Estimates({"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}, unit="W"))
ORDERED_AT = ["1997-01-01", "1997-01-11", "1997-04-16"]
SMALL = 60_000
"""Bytes of a drawing that a page can hold next to others; a matrix has a square for every history."""


def orders():
    rng = np.random.default_rng(4)
    days = np.datetime64("1997-01-01") + rng.integers(0, 300, 900)
    return pa.table({"customer_id": rng.integers(0, 200, 900), "ordered_at": pa.array(days)})


def forecasts():
    rng = np.random.default_rng(5)
    forecast = rng.gamma(0.5, 4.0, 400)
    return rng.poisson(forecast).astype(float), forecast


def tables():
    bought = orders()
    summary = rfm(bought, until="1997-06-30", value=None)
    actual, forecast = forecasts()
    matrix = diagnostics.frequency_recency(FITTED, 1, T=39, most_frequency=6)
    return {
        "orders": (charts.frequency_recency, matrix, {}),
        "alive": (charts.frequency_recency, matrix, {"of": "probability_alive"}),
        "weekly": (charts.tracking, diagnostics.tracking(FITTED, summary, bought, until="1997-10-27", value=None), {}),
        "so far": (
            charts.tracking,
            diagnostics.tracking(FITTED, summary, bought, until="1997-10-27", value=None),
            {"is_cumulative": True},
        ),
        "calibration": (charts.calibration_by_decile, diagnostics.calibration_by_decile(actual, forecast), {}),
        "lorenz": (charts.lorenz, diagnostics.lorenz(actual), {}),
        "judged": (charts.lorenz, diagnostics.lorenz(actual, by=forecast), {}),
        "life": (charts.alive_over_time, diagnostics.alive_over_time(FITTED, ORDERED_AT, "1997-12-31"), {}),
        "fan": (charts.forecast_fan, diagnostics.forecast_fan(FITTED, ORDERED_AT, "1997-06-30", 26), {}),
        "cohorts": (charts.cohorts, diagnostics.cohorts(bought, until="1997-10-27"), {}),
    }


@pytest.fixture(scope="module", params=LOCALES)
def drawn(request):
    language = words(request.param), Formats(request.param, "USD", "America/Los_Angeles")
    return request.param, {name: draw(table, *language, **how) for name, (draw, table, how) in tables().items()}


def test_every_chart_has_a_text_and_a_table_next_to_the_picture(drawn):
    _, found = drawn
    for chart in found.values():
        assert chart.title
        assert chart.description
        assert chart.rows
        assert all(len(row) == len(chart.head) for row in chart.rows)
        root = ET.fromstring(chart.svg())  # noqa: S314 - our own drawing
        assert chart.title in str(root.get("aria-label"))
        assert len(chart.svg()) < SMALL


def test_a_notebook_shows_a_chart_by_itself_with_its_title(drawn):
    _, found = drawn
    for chart in found.values():
        alone = chart._repr_svg_()
        ET.fromstring(alone)  # noqa: S314 - our own drawing
        assert "background:#fff" in alone
        shown = "".join(re.findall(r"<text[^>]*>([^<]*)", alone))
        assert chart.title.replace("&", "&amp;") in shown


def test_no_english_is_left_in_another_language(drawn):
    locale, found = drawn
    if locale == "en":
        return
    texts = [text for chart in found.values() for text in (chart.title, chart.description, *chart.head)]
    assert [text for text in texts if re.search(r"[A-Za-z]{2,}", text)] == []
    shown = [text for chart in found.values() for text in re.findall(r"<text[^>]*>([^<]*)", chart.svg())]
    assert [text for text in shown if re.search(r"[A-Za-z]{2,}", text)] == []


@pytest.mark.parametrize("width", [HALF, WIDE])
def test_charts_have_the_requested_width_and_their_dates_do_not_touch(width):
    for name, (draw, table, how) in tables().items():
        if name == "cohorts":
            continue
        svg = draw(table, width=width, **how).svg()
        assert f'width="{width}"' in svg
        places = [
            float(x)
            for x in re.findall(r'text-anchor="\w+" transform="translate\(([\d.]+),[\d.]+\)"[^>]*>\w+ 1997<', svg)
        ]
        assert all(later - earlier > 60 for earlier, later in itertools.pairwise(places))


def test_durations_are_written_as_people_say_them():
    title = {
        horizon: charts.frequency_recency(diagnostics.frequency_recency(FITTED, horizon, T=39, most_frequency=2)).title
        for horizon in (1, 1.5, 13)
    }
    assert title[1].endswith("1 week")
    assert title[1.5].endswith("1.5 weeks")
    assert title[13].endswith("13 weeks")


@pytest.mark.parametrize(
    ("until", "named"),
    [("1997-01-03", "1 Jan"), ("1997-02-20", "1 Jan"), ("1997-12-31", "Jan 1997"), ("2037-12-31", "Jan 2010")],
)
def test_dates_are_named_by_day_or_month_and_are_few(until, named):
    table = diagnostics.alive_over_time(FITTED, ["1997-01-01"], until)
    axis = date_axis(
        table["at"][0].as_py(), table["at"][-1].as_py(), Formats("en", "USD", "Pacific/Auckland"), width=WIDE
    )
    options = axis.to_dict()
    assert named in options["labelExpr"]
    assert 1 <= len(options["values"]) <= 9


def test_what_a_table_is_about_is_text_and_leaves_out_what_is_not_known():
    assert metadata_of(with_metadata({"a": [1]}, unit="W", horizon=None, gini=0.5, why="")) == {
        "unit": "W",
        "gini": "0.5",
    }
    assert metadata_of(pa.table({"a": [1]})) == {}


def test_values_in_cents_are_shown_as_money():
    actual, forecast = (1000 * one for one in forecasts())
    chart = charts.calibration_by_decile(diagnostics.calibration_by_decile(actual, forecast), unit="money")
    assert chart.rows[-1][-1].startswith("$")
    assert "$" in chart.svg()
