import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.estimators.hulls import HullSteps


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), choices=st.integers(1, 4))
def test_the_steps_reach_every_best_choice_at_every_price(seed, choices):
    """One customer: at each price of money the steps above it end at the choice that a search of all picks."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 5, (1, choices)).astype(float)
    effect = rng.normal(size=(1, choices))
    steps = HullSteps.of(effect, cost)
    ratio = np.divide(steps.gain, steps.cost, out=np.full(len(steps.gain), np.inf), where=steps.cost > 0)
    assert (np.diff(ratio) <= 0).all()
    for price in np.r_[0.0, rng.exponential(size=5)]:
        taken = ratio > price
        reached = steps.gain[taken].sum() - price * steps.cost[taken].sum()
        assert reached == pytest.approx(max(0.0, (effect - price * cost).max()))


def test_another_value_rises_from_step_to_step_and_begins_anew_in_each_row():
    steps = HullSteps.of(
        np.array([[2.0, 3.0], [-1.0, -np.inf], [0.0, 5.0]]), np.array([[1.0, 2.0], [1.0, 1.0], [1.0, 1.0]])
    )
    assert steps.row.tolist() == [0, 0, 2]
    assert steps.rises(np.array([[10.0, 14.0], [7.0, 7.0], [7.0, 6.0]])).tolist() == [10.0, 4.0, 6.0]
    assert steps.order_by_return().tolist() == [2, 0, 1]
