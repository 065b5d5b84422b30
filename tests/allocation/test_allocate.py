"""Allocations of small random shops against HiGHS, and what holds for every one of them."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from patron.allocation import allocate
from patron.schema.errors import BadAllocation, ConflictingConstraints

KINDS = ("budget", "stock", "contacts", "floors", "eligible")
"""What can constrain an allocation; each alone and all together pass the same tests."""
CASES = [{kind} for kind in KINDS] + [{"budget", "stock"}, {"budget", "floors"}, set(KINDS)]


def shop(seed, kinds, customers=30, *, has_ties=False):
    """Net value and cost, and constraints of these kinds that can all hold."""
    rng = np.random.default_rng(seed)
    offers = int(rng.integers(1, 5))
    net, cost = rng.normal(20, 100, (customers, offers)), rng.uniform(1, 100, (customers, offers))
    if has_ties:
        net, cost = np.round(net / 100) * 50, np.round(cost / 50) * 20
    limits = {
        "budget": rng.uniform(0.2, 0.6) * cost.max(axis=1).sum(),
        "stock": rng.integers(5, 15, offers).tolist(),
        "contacts": int(rng.integers(8, 20)),
        "floors": [(rng.random(customers) < 0.5, 3), (rng.random(customers) < 0.4, 2)],
        "eligible": rng.random((customers, offers)) < 0.9,
    }
    return net, cost, {kind: limits[kind] for kind in kinds}


def constraint_rows(net, cost, *, budget=None, stock=None, contacts=None, floors=(), eligible=None):
    """Rows and limits of A x <= b over customers x offers, without those of one offer a customer; and upper bounds."""
    offers = net.shape[1]
    rows, limits = [], []
    if budget is not None:
        rows.append(cost.ravel())
        limits.append(budget)
    for offer, most in enumerate(stock or []):
        rows.append((np.arange(net.size) % offers == offer).astype(float))
        limits.append(most)
    if contacts is not None:
        rows.append(np.ones(net.size))
        limits.append(contacts)
    for mask, least in floors:
        rows.append(-np.repeat(mask.astype(float), offers))
        limits.append(-least)
    upper = np.ones(net.size) if eligible is None else eligible.ravel().astype(float)
    return np.array(rows).reshape(len(rows), net.size), np.array(limits), upper


def relaxation(net, cost, limits):
    """Optimum of the linear relaxation by HiGHS."""
    rows, most, upper = constraint_rows(net, cost, **limits)
    one_each = sp.kron(sp.eye(len(net)), np.ones((1, net.shape[1])))
    bounds = np.column_stack([np.zeros(net.size), upper])
    return linprog(-net.ravel(), sp.vstack([one_each, rows]), np.r_[np.ones(len(net)), most], bounds=bounds)


def integer_optimum(net, cost, limits):
    """The best of all allocations by HiGHS."""
    rows, most, upper = constraint_rows(net, cost, **limits)
    one_each = np.kron(np.eye(len(net)), np.ones(net.shape[1]))
    holds = LinearConstraint(np.vstack([one_each, rows]), ub=np.r_[np.ones(len(net)), most])
    return -milp(-net.ravel(), integrality=np.ones(net.size), bounds=Bounds(0, upper), constraints=holds).fun


def taken(values, choice):
    at = np.flatnonzero(choice >= 0)
    return values[at, choice[at]]


def one_hot(choice, offers):
    return (choice[:, None] == np.arange(offers)).astype(float).ravel()


@pytest.mark.parametrize("kinds", CASES, ids=lambda kinds: "-".join(sorted(kinds)))
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), has_ties=st.booleans())
def test_every_constraint_holds_and_the_value_is_next_to_the_linear_programme(kinds, seed, has_ties):
    net, cost, limits = shop(seed, kinds, has_ties=has_ties)
    best = relaxation(net, cost, limits)
    if best.status == 2:
        with pytest.raises(ConflictingConstraints):
            allocate(net, cost, **limits)
        return
    result = allocate(net, cost, **limits)
    rows, most, upper = constraint_rows(net, cost, **limits)
    used = one_hot(result.choice, net.shape[1])
    assert (rows @ used <= most + 1e-9 * np.abs(most)).all()
    assert (used <= upper).all()
    assert result.value == pytest.approx(taken(net, result.choice).sum())
    assert result.spent == pytest.approx(taken(cost, result.choice).sum())
    assert result.bound == pytest.approx(-best.fun, rel=1e-6, abs=1e-6)
    assert result.value <= result.bound + 1e-9
    assert result.bound - result.value <= 2 * max(net.max(), 1.0)
    slack = best.slack[len(net) :] > 1e-6
    prices = np.concatenate([np.ravel(price) for price in result.prices.values()])
    limited = [np.ravel(result.prices[kind]) for kind in ("budget", "stock", "contacts", "floors") if kind in limits]
    assert (prices >= 0).all()
    assert (np.concatenate([*limited, []])[slack] <= 1e-4 * net.max()).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), change=st.floats(-0.3, 0.3))
def test_no_other_limit_is_worth_more_than_the_prices_say(seed, change):
    net, cost, limits = shop(seed, {"budget", "stock", "contacts"}, 60)
    result = allocate(net, cost, **limits)
    worth = {"budget": result.prices["budget"], "contacts": result.prices["contacts"]}
    for kind, price in worth.items():
        moved = {**limits, kind: limits[kind] * (1 + change)}
        best = -relaxation(net, cost, moved).fun
        assert best <= result.bound + price * change * limits[kind] + 1e-5 * result.bound
    more = [most + 3 for most in limits["stock"]]
    best = -relaxation(net, cost, {**limits, "stock": more}).fun
    assert best <= result.bound + 3 * result.prices["stock"].sum() + 1e-5 * result.bound


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), has_ties=st.booleans())
def test_no_allocation_of_few_customers_is_better_by_more_than_two_offers(seed, has_ties):
    net, cost, limits = shop(seed, {"budget", "stock", "contacts"}, 12, has_ties=has_ties)
    value, best = allocate(net, cost, **limits).value, integer_optimum(net, cost, limits)
    assert best - 2 * max(net.max(), 1.0) <= value <= best + 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 1.2))
def test_of_a_budget_alone_the_gap_is_at_most_one_step_and_the_curve_is_every_other_budget(seed, share):
    net, cost, limits = shop(seed, {"budget"})
    whole = allocate(net, cost, **limits)
    budget = share * whole.curve.budget[-1]
    again = allocate(net, cost, budget)
    assert again.spent <= budget * (1 + 1e-12)
    assert (taken(net, again.choice) > 0).all()
    best = -relaxation(net, cost, {"budget": budget}).fun
    assert again.bound == pytest.approx(best, abs=1e-6)
    assert best - again.value <= max(net.max(), 0.0) + 1e-6
    assert whole.curve.value_at(budget) == pytest.approx(best, abs=1e-6)
    step = 1e-6 * (1 + budget)
    slope = (whole.curve.value_at(budget + step) - whole.curve.value_at(budget)) / step
    assert again.prices["budget"] == pytest.approx(slope, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_under_several_constraints_is_concave_and_what_other_budgets_are_worth(seed):
    net, cost, limits = shop(seed, {"budget", "stock", "contacts"}, 200)
    limits["stock"] = [40] * net.shape[1]
    limits["contacts"] = 90
    curve = allocate(net, cost, **limits).curve
    slopes = np.diff(curve["value"]) / np.diff(curve["budget"])
    assert (slopes >= -1e-6).all()
    assert (np.diff(slopes) <= 1e-3 * slopes[:-1] + 1e-6).all()
    for share in (0.1, 0.3, 0.8):
        budget = share * curve.budget[-1]
        best = -relaxation(net, cost, {**limits, "budget": budget}).fun
        assert curve.value_at(budget) == pytest.approx(best, rel=0.01)
    assert pa.table(curve).column_names == ["budget", "value"]


def test_a_curve_with_floors_starts_where_they_can_be_held():
    net, cost = np.array([[-1.0], [2.0], [4.0]]), np.array([[3.0], [2.0], [1.0]])
    curve = allocate(net, cost, budget=5.0, floors=[(np.array([True, False, False]), 1)]).curve
    assert 3 <= curve.budget[0] < 4
    assert np.isnan(curve.value_at(2.0))
    assert np.isnan(curve.price_at(2.0))
    assert f"{curve.value_at(6.0):.3f} {curve.price_at(6.0):.0f}" == "5.000 0"


@pytest.mark.parametrize("kinds", [{"budget"}, {"budget", "stock", "floors"}])
def test_the_order_of_customers_changes_neither_value_nor_prices(kinds):
    net, cost, limits = shop(3, kinds, 80)
    order = np.random.default_rng(0).permutation(80)
    mixed = (
        {**limits, "floors": [(mask[order], least) for mask, least in limits["floors"]]}
        if "floors" in kinds
        else limits
    )
    one, other = allocate(net, cost, **limits), allocate(net[order], cost[order], **mixed)
    assert other.bound == pytest.approx(one.bound, rel=1e-6)
    assert other.value == pytest.approx(one.value, rel=0.01)
    assert other.prices["budget"] == pytest.approx(one.prices["budget"], rel=1e-3)
    if kinds == {"budget"}:
        assert other.choice.tolist() == one.choice[order].tolist()


def test_many_customers_under_eight_constraints_come_within_a_thousandth_of_the_bound():
    rng = np.random.default_rng(2)
    net, cost = rng.normal(0, 300, (100_000, 5)), rng.uniform(5, 500, (100_000, 5))
    masks = rng.random(100_000) < 0.2, rng.random(100_000) < 0.1
    stock = [6_000, 5_000, None, 8_000, 5_000]
    limits = {"budget": 2e6, "stock": stock, "contacts": 25_000, "floors": [(masks[0], 9_000), (masks[1], 5_000)]}
    result = allocate(net, cost, **limits)
    counts = np.bincount(result.choice + 1, minlength=6)[1:]
    assert result.gap < 1e-5
    assert result.spent <= 2e6
    assert counts.sum() <= 25_000
    assert all(count <= most for count, most in zip(counts, stock, strict=True) if most is not None)
    assert [(result.choice[mask] >= 0).sum() >= least for mask, least in limits["floors"]] == [True, True]
    prices = np.concatenate([np.ravel(price) for price in result.prices.values()])
    dual = np.maximum(
        (net - prices[0] * cost - prices[1:6] - prices[6] + (np.array(masks).T @ prices[7:])[:, None]).max(axis=1), 0
    )
    limit = np.array([2e6, *[most or 0 for most in stock], 25_000, -9_000, -5_000])
    assert dual.sum() + prices @ limit == pytest.approx(result.bound, rel=1e-9)


def test_equal_customers_share_two_offers_as_the_linear_programme_does():
    net, cost = np.tile([100.0, 40.0], (1_000, 1)), np.tile([50.0, 10.0], (1_000, 1))
    result = allocate(net, cost, budget=20_000, contacts=800)
    assert np.bincount(result.choice + 1).tolist() == [200, 300, 500]
    assert result.value == 300 * 100 + 500 * 40
    assert result.gap < 1e-6


def test_the_same_offer_twice_is_worth_no_more_than_once():
    net, cost, limits = shop(5, {"budget"}, 100)
    twice = allocate(np.hstack([net, net]), np.hstack([cost, cost]), **limits)
    once = allocate(net, cost, **limits)
    assert twice.value == once.value
    assert twice.choice.tolist() == once.choice.tolist()


def test_ties_go_to_the_earlier_row_and_too_dear_steps_are_skipped():
    assert allocate(np.full((4, 1), 5.0), np.full((4, 1), 10.0), 25).choice.tolist() == [0, 0, -1, -1]
    dear = allocate(np.array([[900.0], [20.0], [10.0]]), np.array([[600.0], [50.0], [50.0]]), 70)
    assert dear.choice.tolist() == [-1, 0, -1]


def test_cents_that_add_up_to_the_budget_are_spent_although_floats_add_up_to_more():
    result = allocate(np.full((3, 1), 1.0), np.full((3, 1), 0.1), 0.3)
    assert result.choice.tolist() == [0, 0, 0]


def test_a_free_offer_with_net_value_is_always_made_and_one_without_never():
    for limits in ({"budget": 0.0}, {"budget": 0.0, "contacts": 2}):
        result = allocate(np.array([[5.0], [0.0], [-1.0]]), np.zeros((3, 1)), **limits)
        assert result.choice.tolist() == [0, -1, -1]
        assert (result.value, result.gap) == (5.0, 0.0)


def test_a_floor_is_held_even_by_offers_that_lose_and_its_price_is_the_loss():
    net, cost = np.array([[-3.0], [-5.0], [9.0]]), np.ones((3, 1))
    result = allocate(net, cost, floors=[(np.array([True, True, False]), 1)])
    assert result.choice.tolist() == [0, -1, 0]
    assert 3 - 1e-6 <= result.prices["floors"][0] <= 5 + 1e-6


@pytest.mark.parametrize("budget", [None, np.inf, 1e12])
def test_without_a_limit_everybody_gets_the_best_offer(budget):
    net, cost, _ = shop(1, set())
    result = allocate(net, cost, budget, contacts=len(net))
    assert result.choice.tolist() == np.where(net.max(axis=1) > 0, net.argmax(axis=1), -1).tolist()
    assert result.prices["budget"] == result.prices["contacts"] == 0
    assert result.gap == 0


@pytest.mark.parametrize("shape", [(0, 3), (0, 0), (4, 0)])
def test_without_customers_or_offers_there_is_nothing_to_allocate(shape):
    result = allocate(np.zeros(shape), np.zeros(shape), 10.0, contacts=3, stock=[1] * shape[1])
    assert result.choice.tolist() == [-1] * shape[0]
    assert (result.value, result.bound, result.spent, result.gap) == (0, 0, 0, 0)
    assert result.curve.budget.tolist() == [0]


def test_nothing_is_worth_making_under_limits_either():
    result = allocate(np.full((5, 2), -1.0), np.ones((5, 2)), 3.0, stock=[1, 1], contacts=2)
    assert result.choice.tolist() == [-1] * 5
    assert result.curve.value.tolist() == [0]


def test_who_is_not_eligible_gets_nothing_and_may_have_no_numbers():
    net, cost = np.array([[np.nan, 5.0], [7.0, 1.0]]), np.array([[-1.0, 2.0], [1.0, 1.0]])
    eligible = np.array([[False, True], [True, True]])
    assert allocate(net, cost, eligible=eligible).choice.tolist() == [1, 0]
    assert allocate(np.abs(net), cost, eligible=np.array([False, True])).choice.tolist() == [-1, 0]


def test_a_frame_keeps_its_ids_and_the_names_of_its_offers():
    net = pa.table({"coupon": [5.0, 1.0, -1.0], "points": [2.0, 4.0, -1.0]})
    cost = pa.table({"points": [1.0, 1.0, 1.0], "coupon": [3.0, 3.0, 3.0]})
    table = allocate(net, cost, budget=4.0, ids=["a", "b", "c"]).to_table()
    assert table.to_pylist() == [
        {"id": "a", "offer": "coupon", "net": 5.0, "cost": 3.0},
        {"id": "b", "offer": "points", "net": 4.0, "cost": 1.0},
        {"id": "c", "offer": None, "net": 0.0, "cost": 0.0},
    ]


def test_on_the_lower_bound_an_uncertain_offer_loses_to_a_surer_one():
    net, error = np.array([[10.0, 8.0]]), np.array([[9.0, 1.0]])
    assert allocate(net, np.ones((1, 2))).choice.tolist() == [0]
    result = allocate(net, np.ones((1, 2)), standard_error=error, z=1.0)
    assert (result.choice.tolist(), result.value) == ([1], 7.0)
    assert allocate(net, np.ones((1, 2)), standard_error=error, z=9.0).choice.tolist() == [-1]


NET, COST = np.full((10, 2), 5.0), np.full((10, 2), 2.0)
EVERYBODY = np.ones(10, dtype=bool)


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({"contacts": 3, "floors": [(EVERYBODY, 4)]}, ("floors[0]", "contacts")),
        ({"budget": 7.0, "floors": [(EVERYBODY, 4)]}, ("floors[0]", "budget")),
        ({"stock": [2, 1], "floors": [(EVERYBODY, 4)]}, ("floors[0]", "stock")),
        ({"eligible": ~EVERYBODY, "floors": [(EVERYBODY, 1)]}, ("floors[0]", "eligible")),
        (
            {"contacts": 7, "floors": [(np.arange(10) < 5, 4), (np.arange(10) >= 5, 4)]},
            ("floors[0]", "floors[1]", "contacts"),
        ),
        (
            {"budget": 15.0, "floors": [(np.arange(10) < 5, 4), (np.arange(10) >= 5, 4)]},
            ("floors[0]", "floors[1]", "budget"),
        ),
    ],
)
def test_constraints_that_cannot_all_hold_are_named(limits, names):
    with pytest.raises(ConflictingConstraints) as refusal:
        allocate(NET, COST, **limits)
    assert all(name in refusal.value.where for name in names)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"cost": -COST}, "cost"),
        ({"net": np.where(NET > 0, np.nan, 0)}, "net"),
        ({"cost": np.full((10, 2), np.inf)}, "cost"),
        ({"cost": COST[:, :1]}, "cost"),
        ({"net": NET.ravel()}, "net"),
        ({"net": [["a"]]}, "net"),
        ({"budget": -1.0}, "budget"),
        ({"budget": float("nan")}, "budget"),
        ({"budget": "much"}, "budget"),
        ({"contacts": -1}, "contacts"),
        ({"stock": [1]}, "stock"),
        ({"stock": [1, -1]}, "stock[1]"),
        ({"floors": [(EVERYBODY[:3], 1)]}, "floors[0]"),
        ({"floors": [EVERYBODY]}, "floors[0]"),
        ({"floors": [(EVERYBODY, np.inf)]}, "floors[0]"),
        ({"eligible": np.ones((10, 2))}, "eligible"),
        ({"ids": [1]}, "ids"),
        ({"standard_error": -COST}, "standard_error"),
        ({"standard_error": COST, "z": -1.0}, "z"),
        ({"net": {"a": [1.0]}, "cost": {"b": [1.0]}}, "cost"),
    ],
)
def test_what_cannot_be_allocated_is_refused_by_name(arguments, where):
    with pytest.raises(BadAllocation) as refusal:
        allocate(**{"net": NET, "cost": COST, **arguments})
    assert refusal.value.where == where
    assert not isinstance(refusal.value, ConflictingConstraints)
