from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from patron.measure.forecast_alarms import ForecastCheck, allowed_ratio, calibration_error, earlier_checks

NEWEST = datetime(2024, 10, 1, tzinfo=UTC)


def checks(*ratios, forecast=0.2, days=90):
    """Earlier checks 30 days apart, the newest first."""
    first = NEWEST - timedelta(days=days)
    return [
        ForecastCheck(first - timedelta(days=30 * at), forecast, forecast * ratio) for at, ratio in enumerate(ratios)
    ]


def customers(forecast, actual, count=1_000):
    rng = np.random.default_rng(1)
    expected = np.clip(rng.normal(forecast, 0.02, count), 0.01, 0.99)
    return expected, (np.arange(count) < actual * count).astype(float)


def error_of(forecast, actual, earlier=(), count=1_000):
    return calibration_error(*customers(forecast, actual, count), earlier, is_probability=True, tests=5)


def test_twice_as_many_leaving_as_forecast_is_an_error_with_both_numbers():
    error = error_of(0.12, 0.25)
    assert error.forecast_mean == pytest.approx(0.12, abs=0.01)
    assert error.actual_mean == 0.25
    assert error.ratio > error.allowed_ratio == 1.5


def test_a_forecast_within_noise_or_slightly_off_is_none():
    assert error_of(0.2, 0.2) is None
    assert error_of(0.2, 0.4, count=20) is None  # twice, of a handful of customers
    assert error_of(0.02, 0.04, count=5_000) is None  # twice, by two points


def test_an_error_is_compared_with_the_shops_usual_one():
    assert error_of(0.2, 0.34, checks(1.0, 1.05, 0.95, 1.0)) is not None
    assert error_of(0.2, 0.34, checks(0.7, 1.4, 0.75, 1.3)) is None


def test_a_year_of_checks_knows_the_seasons_and_allows_less():
    assert allowed_ratio(checks(*[1.0] * 6), is_probability=False) == 1.5
    assert allowed_ratio(checks(*[1.0] * 11), is_probability=False) == 1.25


def test_of_a_probability_the_error_of_its_opposite_counts_too():
    assert error_of(0.7, 0.88) is not None  # 12 % stay, 30 % were forecast


def test_earlier_forecasts_are_over_before_the_newest_begins_and_a_month_apart():
    nightly = [ForecastCheck(NEWEST - timedelta(days=day), 1.0, 1.0) for day in range(200)]
    days = [(NEWEST - check.scored_at).days for check in earlier_checks(nightly, NEWEST, 90)]
    assert days == [90, 120, 150, 180]


def test_amounts_of_nothing_have_no_error():
    nothing = np.zeros(100)
    assert calibration_error(nothing, nothing, (), is_probability=False, tests=1) is None
