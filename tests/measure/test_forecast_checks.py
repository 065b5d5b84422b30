import numpy as np
import pytest

from patron.measure.forecast_checks import calibration_by_decile


def test_a_calibrated_forecast_has_no_bias_in_any_decile():
    rng = np.random.default_rng(1)
    forecast = rng.uniform(0.05, 0.95, 20_000)
    rows = calibration_by_decile(forecast, (rng.random(20_000) < forecast).astype(float))
    assert [row["decile"] for row in rows] == list(range(11))
    for row in rows:
        error = np.sqrt(row["forecast_mean"] * (1 - row["forecast_mean"]) / row["customer_count"])
        assert abs(row["forecast_mean"] - row["actual_mean"]) < 4 * error


def test_bias_is_the_forecast_total_over_the_actual_total_less_one():
    everybody = calibration_by_decile(np.array([30.0, 90.0]), np.array([20.0, 60.0]))[0]
    assert everybody["decile"] == 0
    assert everybody["bias_share"] == pytest.approx(0.5)


def test_a_bias_over_nothing_is_unknown():
    assert calibration_by_decile(np.ones(5), np.zeros(5))[0]["bias_share"] is None
