"""The catalogue is the same for a seed, sorted by price within a category, and seasonal by department."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from patron.simulate.product_catalogue import DEPARTMENT_PEAK_DAY, DEPARTMENTS, QUERIES, REVIEWS, make_catalogue
from patron.simulate.random_streams import Draws


@pytest.fixture(scope="module")
def catalogue(simulated_year):
    return simulated_year[0].catalogue


def test_the_same_seed_makes_the_same_catalogue_and_another_seed_another(small_shop, catalogue):
    again, other = make_catalogue(small_shop, Draws(7)), make_catalogue(small_shop, Draws(8))
    assert again.product_name.equals(catalogue.product_name)
    assert np.array_equal(again.price_cents, catalogue.price_cents)
    assert np.array_equal(again.category_shares, catalogue.category_shares)
    assert not other.product_name.equals(catalogue.product_name)
    assert not np.array_equal(other.price_cents, catalogue.price_cents)


@pytest.mark.parametrize(("departments", "per_category"), [(1, 1), (3, 7), (5, 24)])
def test_each_department_has_five_categories_of_equally_many_products(small_shop, departments, per_category):
    catalogue = make_catalogue(
        replace(small_shop, departments=departments, products_per_category=per_category), Draws(1)
    )
    assert catalogue.category_count == 5 * departments
    assert np.bincount(catalogue.category_of).tolist() == [per_category] * catalogue.category_count
    assert len(set(catalogue.product_id.to_pylist())) == len(catalogue.price_cents)
    pairs = zip(catalogue.department.to_pylist(), catalogue.category.to_pylist(), strict=True)
    assert set(pairs) == {
        (name, category) for name, categories, _ in DEPARTMENTS[:departments] for category in categories
    }


def test_within_a_category_products_are_sorted_from_cheap_to_dear(catalogue):
    prices = catalogue.price_cents.reshape(-1, catalogue.per_category)
    assert (np.diff(prices, axis=1) >= 0).all()
    assert prices.min() >= 95
    every = np.arange(catalogue.category_count)
    cheapest, dearest = (catalogue.in_category(every, np.full(len(every), share)) for share in (0.0, 1.0))
    assert np.array_equal(catalogue.price_cents[cheapest], prices[:, 0])
    assert np.array_equal(catalogue.price_cents[dearest], prices[:, -1])


def test_the_position_of_a_price_leads_back_to_the_product(catalogue):
    product = np.arange(len(catalogue.price_cents))
    share = catalogue.price_share(product)
    assert ((share > 0) & (share < 1)).all()
    assert np.array_equal(catalogue.in_category(catalogue.category_of, share), product)


def test_prices_lie_around_what_the_category_costs(catalogue):
    base = np.array([base for _, _, bases in DEPARTMENTS for base in bases])[catalogue.category_of]
    above = np.log((catalogue.price_cents + 5) / 100 / base)
    assert abs(above.mean()) < 3 * above.std() / np.sqrt(len(above))


def test_shares_of_categories_add_up_in_every_month(catalogue):
    assert catalogue.category_shares.shape == (12, catalogue.category_count)
    assert (np.diff(catalogue.category_shares, axis=1, prepend=0) > 0).all()
    assert np.all(catalogue.category_shares[:, -1] == 1)


def test_a_department_sells_more_in_its_season_than_half_a_year_later(catalogue):
    shares = np.diff(catalogue.category_shares, axis=1, prepend=0)
    for at, peak in enumerate(DEPARTMENT_PEAK_DAY):
        by_month = shares[:, 5 * at : 5 * at + 5].sum(axis=1)
        month = min(int(peak / 30.4), 11)
        assert by_month[month] > by_month[(month + 6) % 12]


def test_names_searches_and_reviews_speak_of_their_product(catalogue):
    names, brands, categories = (
        column.to_pylist() for column in (catalogue.product_name, catalogue.brand, catalogue.category)
    )
    queries, reviews = catalogue.queries.to_pylist(), catalogue.reviews.to_pylist()
    assert len(queries) == len(QUERIES) * len(names)
    assert len(reviews) == sum(map(len, REVIEWS)) * len(names)
    for product in range(0, len(names), 23):
        assert names[product].startswith(brands[product])
        assert categories[product] in names[product]
        searches = [
            json.loads(text)["query"] for text in queries[product * len(QUERIES) : (product + 1) * len(QUERIES)]
        ]
        assert all(categories[product].lower() in text for text in searches)
        texts = [json.loads(text)["review_body"] for text in reviews[product * 10 : product * 10 + 10]]
        assert [names[product] in text for text in texts] == [False, True] * len(REVIEWS)


def test_customers_meet_the_season_in_what_they_look_at(year):
    """Garden goods are viewed more in spring than in autumn, as a share of all views."""
    views = year.filter(pc.equal(year["name"], "Product Viewed"))
    month = np.array([at.month for at in views["occurred_at"].to_pylist()])
    is_garden = np.array([department == "Garden" for department in views["department"].to_pylist()])
    spring, autumn = is_garden[np.isin(month, (4, 5, 6))], is_garden[np.isin(month, (10, 11, 12))]
    error = np.sqrt(spring.var() / len(spring) + autumn.var() / len(autumn))
    assert spring.mean() - autumn.mean() > 3 * error
