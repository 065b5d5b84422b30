"""Recommendations are seen while they are fresh, clicked where they match the taste, and bought only when clicked."""

from dataclasses import replace

import numpy as np
import pytest

from patron.simulate.random_streams import Draws
from patron.simulate.recommendation_response import (
    BOUGHT_SHARE,
    NO_RECOMMENDATIONS,
    ActiveRecommendations,
    ShownRecommendations,
    add_bought_items,
    show_recommendations,
    taste_match,
)
from patron.simulate.visits import browse_products

FIRST_DAY = 400
PRODUCTS = np.array([10, 130, 250, 370, 490])


def recommended(people, products, day=FIRST_DAY):
    """The same products for everybody, best first; each decision is numbered by person and place."""
    person = np.repeat(people.person, len(products))
    decision = person * 100 + np.tile(np.arange(len(products)), len(people))
    return ActiveRecommendations(person, np.tile(products, len(people)), decision, np.full(len(person), day))


@pytest.fixture(scope="module")
def visits_and_shown(small_shop, simulated_year, customers, visits_on):
    """Forty days of visits, every third an order, by people with five recommendations since the tenth day."""
    visits = visits_on(customers, np.arange(FIRST_DAY - 10, FIRST_DAY + 40))
    visits = replace(visits, is_order=np.arange(len(visits)) % 3 == 0)
    shown = show_recommendations(
        recommended(customers, PRODUCTS), visits, customers, simulated_year[0].catalogue, small_shop, Draws(1)
    )
    return visits, shown


def test_favourites_match_better_than_other_categories_and_liked_prices_better_than_others(simulated_year, customers):
    goods = simulated_year[0].catalogue
    row = np.arange(len(customers))
    middle = np.full(len(row), 0.5)
    of_rank = [
        taste_match(customers, row, goods.in_category(customers.favourites[:, rank], middle), goods)
        for rank in range(3)
    ]
    distinct = np.array([len(set(three)) == 3 for three in customers.favourites.tolist()])
    elsewhere = (customers.favourites.max(axis=1) + 1) % goods.category_count
    is_elsewhere = ~(customers.favourites == elsewhere[:, None]).any(axis=1) & distinct
    other = taste_match(customers, row, goods.in_category(elsewhere, middle), goods)
    first, second, third = (fit[is_elsewhere] for fit in of_rank)
    assert is_elsewhere.sum() > 100
    assert ((first > second) & (second > third) & (third > other[is_elsewhere])).all()
    assert ((other > 0) & (of_rank[0] <= 1)).all()
    thrifty = customers.price_sensitivity > 0.9
    cheap, dear = (
        taste_match(customers, row, goods.in_category(customers.favourites[:, 0], np.full(len(row), share)), goods)
        for share in (0.0, 1.0)
    )
    assert (cheap > dear)[thrifty].all()
    assert (cheap < dear)[customers.price_sensitivity < 0.1].all()


def test_recommendations_are_shown_from_their_day_on_and_for_thirty_days(small_shop, visits_and_shown):
    visits, shown = visits_and_shown
    assert set(visits.day[shown.visit].tolist()) == set(range(FIRST_DAY, FIRST_DAY + small_shop.recommendation_days))


def test_only_those_with_recommendations_see_any_and_only_their_own(small_shop, simulated_year, customers, visits_on):
    some = customers.rows(np.arange(0, len(customers), 3))
    visits = visits_on(customers, [FIRST_DAY, FIRST_DAY + 1])
    shown = show_recommendations(
        recommended(some, PRODUCTS), visits, customers, simulated_year[0].catalogue, small_shop, Draws(2)
    )
    assert sorted(set(visits.person[shown.visit].tolist())) == some.person[some.signup_day < FIRST_DAY + 1].tolist()
    assert np.array_equal(shown.decision // 100, visits.person[shown.visit])
    assert np.array_equal(PRODUCTS[shown.decision % 100], shown.product)


def test_nobody_sees_recommendations_before_they_have_signed_up(small_shop, simulated_year, customers, visits_on):
    visits = visits_on(customers, np.arange(20))
    shown = show_recommendations(
        recommended(customers, PRODUCTS, day=0), visits, customers, simulated_year[0].catalogue, small_shop, Draws(2)
    )
    assert len(shown.visit) > 50
    assert (visits.day[shown.visit] > customers.signup_day[visits.row[shown.visit]]).all()


def test_the_first_positions_are_viewed_most(visits_and_shown):
    places = np.bincount(visits_and_shown[1].decision % 100, minlength=len(PRODUCTS))
    chance = np.diff(np.sqrt(np.arange(len(PRODUCTS) + 1) / len(PRODUCTS)))
    error = np.sqrt(places.sum() * chance * (1 - chance))
    assert np.all(np.abs(places - places.sum() * chance) < 3 * error)


def test_clicks_come_as_often_as_interest_and_match_say(simulated_year, customers, visits_and_shown, come_true):
    visits, shown = visits_and_shown
    row = visits.row[shown.visit]
    fit = taste_match(customers, row, shown.product, simulated_year[0].catalogue)
    assert come_true(shown.is_clicked, customers.recommendation_interest[row] * fit)


def test_only_what_was_clicked_is_bought_and_more_often_next_to_an_order(
    small_shop, simulated_year, customers, visits_and_shown, come_true
):
    visits, shown = visits_and_shown
    assert not (shown.is_bought & ~shown.is_clicked).any()
    fit = taste_match(customers, visits.row[shown.visit], shown.product, simulated_year[0].catalogue)
    orders = visits.is_order[shown.visit]
    for is_kind, share in ((orders, BOUGHT_SHARE), (~orders, small_shop.recommendation_conversion_share)):
        clicked = shown.is_clicked & is_kind
        assert come_true(shown.is_bought[clicked], share * fit[clicked])


def test_later_recommendations_replace_earlier_ones_from_their_day_on(small_shop, simulated_year, customers, visits_on):
    later = recommended(customers, PRODUCTS[::-1] + 1, day=FIRST_DAY + 5)
    both = recommended(customers, PRODUCTS).followed_by(later)
    visits = visits_on(customers, np.arange(FIRST_DAY, FIRST_DAY + 10))
    shown = show_recommendations(both, visits, customers, simulated_year[0].catalogue, small_shop, Draws(3))
    is_later = visits.day[shown.visit] >= FIRST_DAY + 5
    assert np.isin(shown.product[is_later], PRODUCTS + 1).all()
    assert np.isin(shown.product[~is_later], PRODUCTS).all()
    assert is_later.any()
    assert not is_later.all()


def test_where_nothing_is_recommended_nothing_changes(small_shop, simulated_year, customers, visits_on):
    goods = simulated_year[0].catalogue
    visits = visits_on(customers, [FIRST_DAY])
    items = browse_products(visits, customers, goods, Draws(4))
    shown = show_recommendations(NO_RECOMMENDATIONS, visits, customers, goods, small_shop, Draws(4))
    assert len(shown.visit) == 0
    same_visits, same_items = add_bought_items(visits, items, shown, Draws(4))
    assert np.array_equal(same_visits.is_order, visits.is_order)
    assert np.array_equal(same_items.product, items.product)
    assert np.array_equal(same_items.is_bought, items.is_bought)


def test_what_is_bought_on_recommendation_joins_the_order_and_nothing_is_bought_twice(
    simulated_year, customers, visits_on
):
    goods = simulated_year[0].catalogue
    visits = visits_on(customers, [FIRST_DAY, FIRST_DAY + 1])
    visits = replace(visits, is_order=np.arange(len(visits)) % 2 == 0)
    items = browse_products(visits, customers, goods, Draws(5))
    product = items.product[np.searchsorted(items.visit, np.arange(len(visits)))]
    # why: the first product of an order is bought already, that of another visit only looked at
    everything, yes = np.arange(len(visits)), np.ones(len(visits), bool)
    shown = ShownRecommendations(everything, product, everything, yes, yes)
    after, bought = add_bought_items(visits, items, shown, Draws(5))
    assert after.is_order.all()
    lines = list(zip(bought.visit[bought.is_bought].tolist(), bought.product[bought.is_bought].tolist(), strict=True))
    assert len(set(lines)) == len(lines) == items.is_bought.sum() + (~visits.is_order).sum()
    assert set(zip(everything.tolist(), product.tolist(), strict=True)) <= set(lines)
    assert (np.diff(bought.visit) >= 0).all()
    assert (bought.is_added | ~bought.is_bought).all()
