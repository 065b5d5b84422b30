"""Exploring: what is logged is the probability of what happened, and what it costs stays within its budget."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare

from list_index import AT_DAY, index_tables
from patron.recommenders.live.exploration import DRAWS, RegretBudget, draw_product
from patron.recommenders.live.index_tables import build_index, learned_model
from patron.recommenders.live.list_maker import EXPLORED_PLACE, ListMaker, ListRequest
from patron.recommenders.live.scenarios import Scenario

REQUEST = ListRequest(Scenario.of("home", (), {"one_per_style": False}), AT_DAY, count=5)


def maker_of(share: float) -> ListMaker:
    """Twelve products, the first of which sell more; what was shown of them differs."""
    products = [{"product_id": f"p{n:02}", "style_id": f"s{n % 8}", "category": f"k{n % 3}"} for n in range(12)]
    purchases = [
        {"customer_id": f"c{one}", "product_id": f"p{n:02}", "days": 1.0, "is_return": False}
        for n in range(12)
        for one in range(12 - n)
    ]
    clicks = np.arange(12.0) % 5
    numbers = {"clicks": clicks, "expected_clicks": clicks[::-1], "orders": clicks / 2, "expected_orders": clicks / 3}
    responses = pa.table({"product_id": [f"p{n:02}" for n in range(12)], **numbers})
    tables = index_tables(products, purchases, responses=responses)
    index = build_index(tables, at_day=AT_DAY, margin_share=0.3)
    return ListMaker(index, *learned_model(tables, index.facts.products), RegretBudget(share))


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_products_are_drawn_as_often_as_their_propensities_say(seed):
    rng = np.random.default_rng(seed)
    rates = np.array([0.05, 0.048, 0.03, 0.06, 0.001])
    draws = rng.standard_gamma(3.0, size=(DRAWS, len(rates))) / 3.0
    times = 20_000
    drawn = [draw_product(rates, draws, rng) for _ in range(times)]
    propensities = drawn[0].propensities
    assert propensities.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(propensities, np.round(propensities, 2))
    counts = np.bincount([one.place for one in drawn], minlength=len(rates))
    assert not counts[propensities == 0].any()
    is_possible = propensities > 0
    assert is_possible.sum() >= 3
    assert chisquare(counts[is_possible], times * propensities[is_possible]).pvalue > 1e-4
    assert drawn[0].cost == pytest.approx(max(rates[0] - propensities @ rates, 0))


def test_lists_weighted_by_what_was_logged_are_those_without_exploring():
    greedy = [product.product for product in maker_of(0.0).make(REQUEST, np.random.default_rng(0)).products]
    at, maker, rng = EXPLORED_PLACE - 1, maker_of(1.0), np.random.default_rng(5)
    weights = np.zeros((1_500, 12))
    for row in weights:
        products = maker.make(REQUEST, rng).products
        others = [one.product for place, one in enumerate(products) if place != at]
        assert others == greedy[:at] + greedy[at + 1 :]
        assert [one.propensity for place, one in enumerate(products) if place != at] == [1.0] * 4
        propensity = products[at].propensity
        assert propensity == round(propensity, 2) > 0
        row[products[at].product] = 1 / propensity
    often = np.flatnonzero((weights > 0).sum(axis=0) > 100)
    assert greedy[at] in often
    assert len(often) >= 3
    errors = weights.std(axis=0) / np.sqrt(len(weights))
    assert (np.abs(weights.mean(axis=0) - 1) < 4 * errors)[often].all()
    assert errors[often].max() < 0.15


@pytest.mark.parametrize("share", [0.001, 0.02, 0.1])
def test_exploring_never_costs_more_than_its_share_and_one_list(share):
    maker, rng = maker_of(share), np.random.default_rng(7)
    budget, largest = maker.budget, 0.0
    for number in range(300):
        before = budget.expected
        maker.make(replace(REQUEST, count=1 + number % 5), rng)
        largest = max(largest, budget.expected - before)
        assert budget.spent <= share * budget.expected + largest
    assert budget.spent > 0


def test_what_is_explored_keeps_to_styles_and_categories():
    maker, rng, explored = maker_of(1.0), np.random.default_rng(8), set()
    request = replace(REQUEST, scenario=Scenario.of("home", (), {"most_per_category": 2}))
    for _ in range(200):
        listed = [product.product for product in maker.make(request, rng).products]
        assert len({product % 8 for product in listed}) == len(listed) == 5
        assert np.bincount(np.array(listed) % 3).max() <= 2
        explored.add(listed[EXPLORED_PLACE - 1])
    assert len(explored) > 1


def test_a_spent_budget_waits_until_lists_have_earned_it():
    budget = RegretBudget(0.1)
    assert budget.allows
    budget.add(expected=1.0, cost=0.3)
    assert not budget.allows
    budget.add(expected=1.9, cost=0.0)
    assert not budget.allows
    budget.add(expected=0.2, cost=0.0)
    assert budget.allows


def test_without_a_share_nothing_is_explored():
    maker = maker_of(0.0)
    lists = [maker.make(REQUEST, np.random.default_rng(seed)).products for seed in range(30)]
    assert {tuple(one.product for one in made) for made in lists} == {tuple(one.product for one in lists[0])}
    assert {one.propensity for made in lists for one in made} == {1.0}
    assert (maker.budget.spent, maker.budget.expected) == (0.0, 0.0)
