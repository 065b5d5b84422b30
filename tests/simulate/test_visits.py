"""What people look at and buy in a visit: never the same product twice, within the catalogue, by taste and price."""

from dataclasses import replace

import numpy as np
import pytest

from patron.simulate.random_streams import Draws
from patron.simulate.visits import MAX_LINES, MAX_VIEWS, browse_products, choose_products, quantity_of

DAYS = np.arange(400, 430)


@pytest.fixture(scope="module")
def visits_and_items(simulated_year, customers, visits_on):
    """A month of daily visits, half of them orders."""
    visits = visits_on(customers, DAYS)
    visits = replace(visits, is_order=np.arange(len(visits)) % 2 == 0)
    return visits, browse_products(visits, customers, simulated_year[0].catalogue, Draws(1))


def test_every_visit_looks_at_something_and_at_no_product_twice(visits_and_items):
    visits, items = visits_and_items
    views = np.bincount(items.visit, minlength=len(visits))
    assert 1 <= views.min() < views.max() <= MAX_VIEWS
    assert len(set(zip(items.visit.tolist(), items.product.tolist(), strict=True))) == len(items.visit)


def test_orders_buy_and_other_visits_do_not(visits_and_items):
    visits, items = visits_and_items
    bought = np.bincount(items.visit[items.is_bought], minlength=len(visits))
    assert np.array_equal(bought > 0, visits.is_order)
    assert bought.max() <= MAX_LINES


def test_what_is_bought_was_put_into_the_cart_and_some_carts_are_left(visits_and_items):
    visits, items = visits_and_items
    assert items.is_added[items.is_bought].all()
    carts_left = np.unique(items.visit[items.is_added & ~visits.is_order[items.visit]])
    assert 0 < len(carts_left) < (~visits.is_order).sum()


def test_a_visit_is_the_same_whoever_else_comes(simulated_year, customers, visits_and_items, visits_on):
    some = customers.rows(np.arange(0, len(customers), 7))
    alone = browse_products(visits_on(some, DAYS[:1]), some, simulated_year[0].catalogue, Draws(1))
    visits, items = visits_and_items
    # why: orders buy, so their products are compared where both visits order
    at = np.flatnonzero(np.isin(visits.person, some.person) & (visits.day == DAYS[0]) & visits.is_order)
    among = [items.product[items.visit == one].tolist() for one in at]
    place = np.searchsorted(some.person, visits.person[at])
    assert among == [alone.product[alone.visit == one].tolist() for one in place]
    assert len(among) > 5


def test_numbers_of_visits_are_unique_and_name_person_and_day(visits_and_items):
    number = visits_and_items[0].number
    assert len(set(number.tolist())) == len(number)
    assert np.array_equal(number // 2**16, visits_and_items[0].person)
    assert np.array_equal(number % 2**16, visits_and_items[0].day)


def test_most_lines_are_of_one_unit(come_true):
    number, place = np.arange(20_000), np.zeros(20_000, int)
    units = quantity_of(number, place, Draws(2))
    assert set(units.tolist()) == {1, 2, 3}
    assert come_true(units > 1, 0.16)
    assert come_true(units > 2, 0.04)


def test_nearly_half_of_what_people_choose_is_of_their_first_favourite_category(
    simulated_year, customers, visits_on, come_true
):
    goods = simulated_year[0].catalogue
    visits = visits_on(customers, DAYS)
    everything, nowhere = np.arange(len(visits)), np.zeros(len(visits), int)
    product = choose_products(visits, everything, nowhere, customers, goods, Draws(3))
    category = goods.category_of[product]
    first, second, third = customers.favourites[visits.row].T
    seasonal = np.diff(goods.category_shares, axis=1, prepend=0)[visits.month]
    by_season = 0.26 * seasonal[everything, first]
    assert come_true(category == first, 0.46 + by_season + 0.18 * (second == first) + 0.10 * (third == first))


def test_thrifty_people_choose_cheaper_products_of_a_category(simulated_year, customers, visits_on):
    goods = simulated_year[0].catalogue
    visits = visits_on(customers, DAYS)
    product = choose_products(visits, np.arange(len(visits)), np.zeros(len(visits), int), customers, goods, Draws(4))
    by_person = goods.price_share(product).reshape(len(DAYS), len(customers)).mean(axis=0)
    thrifty = customers.price_sensitivity > 0.5
    error = np.sqrt(by_person[thrifty].var() / thrifty.sum() + by_person[~thrifty].var() / (~thrifty).sum())
    assert by_person[~thrifty].mean() - by_person[thrifty].mean() > 3 * error
