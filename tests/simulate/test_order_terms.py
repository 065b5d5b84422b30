"""Orders use one discount at a time; what comes back and what is written of it belongs to an order."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow.compute as pc
import pytest
from scipy import stats

from patron.simulate.event_batches import DAY_US
from patron.simulate.order_terms import (
    NEWSLETTER_COUPON,
    WHOLE_SHARE,
    coupon_codes,
    discount_terms,
    place_orders,
    refunds,
    reviews,
)
from patron.simulate.product_catalogue import REVIEWS
from patron.simulate.random_streams import Draws
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import CATALOGUE_SHOP
from patron.simulate.visits import browse_products

DAYS = np.arange(400, 415)


def terms_of(visits, people, shop, seed=1):
    return discount_terms(visits, np.arange(len(visits)), people, shop, Draws(seed))


@pytest.fixture(scope="module")
def orders_of_visits(small_shop, simulated_year, customers, visits_on):
    """Orders of everybody on fifteen days with free shipping offered, and what was put together for them."""
    visits = visits_on(customers, DAYS, offer=2)
    items = browse_products(visits, customers, simulated_year[0].catalogue, Draws(4))
    orders = place_orders(visits, items, customers, simulated_year[0].catalogue, small_shop, Draws(4))
    return visits, items, orders


def test_coupon_codes_are_the_newsletters_and_then_those_of_the_offers(small_shop):
    assert coupon_codes(small_shop) == (NEWSLETTER_COUPON, "SAVE10", "SAVE20", "FREESHIP")


@pytest.mark.parametrize("offer", range(3))
def test_an_offer_that_is_used_gives_its_discount_its_coupon_and_its_free_shipping(
    small_shop, customers, visits_on, come_true, offer
):
    visits = visits_on(customers, DAYS, offer=offer)
    discount, coupon, free = terms_of(visits, customers, small_shop)
    used = coupon == offer + 1
    assert np.all(discount[used] == small_shop.offers[offer].discount_share)
    assert np.array_equal(free, used & small_shop.offers[offer].is_free_shipping)
    sometimes = customers.redeemed_share[visits.row] < 1
    assert used[~sometimes].all()
    assert come_true(used[sometimes], customers.redeemed_share[visits.row][sometimes])


@pytest.mark.parametrize(("offer", "is_used"), [(3, False), (4, True), (5, False)])
def test_only_points_have_a_code_and_no_offer_without_a_discount_lowers_the_price(customers, visits_on, offer, is_used):
    with_newsletter, coupon, free = terms_of(visits_on(customers, DAYS, offer=offer), customers, CATALOGUE_SHOP)
    assert (coupon == offer + 1).any() == is_used
    assert np.all(with_newsletter[coupon != 0] == 0)
    assert not free.any()


def test_without_an_offer_or_a_sale_the_only_discount_is_the_newsletters_code(
    small_shop, customers, visits_on, come_true
):
    visits = visits_on(customers, DAYS)
    discount, coupon, free = terms_of(visits, customers, small_shop)
    assert set(coupon.tolist()) == {-1, 0}
    assert np.array_equal(discount, np.where(coupon == 0, small_shop.newsletter_discount_share, 0.0))
    assert not free.any()
    assert come_true(coupon == 0, np.clip(customers.coupon_share[visits.row], 0, 1))


def test_in_a_sale_everything_is_reduced_and_no_newsletter_code_counts(small_shop, customers, visits_on):
    discount, coupon, _ = terms_of(visits_on(customers, DAYS, is_sale=True, offer=1), customers, small_shop)
    assert set(coupon.tolist()) == {-1, 2}
    assert np.array_equal(discount, np.where(coupon == 2, 0.2, small_shop.sale_discount_share))


def test_discounts_never_add_up(small_shop, customers, visits_on):
    discount, coupon, _ = terms_of(visits_on(customers, DAYS, is_sale=True, offer=0), customers, small_shop)
    assert (coupon == 1).any()
    assert np.all(discount == small_shop.sale_discount_share)


def test_a_shop_without_offers_sells_all_the_same(small_shop):
    events = ShopSimulator(replace(small_shop, offers=()), seed=7).history(60)
    orders = events.filter(pc.equal(events["name"], "Order Completed"))
    assert len(orders) > 100
    assert set(pc.unique(orders["coupon"]).to_pylist()) == {None, NEWSLETTER_COUPON}
    assert events.equals(ShopSimulator(small_shop, seed=7).history(60))


def test_orders_hold_what_their_visits_bought_at_the_price_less_their_discount(
    small_shop, simulated_year, customers, orders_of_visits
):
    visits, items, orders = orders_of_visits
    prices = simulated_year[0].catalogue.price_cents
    share, _, free = discount_terms(visits, orders.visit, customers, small_shop, Draws(4))
    for at in range(0, len(orders.visit), 97):
        lines = slice(orders.first_line[at], orders.first_line[at] + orders.line_count[at])
        bought = items.is_bought & (items.visit == orders.visit[at])
        assert orders.lines.product[lines].tolist() == items.product[bought].tolist()
        assert orders.lines.quantity[lines].tolist() == items.quantity[bought].tolist()
        price = prices[items.product[bought]] * items.quantity[bought]
        assert np.all(np.abs(orders.lines.discount_cents[lines] - share[at] * price) <= 0.5)
        is_charged = price.sum() < small_shop.free_shipping_from_cents and not free[at]
        assert orders.shipping_cents[at] == small_shop.shipping_cents * is_charged
    assert set(orders.shipping_cents[free].tolist()) == {0}
    assert set(orders.shipping_cents[~free].tolist()) == {0, small_shop.shipping_cents}


def test_only_visits_that_order_become_orders(small_shop, simulated_year, customers, visits_on):
    visits = replace(visits_on(customers, DAYS), is_order=np.arange(len(customers) * len(DAYS)) % 3 == 0)
    items = browse_products(visits, customers, simulated_year[0].catalogue, Draws(5))
    orders = place_orders(visits, items, customers, simulated_year[0].catalogue, small_shop, Draws(5))
    assert np.array_equal(orders.visit, np.flatnonzero(visits.is_order))
    assert (orders.line_count > 0).all()
    assert orders.line_count.sum() == len(orders.lines.product) == items.is_bought.sum()


def test_one_line_or_the_whole_order_is_returned_days_later_at_the_return_rate(customers, orders_of_visits, come_true):
    visits, _, orders = orders_of_visits
    back = refunds(orders, visits, customers, Draws(6))
    number = {int(one): place for place, one in enumerate(visits.number[orders.visit])}
    at = np.array([number[int(one)] for one in back.order])
    assert len(set(back.order.tolist())) == len(back)
    assert come_true(
        np.isin(visits.number[orders.visit], back.order), customers.refunded_share[visits.row[orders.visit]]
    )
    count = orders.line_count[at]
    is_whole = (back.first_line == orders.first_line[at]) & (back.line_count == count)
    within = (back.first_line >= orders.first_line[at]) & (back.first_line < orders.first_line[at] + count)
    assert np.all(is_whole | (within & (back.line_count == 1)))
    assert come_true(is_whole[count > 1], WHOLE_SHARE)
    later = back.time_us // DAY_US - visits.day[orders.visit[at]]
    assert 3 <= later.min() < later.max() <= 48


def test_reviews_are_of_lines_that_were_ordered_and_as_many_as_people_write(
    customers, simulated_year, orders_of_visits, come_true
):
    visits, _, orders = orders_of_visits
    written = reviews(orders, visits, customers, simulated_year[0].catalogue, Draws(7))
    of_line = np.repeat(orders.visit, orders.line_count)
    lines = set(zip(visits.number[of_line].tolist(), orders.lines.product.tolist(), strict=True))
    found = set(zip(written.order.tolist(), written.product.tolist(), strict=True))
    assert len(found) == len(written)
    assert found < lines
    is_reviewed = [
        one in found for one in zip(visits.number[of_line].tolist(), orders.lines.product.tolist(), strict=True)
    ]
    assert come_true(np.array(is_reviewed), customers.reviewed_share[visits.row[of_line]])


def test_stars_follow_the_quality_of_the_product(customers, simulated_year, orders_of_visits):
    visits, _, orders = orders_of_visits
    written = reviews(orders, visits, customers, simulated_year[0].catalogue, Draws(8))
    quality = simulated_year[0].catalogue.quality[written.product]
    below = stats.norm.cdf((np.arange(1.5, 5) - quality[:, None]) / 0.9)
    chance = np.diff(below, prepend=0, append=1)
    stars = np.arange(1, 6)
    mean = chance @ stars
    spread = np.sqrt((chance @ stars**2 - mean**2).sum())
    assert set(written.rating.tolist()) <= set(stars.tolist())
    assert abs((written.rating - mean).sum()) < 3 * spread


def test_the_words_of_a_review_are_those_of_its_stars_and_its_product(year):
    written = year.filter(pc.equal(year["name"], "Product Reviewed")).to_pylist()
    assert len(written) > 100
    for row in written:
        words = [text.format(name=row["product_name"]) for text in REVIEWS[int(row["rating"]) - 1]]
        assert json.loads(row["texts"])["review_body"] in words


def test_reviews_and_refunds_come_after_the_order_and_name_it(year):
    orders = year.filter(pc.equal(year["name"], "Order Completed"))
    placed_at = dict(zip(orders["order_id"].to_pylist(), orders["occurred_at"].to_pylist(), strict=True))
    for name, least in (("Product Reviewed", 4), ("Order Refunded", 2)):
        later = year.filter(pc.equal(year["name"], name))
        assert len(later) > 50
        for order_id, at in zip(later["order_id"].to_pylist(), later["occurred_at"].to_pylist(), strict=True):
            assert at - placed_at[order_id] > timedelta(days=least)


def test_the_same_seed_gives_the_same_orders_whatever_other_visits_there_are(small_shop, customers, visits_on):
    some = customers.rows(np.arange(0, len(customers), 5))
    alone, _, _ = terms_of(visits_on(some, DAYS[:3], offer=1), some, small_shop)
    among = visits_on(customers, DAYS, offer=1)
    discount, _, _ = terms_of(among, customers, small_shop)
    is_one = np.isin(among.person, some.person) & np.isin(among.day, DAYS[:3])
    assert np.array_equal(discount[is_one], alone)
