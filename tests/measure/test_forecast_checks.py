import numpy as np
import pyarrow as pa
import pytest

from patron.measure.forecast_checks import checks_by_decile


def checked(forecast, actual, low=None, high=None, *, is_probability=False):
    nothing = np.full(len(forecast), np.nan)
    columns = {"forecast": forecast, "actual": actual, "low": nothing, "high": nothing}
    columns |= {name: values for name, values in (("low", low), ("high", high)) if values is not None}
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return checks_by_decile(table, is_probability=is_probability)


def test_a_calibrated_forecast_has_no_bias_in_any_decile():
    rng = np.random.default_rng(1)
    forecast = rng.uniform(0.05, 0.95, 20_000)
    rows = checked(forecast, (rng.random(20_000) < forecast).astype(float))
    assert [row["decile"] for row in rows] == list(range(11))
    for row in rows:
        error = np.sqrt(row["forecast_mean"] * (1 - row["forecast_mean"]) / row["customer_count"])
        assert abs(row["forecast_mean"] - row["actual_mean"]) < 4 * error


def test_bias_is_the_forecast_total_over_the_actual_total_less_one():
    everybody = checked(np.array([30.0, 90.0]), np.array([20.0, 60.0]))[0]
    assert everybody["decile"] == 0
    assert everybody["bias_share"] == pytest.approx(0.5)


def test_a_bias_over_nothing_is_unknown():
    assert checked(np.ones(5), np.zeros(5))[0]["bias_share"] is None


def test_the_interval_of_the_bias_covers_no_bias_in_19_of_20_shops():
    rng = np.random.default_rng(2)
    rows = [checked(np.full(400, 100.0), rng.exponential(100.0, 400))[0] for _ in range(400)]
    covered = np.mean([row["bias_low"] <= 0 <= row["bias_high"] for row in rows])
    assert covered == pytest.approx(0.95, abs=0.033)


def test_the_error_stands_next_to_that_of_one_forecast_for_everybody():
    forecast, actual = np.array([0.0, 100.0]), np.array([10.0, 90.0])
    everybody = checked(forecast, actual)[0]
    assert (everybody["error"], everybody["baseline_error"]) == (10.0, 40.0)
    chances = checked(np.array([0.1, 0.9]), np.array([0.0, 1.0]), is_probability=True)[0]
    assert chances["error"] == pytest.approx(0.01)
    assert chances["baseline_error"] == pytest.approx(0.25)


def test_the_covered_share_counts_customers_with_an_interval_only():
    forecast, actual = np.full(4, 5.0), np.array([1.0, 5.0, 20.0, 5.0])
    low, high = np.array([0.0, 0.0, 0.0, np.nan]), np.array([10.0, 10.0, 10.0, np.nan])
    assert checked(forecast, actual, low, high)[0]["covered_share"] == pytest.approx(2 / 3)
    assert checked(forecast, actual)[0]["covered_share"] is None
