"""Orders: which discount and coupon they use, what shipping costs, what comes back and what is said of it."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.event_batches import DAY_US, STEPS, Batch, Lines, make_batch
from patron.simulate.leaving_causes import BAD_DELIVERY, BAD_REVIEW, REPLACEMENT_DAYS, RETURN_DAYS, REVIEW_DAYS
from patron.simulate.population import People
from patron.simulate.product_catalogue import REVIEWS, Catalogue
from patron.simulate.random_streams import Draws
from patron.simulate.simulator_settings import SimulatorSettings
from patron.simulate.visits import Items, Visits

NEWSLETTER_COUPON = "NEWS5"
REFUND_STEP, REVIEW_STEP = 90, 100
WHOLE_SHARE = 0.4
"""Share of refunds of the whole order; the others are of one line."""


@dataclass(frozen=True)
class Orders:
    """One row per order, with the lines they point at."""

    visit: np.ndarray
    coupon: np.ndarray
    """Index of the coupon code, or -1: 0 is the newsletter's, then the offers'."""
    shipping_cents: np.ndarray
    first_line: np.ndarray
    line_count: np.ndarray
    lines: Lines


def coupon_codes(shop: SimulatorSettings) -> tuple[str, ...]:
    """Coupon codes by index."""
    return (NEWSLETTER_COUPON, *(offer.offer_id for offer in shop.offers))


def discount_terms(
    visits: Visits, visit: np.ndarray, people: People, shop: SimulatorSettings, draws: Draws
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Discount share, coupon and free shipping of orders: an offer that is used, a sale, or the newsletter's code."""
    row = visits.row[visit]
    number = visits.number[visit]
    offer = visits.offer[visit]
    # why: the last entry of these arrays stands for no offer, also in a shop that makes none
    has_code = np.array([*(o.has_code for o in shop.offers), False])[offer]
    used = has_code & draws.below("redeem", people.redeemed_share[row], number)
    code = ~used & ~visits.is_sale[visit] & draws.below("code", people.coupon_share[row], number)
    offered = np.array([*(o.discount_share for o in shop.offers), 0.0])[offer] * used
    standing = shop.sale_discount_share * visits.is_sale[visit] + shop.newsletter_discount_share * code
    free = np.array([*(o.is_free_shipping for o in shop.offers), False])[offer] & used
    return np.maximum(offered, standing), np.where(used, offer + 1, np.where(code, 0, -1)), free


def place_orders(
    visits: Visits, items: Items, people: People, catalogue: Catalogue, shop: SimulatorSettings, draws: Draws
) -> Orders:
    """Run what visits buy into orders with discounts and shipping."""
    visit = np.flatnonzero(visits.is_order)
    bought = np.flatnonzero(items.is_bought)
    first = np.searchsorted(items.visit[bought], visit, side="left")
    count = np.searchsorted(items.visit[bought], visit, side="right") - first
    share, coupon, free = discount_terms(visits, visit, people, shop, draws)
    price = catalogue.price_cents[items.product[bought]] * items.quantity[bought]
    discount = np.rint(price * np.repeat(share, count)).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(price)])
    gross = total[first + count] - total[first]
    charged = (gross < shop.free_shipping_from_cents) & ~free
    return Orders(
        visit=visit,
        coupon=coupon,
        shipping_cents=shop.shipping_cents * charged.astype(np.int64),
        first_line=first,
        line_count=count,
        lines=Lines(items.product[bought], items.quantity[bought], discount, np.repeat(coupon, count)),
    )


def refunds(orders: Orders, visits: Visits, people: People, draws: Draws) -> Batch:
    """What is sent back some days later: one line, or everything."""
    number = visits.number[orders.visit]
    row, day = visits.row[orders.visit], visits.day[orders.visit]
    bad = (people.cause[row] == BAD_DELIVERY) & np.isin(day - people.cause_day[row], (0, REPLACEMENT_DAYS))
    back = np.flatnonzero(draws.below("refund", people.refunded_share[row], number) | bad)
    number, count, bad = number[back], orders.line_count[back], bad[back]
    is_whole = draws.below("whole", WHOLE_SHARE, number) | bad
    line = np.floor(draws.uniform("line back", number) * count).astype(np.int64)
    days = 3 + np.minimum(np.floor(9 * draws.exponential("days back", number)), 45).astype(np.int64)
    days = np.where(bad, RETURN_DAYS, days)
    seconds = 32_000 + np.floor(30_000 * draws.uniform("hour back", number)).astype(np.int64)
    visit = orders.visit[back]
    return make_batch(
        "Order Refunded",
        number * STEPS + REFUND_STEP,
        (visits.day[visit] + days) * DAY_US + seconds * 1_000_000,
        visits.person[visit],
        order=number,
        first_line=orders.first_line[back] + np.where(is_whole, 0, line),
        line_count=np.where(is_whole, count, 1),
        lines=orders.lines,
    )


def reviews(orders: Orders, visits: Visits, people: People, catalogue: Catalogue, draws: Draws) -> Batch:
    """Ratings and words about some of the products, a week or more later."""
    of_line = np.repeat(np.arange(len(orders.visit)), orders.line_count)
    place = np.arange(len(of_line)) - orders.first_line[of_line]
    visit = orders.visit[of_line]
    row = visits.row[visit]
    bad = (people.cause[row] == BAD_REVIEW) & (visits.day[visit] == people.cause_day[row]) & (place == 0)
    is_reviewed = np.flatnonzero(draws.below("review", people.reviewed_share[row], visits.number[visit], place) | bad)
    visit, place, product = visit[is_reviewed], place[is_reviewed], orders.lines.product[is_reviewed]
    bad = bad[is_reviewed]
    number = visits.number[visit]
    stars = np.rint(catalogue.quality[product] + 0.9 * draws.normal("stars", number, place)).clip(1, 5).astype(np.int64)
    stars = np.where(bad, 1, stars)
    days = 5 + np.floor(20 * draws.uniform("days review", number, place)).astype(np.int64)
    days = np.where(bad, REVIEW_DAYS, days)
    seconds = 28_000 + np.floor(50_000 * draws.uniform("hour review", number, place)).astype(np.int64)
    wording = draws.below("wording", 0.5, number, place).astype(np.int64)
    return make_batch(
        "Product Reviewed",
        number * STEPS + REVIEW_STEP + place,
        (visits.day[visit] + days) * DAY_US + seconds * 1_000_000,
        visits.person[visit],
        product=product,
        order=number,
        rating=stars,
        text=(product * len(REVIEWS) + stars - 1) * 2 + wording,
    )
