import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from patron.estimators.calibration import Calibration
from patron.predict.backtest import Backtest
from patron.predict.learners import LEARNERS
from patron.predict.origins import Forecasts
from patron.predict.recalibration import least_slope
from patron.schema.models.questions import CHURN

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
    assert least_slope(backtested(1.5, 1.2, 1.3)) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("slopes", [(), (1.4,), (1.4, 0.8)], ids=["no cutoff", "one cutoff", "one was too sure"])
def test_where_past_cutoffs_do_not_agree_nothing_is_stretched(slopes):
    assert least_slope(backtested(*slopes)) == 1.0


def test_a_single_model_is_calibrated_where_it_is_fitted():
    assert least_slope(backtested(1.5, 1.5, champion="logistic")) == 1.0


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
