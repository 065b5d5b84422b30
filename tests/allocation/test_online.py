"""One customer at a time, by stored prices: as the allocation decides, and never above the budget of the period."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.allocation import Multipliers, Pacing, allocate
from patron.schema.errors import BadAllocation


def shop(seed, customers=2_000):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 100, (customers, 3)), rng.uniform(1, 100, (customers, 3))


@pytest.mark.parametrize("limits", [{}, {"stock": [100, 50, 200], "contacts": 400}], ids=["budget", "several"])
def test_prices_decide_one_customer_as_the_allocation_does_but_for_customers_at_the_margin(limits):
    net, cost = shop(0)
    result = allocate(net, cost, budget=5_000, **limits)
    again = [result.decide(*row) for row in zip(net, cost, strict=True)]
    assert np.sum(again != result.choice) <= 5


def test_a_customer_in_a_floor_gets_its_price_and_one_who_is_not_eligible_nothing():
    net, cost = shop(1)
    mask = np.arange(len(net)) % 4 == 0
    result = allocate(net, cost, contacts=500, floors=[(mask, 300)])
    again = [result.decide(n, c, floors=[one]) for n, c, one in zip(net, cost, mask, strict=True)]
    assert np.sum(again != result.choice) <= 5
    assert result.prices["floors"][0] > 0
    assert result.decide([500.0, 1.0, 1.0], [1.0, 1.0, 1.0], eligible=[False, True, True], floors=[False]) == -1


def test_what_was_saved_decides_the_same(tmp_path):
    net, cost = shop(2)
    result = allocate(net, cost, budget=3_000, stock=[100, None, 50])
    result.save(tmp_path / "prices.json")
    assert Multipliers.load(tmp_path / "prices.json") == result.multipliers
    _, pacing = result.pace(3_000).decide(net[0], cost[0], 0.1)
    pacing.save(tmp_path / "pacing.json")
    assert Pacing.load(tmp_path / "pacing.json") == pacing


@pytest.mark.parametrize(
    ("net", "cost"), [([1.0], [1.0]), ([np.nan, 1.0, 1.0], [1.0] * 3), ([1.0] * 3, [-1.0, 1.0, 1.0])]
)
def test_a_row_that_cannot_be_decided_is_refused(net, cost):
    result = allocate(*shop(2), budget=3_000)
    with pytest.raises(BadAllocation):
        result.decide(net, cost)


def paced(seed, traffic, budget, elapsed_power=1.0, plan=(0.0, 1.0), customers=2_000):
    """Share of the best net value in hindsight, spend, and spend halfway, of a period with new customers."""
    result = allocate(*shop(seed, customers), budget=budget)
    net, cost = shop(seed + 1, int(customers * traffic))
    elapsed = np.sort(np.random.default_rng(seed).random(len(net))) ** elapsed_power
    pacing, value, halfway = result.pace(budget, plan), 0.0, 0.0
    for n, c, at in zip(net, cost, elapsed, strict=True):
        offer, pacing = pacing.decide(n, c, at)
        value += n[offer] if offer >= 0 else 0.0
        halfway = pacing.spent if at <= 0.5 else halfway
    return value / max(allocate(net, cost, budget=budget).value, 1e-9), pacing.spent, halfway


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    traffic=st.floats(0.05, 1.5),
    budget=st.floats(0.0, 6_000.0),
    elapsed_power=st.sampled_from([0.3, 1.0, 3.0]),
)
def test_pacing_never_overspends_whatever_comes(seed, traffic, budget, elapsed_power):
    _, spent, _ = paced(seed, traffic, budget, elapsed_power, customers=200)
    assert spent <= budget


@pytest.mark.parametrize("traffic", [0.5, 1.0, 2.0])
def test_pacing_spends_with_the_plan_and_earns_what_hindsight_would(traffic):
    share, spent, halfway = paced(0, traffic, 10_000.0)
    assert share > 0.97
    assert 0.97 <= spent / 10_000 <= 1
    assert 0.4 < halfway / 10_000 < 0.65


def test_a_plan_with_early_customers_spends_early():
    times = np.linspace(0, 1, 21)
    plan = tuple(times ** (1 / 3))
    early, _, _ = paced(0, 1.0, 10_000.0, elapsed_power=3.0, plan=plan)
    even, _, _ = paced(0, 1.0, 10_000.0, elapsed_power=3.0)
    assert early > even + 0.02


def test_a_time_that_is_none_is_refused():
    pacing = allocate(*shop(0), budget=10.0).pace(10.0)
    with pytest.raises(BadAllocation):
        pacing.decide([1.0] * 3, [1.0] * 3, float("nan"))


@pytest.mark.parametrize("plan", [(0.0,), (0.0, 0.9), (0.5, 1.0), (0.0, 0.7, 0.6, 1.0)])
def test_a_plan_that_does_not_rise_from_0_to_1_is_refused(plan):
    with pytest.raises(BadAllocation):
        allocate(*shop(0), budget=10.0).pace(10.0, plan)
