"""Random numbers that belong to their keys: the same whatever else is drawn, and as random as they should be."""

import numpy as np
import pytest
from scipy import stats

from patron.simulate.random_streams import Draws, choose, gamma_quantile

KEYS = np.arange(20_000)
ALIKE = 0.001
"""Probability with which a test of a true distribution may fail."""


def test_a_number_depends_on_seed_stream_and_keys_alone():
    draws = Draws(3)
    whole = draws.uniform("a", KEYS, KEYS + 1)
    assert np.array_equal(Draws(3).uniform("a", KEYS, KEYS + 1), whole)
    assert np.array_equal(draws.uniform("a", KEYS[::-1], KEYS[::-1] + 1), whole[::-1])
    assert np.array_equal(draws.uniform("a", KEYS[7:8], KEYS[7:8] + 1), whole[7:8])
    for other in (Draws(4).uniform("a", KEYS, KEYS + 1), draws.uniform("b", KEYS, KEYS + 1), draws.uniform("a", KEYS)):
        assert abs(np.corrcoef(whole, other)[0, 1]) < 3 / np.sqrt(len(KEYS))


def test_keys_broadcast_as_arrays_do():
    draws, days, people = Draws(3), np.arange(5)[:, None], np.arange(9)[None, :]
    grid = draws.uniform("order", people, days)
    assert grid.shape == (5, 9)
    assert grid[3, 4] == draws.uniform("order", np.array([4]), np.array([3]))[0]
    assert len(np.unique(grid)) == 45


def test_the_order_of_keys_matters():
    draws = Draws(3)
    assert not np.isclose(draws.uniform("x", KEYS, KEYS + 1), draws.uniform("x", KEYS + 1, KEYS)).any()


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("uniform", stats.uniform()),
        ("normal", stats.norm()),
        ("exponential", stats.expon()),
        ("gumbel", stats.gumbel_r()),
    ],
)
def test_draws_have_the_distribution_they_are_named_after(how, law):
    drawn = getattr(Draws(5), how)("stream", KEYS)
    assert np.isfinite(drawn).all()
    assert stats.kstest(drawn, law.cdf).pvalue > ALIKE


def test_consecutive_keys_are_independent():
    drawn = Draws(6).uniform("day", KEYS)
    lagged = [np.corrcoef(drawn[lag:], drawn[:-lag])[0, 1] for lag in (1, 2, 7, 365)]
    assert max(map(abs, lagged)) < 4 / np.sqrt(len(KEYS))


def test_coins_come_up_as_often_as_their_share(come_true):
    share = np.linspace(0, 1, len(KEYS))
    assert come_true(Draws(7).below("coin", share, KEYS), share)
    assert not Draws(7).below("coin", 0.0, KEYS).any()
    assert Draws(7).below("coin", 1.0, KEYS).all()


def test_choices_follow_their_weights_and_stay_within_them(come_true):
    weights = (2.0, 0.0, 5.0, 1.0)
    chosen = choose(weights, Draws(8).uniform("choice", KEYS))
    assert set(chosen.tolist()) == {0, 2, 3}
    for at in (0, 2, 3):
        assert come_true(chosen == at, weights[at] / sum(weights))
    assert choose(weights, np.array([0.0, 1.0 - 2**-54])).tolist() == [0, 3]


@pytest.mark.parametrize(("shape", "mean"), [(1.1, 0.022), (1.6, 1 / 420)])
def test_gamma_quantiles_have_their_mean_and_shape(shape, mean):
    drawn = gamma_quantile(Draws(9).uniform("rate", KEYS), shape, mean)
    assert stats.kstest(drawn, stats.gamma(shape, scale=mean / shape).cdf).pvalue > ALIKE
