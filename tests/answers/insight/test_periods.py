"""Periods by the shop's calendar, what they are compared with, and the figures of them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patron.answers.insight.period_figures import period_figures
from patron.answers.insight.periods import PeriodQuery, add_months, other_span, span_of
from patron.answers.insight.revenue import windows_between
from patron.schema.errors import BadQuery
from patron.storage.runs.last_run import last_run

BERLIN = ZoneInfo("Europe/Berlin")
AS_OF = datetime(2024, 4, 11, 22, tzinfo=UTC)  # the 12th, midnight in Berlin


def test_a_month_that_is_not_over_is_compared_with_as_many_days_of_the_month_before():
    query = PeriodQuery("month", "2024-04")
    span = span_of(query, AS_OF, BERLIN)
    assert span.is_cut_off
    other = other_span(span, query, BERLIN)
    assert other is not None
    assert other.starts_at.astimezone(BERLIN) == datetime(2024, 3, 1, tzinfo=BERLIN)
    # why: a night of March in Berlin is an hour shorter, and days are days of the calendar
    assert other.ends_at.astimezone(BERLIN) == datetime(2024, 3, 12, tzinfo=BERLIN)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 12, 31)), st.integers(-30, 30))  # noqa: DTZ001 - any calendar
def test_months_are_added_and_taken_away_alike(at, months):
    moved = add_months(at.replace(day=1), months)
    assert add_months(moved, -months) == at.replace(day=1)
    assert (moved.year - at.year) * 12 + moved.month - at.month == months
    assert add_months(at, months).month == moved.month


@pytest.mark.parametrize(
    "query",
    [
        PeriodQuery("custom"),
        PeriodQuery("custom", "", date(2024, 4, 2), date(2024, 4, 1)),
        PeriodQuery("custom", "", date(2025, 1, 1), date(2025, 2, 1)),
        PeriodQuery("custom", "", date(1990, 1, 1), date(2024, 1, 1)),
        PeriodQuery("month", "2024-13"),
    ],
)
def test_a_period_that_is_none_is_refused(query):
    with pytest.raises(BadQuery):
        span_of(query, AS_OF, BERLIN)


def test_known_and_new_customers_make_up_the_revenue_of_the_period(made_shop):
    view = last_run(made_shop)
    shown = period_figures(view, PeriodQuery("90"))
    by_code = {figure.code: figure for figure in shown.figures}
    assert by_code["revenue"].value == by_code["revenue_known"].value + by_code["revenue_new"].value
    assert by_code["revenue"].previous == windows_between(view, [shown.compared.ends_at, shown.compared.starts_at])[0].paid_cents  # fmt: skip  # noqa: E501
    assert by_code["expected_value"].basis == "customers_then"
    assert by_code["at_risk"].previous is not None
    assert shown.course.is_last_cut_off
    assert len(shown.course.compared) == len(shown.course.windows)


def test_what_cannot_be_compared_says_why(made_shop):
    shown = period_figures(last_run(made_shop), PeriodQuery("90", compare="year"))
    reasons = {figure.code: figure.not_compared for figure in shown.figures}
    assert reasons["revenue"] == "before_first_order"
    assert reasons["at_risk"] == "no_run"
    assert reasons["prospects_value"] == "no_forecast"
    alone = period_figures(last_run(made_shop), PeriodQuery("90", compare="none"))
    assert {figure.not_compared for figure in alone.figures} <= {None, "no_forecast"}
    assert {figure.previous for figure in alone.figures} == {None}
