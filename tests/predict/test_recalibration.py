from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from patron.estimators.calibration import Calibration
from patron.estimators.learner import FORECAST, forecasts
from patron.predict.averaged_probability import FittedAverage
from patron.predict.backtest import Backtest
from patron.predict.learners import LEARNERS
from patron.predict.origins import Forecasts
from patron.predict.recalibration import calibration_slope, recalibrate
from patron.schema.models.questions import CHURN
from patron.schema.numbers import float_column

CUSTOMERS = 20_000


def timid(slope, seed):
    """Forecasts of a cutoff whose log-odds should have been so many times as large."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.5, 1.5, CUSTOMERS)
    left = (rng.random(CUSTOMERS) < expit(slope * log_odds)).astype(float)
    return Forecasts(np.arange(CUSTOMERS), left, expit(log_odds))


def backtested(*slopes, champion="averaged"):
    """A backtest of churn whose champion was so timid at each cutoff."""
    origins = tuple(f"2024-0{month}-01" for month in range(1, len(slopes) + 1))
    past = {
        (name, champion): timid(slope, seed=origins.index(name)) for name, slope in zip(origins, slopes, strict=True)
    }
    return Backtest(CHURN, LEARNERS[CHURN.name], origins, past, champion, "mean", "")


def test_a_mean_of_models_is_stretched_by_as_much_as_every_past_cutoff_asks_for():
    assert calibration_slope("averaged", backtested(1.5, 1.2, 1.3)) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("slopes", [(), (1.4,), (1.4, 0.8)], ids=["no cutoff", "one cutoff", "one was too sure"])
def test_where_past_cutoffs_do_not_agree_nothing_is_stretched(slopes):
    assert calibration_slope("averaged", backtested(*slopes)) == 1.0


def test_a_single_model_is_calibrated_where_it_is_fitted():
    assert calibration_slope("logistic", backtested(1.5, 1.5, champion="logistic")) == 1.0
    assert calibration_slope("logistic", backtested(1.5, 1.5)) == 1.0, (
        "the champion could not be fitted to all that is known"
    )


@settings(deadline=None)  # why: the first example loads the optimiser
@given(
    slope=st.floats(0.2, 2.0), log_odds=st.lists(st.floats(-12, 12), min_size=2, max_size=50).map(sorted).map(np.array)
)
def test_a_stretch_keeps_the_mean_and_the_order(slope, log_odds):
    stretched = Calibration.of_same_mean(slope, log_odds).probability(log_odds)
    assert stretched.mean() == pytest.approx(expit(log_odds).mean(), rel=1e-6, abs=1e-9)
    assert (np.diff(stretched) >= 0).all()


def test_a_steeper_stretch_makes_the_unlikely_less_likely():
    log_odds = np.linspace(-4, 3, 50)
    stretched = Calibration.of_same_mean(1.5, log_odds).probability(log_odds)
    assert stretched[0] < expit(log_odds[0])
    assert stretched[-1] > expit(log_odds[-1])


@dataclass(frozen=True)
class Remembered:
    """A model that forecasts what stands in a column."""

    def predict(self, table):
        return forecasts(table["p"].to_numpy())


def test_a_stretch_expects_as_many_of_the_newest_cutoff_as_before():
    p = np.r_[np.linspace(0.4, 0.9, 30), np.linspace(0.02, 0.6, 30)]
    as_of = pa.array(
        [datetime(2024, 3, 1, tzinfo=UTC)] * 30 + [datetime(2024, 4, 1, tzinfo=UTC)] * 30, pa.timestamp("us", tz="UTC")
    )
    rows, mean = pa.table({"p": p, "as_of": as_of}), FittedAverage({"one": Remembered()})
    before, after = (float_column(one.predict(rows), FORECAST) for one in (mean, recalibrate(mean, 1.4, rows)))
    assert after[30:].mean() == pytest.approx(before[30:].mean(), rel=1e-9)
    assert after[30] < before[30]
    assert after[59] > before[59]
    assert recalibrate(mean, 1.0, rows) is mean
