"""Shrinking takes the luck out of the largest estimates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.allocation import allocate, shrink_effects
from patron.schema.errors import BadAllocation


def estimates(seed, customers=20_000, offers=3, spread=2.0):
    """True effects, their estimates, standard errors."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(rng.normal(0, 1, offers), spread, (customers, offers))
    error = rng.uniform(1.0, 6.0, (customers, offers))
    return truth, rng.normal(truth, error), error


def test_mean_and_spread_of_true_effects_are_recovered_and_intervals_cover():
    truth, effect, error = estimates(0)
    shrunk = shrink_effects(effect, error)
    assert shrunk.mean == pytest.approx(truth.mean(axis=0), abs=0.1)
    assert shrunk.spread == pytest.approx([2.0] * 3, abs=0.15)
    covered = np.abs(truth - shrunk.effect) <= 1.96 * shrunk.standard_error
    assert covered.mean() == pytest.approx(0.95, abs=0.01)


def test_what_the_best_offers_promise_is_what_they_bring_only_when_shrunk():
    truth, effect, error = estimates(1)
    cost = np.ones(truth.shape)
    rows = np.arange(len(truth))

    def promise_and_truth(values):
        result = allocate(values, cost, budget=2_000)
        at = rows[result.choice >= 0]
        return result.value, truth[at, result.choice[at]].sum()

    promised, brought = promise_and_truth(effect)
    shrunk_promise, shrunk_brought = promise_and_truth(shrink_effects(effect, error).effect)
    assert promised > 2 * brought
    assert shrunk_promise == pytest.approx(shrunk_brought, rel=0.05)
    assert shrunk_brought > 1.1 * brought


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000), shift=st.floats(-50, 50), scale=st.floats(0.1, 100))
def test_shrinking_follows_units_and_keeps_order_among_equal_errors(seed, shift, scale):
    _, effect, _ = estimates(seed, customers=50)
    error = np.full(effect.shape, 2.0)
    one, other = shrink_effects(effect, error), shrink_effects(shift + scale * effect, scale * error)
    assert other.effect == pytest.approx(shift + scale * one.effect, rel=1e-6, abs=1e-6 * scale)
    assert (np.diff(np.sort(effect[:, 0])) >= 0).all()
    order = np.argsort(effect[:, 0])
    assert (np.diff(one.effect[order, 0]) >= -1e-12).all()
    assert (np.abs(one.effect - one.mean) <= np.abs(effect - one.mean) + 1e-9).all()


def test_noise_alone_shrinks_to_the_mean_and_one_estimate_to_itself():
    rng = np.random.default_rng(0)
    effect = rng.normal(0, 0.5, 1_000)
    shrunk = shrink_effects(effect, np.ones(1_000))
    assert shrunk.spread.tolist() == [0.0]
    assert shrunk.effect == pytest.approx(np.full(1_000, effect.mean()))
    assert shrink_effects([3.0], [1.0]).effect.tolist() == [3.0]
    assert shrink_effects(np.zeros((0, 2)), np.zeros((0, 2))).effect.shape == (0, 2)


@pytest.mark.parametrize(("effect", "error"), [([1.0], [0.0]), ([np.nan], [1.0]), ([1.0], [1.0, 2.0]), (1.0, 1.0)])
def test_estimates_that_cannot_be_shrunk_are_refused(effect, error):
    with pytest.raises(BadAllocation):
        shrink_effects(effect, error)
