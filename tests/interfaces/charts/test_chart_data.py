"""Rows of a chart as it carries them."""

import json

from patron.interfaces.charts.chart_data import chart_of


def test_what_is_not_a_finite_number_is_null_and_the_rest_stays():
    rows = [{"a": float("nan"), "b": "é", "c": True}, {"a": float("-inf"), "b": None, "c": 2}]
    kept = json.loads(chart_of(iter(rows)).data.values)
    assert kept == [{"a": None, "b": "é", "c": True}, {"a": None, "b": None, "c": 2}]
