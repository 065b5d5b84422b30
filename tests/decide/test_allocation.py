import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from patron.decide.allocation import allocate


def best_by_linear_programme(net, cost, budget):
    rows, offers = net.shape
    one_each = np.kron(np.eye(rows), np.ones(offers))
    found = linprog(
        -net.ravel(), A_ub=np.vstack([one_each, cost.ravel()]), b_ub=np.r_[np.ones(rows), budget], bounds=(0, 1)
    )
    return -found.fun


def taken(values, chosen):
    at = np.flatnonzero(chosen >= 0)
    return values[at, chosen[at]]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 1.2))
def test_the_gap_to_the_linear_programme_is_at_most_one_step(seed, share):
    rng = np.random.default_rng(seed)
    net, cost = rng.normal(50, 100, (40, 4)), rng.uniform(0, 100, (40, 4))
    budget = share * cost.max(axis=1).sum()
    chosen = allocate(net, cost, budget)
    assert taken(cost, chosen).sum() <= budget + 1e-9
    assert (taken(net, chosen) > 0).all()
    gap = best_by_linear_programme(net, cost, budget) - taken(net, chosen).sum()
    assert gap <= net.max() + 1e-6


def test_what_is_too_dear_for_the_budget_is_skipped_for_what_fits():
    chosen = allocate(np.array([[900.0], [20.0], [10.0]]), np.array([[600.0], [50.0], [50.0]]), 70)
    assert chosen.tolist() == [-1, 0, -1]


def test_a_free_offer_with_net_value_is_always_made_and_one_without_never():
    chosen = allocate(np.array([[5.0], [0.0], [-1.0]]), np.zeros((3, 1)), 0)
    assert chosen.tolist() == [0, -1, -1]


def test_a_large_shop_comes_within_a_thousandth_of_the_hull():
    rng = np.random.default_rng(2)
    net, cost = rng.normal(20, 100, (20_000, 5)), rng.uniform(10, 100, (20_000, 5))
    whole = taken(cost, allocate(net, cost, np.inf)).sum()
    half = allocate(net, cost, whole / 2)
    assert taken(cost, half).sum() > 0.999 * whole / 2
    assert taken(net, half).sum() > 0.5 * taken(net, allocate(net, cost, np.inf)).sum()
