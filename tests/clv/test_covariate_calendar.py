"""A calendar, and the covariates of a summary's orders."""

import math
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.clv import Calendar, rfm, with_calendar
from patron.clv.covariate_calendar import FIRST

START = date(2022, 1, 3)
ORDERS = [("ann", 0), ("ann", 3), ("ann", 3), ("ann", 9), ("bob", 2), ("cid", 1), ("cid", 10), ("cid", 13), ("eve", 30)]
"""Who ordered on which day after the calendar's first, one of them twice on a day."""
PROMOTIONS = pa.table(
    {
        "from": [START + timedelta(days=9), START, START + timedelta(days=25)],
        "until": [START + timedelta(days=11), START + timedelta(days=3), START + timedelta(days=40)],
        "promotion": [2.0, 1.0, 0.5],
        "is_big": [True, False, False],
    }
)


def orders_of(rows, *, midnight=True):
    who, days = zip(*rows, strict=True)
    begin = START if midnight else datetime(START.year, START.month, START.day, 9, 30)  # noqa: DTZ001 - as shops write
    return pa.table({"customer_id": who, "ordered_at": [begin + timedelta(days=day) for day in days]})


@pytest.mark.parametrize("whole_days", [True, False])
def test_a_summary_gets_the_covariates_of_its_orders(whole_days):
    calendar = Calendar.of(PROMOTIONS)
    orders = orders_of(ORDERS, midnight=whole_days)
    until = START + timedelta(days=20)
    summary = rfm(orders, until=until, value=None, whole_days=whole_days)
    summary = with_calendar(summary, orders, calendar, value=None, whole_days=whole_days)
    assert summary["customer_id"].to_pylist() == ["ann", "bob", "cid"]
    assert summary["promotion_at_orders"].to_pylist() == [3.0, 0.0, 2.0]
    assert summary["is_big_at_orders"].to_pylist() == [1.0, 0.0, 1.0]
    since = summary[FIRST].to_numpy() - calendar.bounds[0]
    assert since == pytest.approx([1.0, 3.0, 2.0] if whole_days else [9.5 / 24, 2 + 9.5 / 24, 1 + 9.5 / 24])
    assert summary[FIRST].to_numpy() + 7 * summary["T"].to_numpy() == pytest.approx(calendar.bounds[0] + 21)
    assert with_calendar(summary, orders, calendar, value=None, whole_days=whole_days).equals(summary)


def test_a_refund_is_not_an_order():
    orders = orders_of([*ORDERS, ("bob", 10)]).append_column("value", pa.array([*[5.0] * 9, -5.0]))
    summary = rfm(orders, until=START + timedelta(days=20))
    assert with_calendar(summary, orders, Calendar.of(PROMOTIONS))["promotion_at_orders"].to_pylist() == [3.0, 0.0, 2.0]


def test_days_that_no_period_has_are_plain_and_impossible_calendars_are_refused():
    calendar = Calendar.of(PROMOTIONS)
    assert calendar.values["promotion"] == (1.0, 0.0, 2.0, 0.0, 0.5)
    assert np.diff(calendar.bounds).tolist() == [4, 5, 3, 13, 16]
    for change, words in (
        ({"until": [START] * 3}, "2 periods end before they begin"),
        ({"until": [START + timedelta(days=50)] * 3}, "2 periods begin before the one before ends"),
        ({"promotion": [1.0, math.nan, 1.0]}, "promotion: 1 values are missing or infinite"),
        ({"from": [1, 2, 3]}, "the time of periods is int64"),
    ):
        columns = {name: PROMOTIONS[name].to_pylist() for name in PROMOTIONS.column_names} | change
        with pytest.raises(ValueError, match=words):
            Calendar.of(pa.table(columns))
    with pytest.raises(ValueError, match="the calendar has no column from, until; it has a"):
        Calendar.of(pa.table({"a": [1]}))
    with pytest.raises(ValueError, match="the calendar has no period"):
        Calendar.of(PROMOTIONS.slice(0, 0))


def test_orders_that_are_not_those_of_the_summary_are_refused():
    orders, calendar = orders_of(ORDERS), Calendar.of(PROMOTIONS)
    summary = rfm(orders, until=START + timedelta(days=20), value=None)
    with pytest.raises(ValueError, match="2 customers have another number of repeat orders"):
        with_calendar(summary, orders_of([ORDERS[0], *ORDERS[4:7]]), calendar, value=None)
    with pytest.raises(ValueError, match="no column ordered_at"):
        with_calendar(summary, orders.drop_columns(["ordered_at"]), calendar, value=None)
    with pytest.raises(ValueError, match="the calendar covers 2022-01-12 to 2022-01-14"):
        with_calendar(summary, orders, Calendar.of(PROMOTIONS.slice(0, 1)), value=None)
