"""What is really behind the events: class, drop-out date, expected value and uplift of each customer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.schema.table_definition import TIME
from patron.simulate import contract_renewals, demand
from patron.simulate.contract_renewals import contract_terms
from patron.simulate.leaving_causes import CAUSES, NO_CAUSE
from patron.simulate.order_terms import WHOLE_SHARE
from patron.simulate.population import People
from patron.simulate.simulator import FATIGUE_DAYS, ShopSimulator
from patron.simulate.simulator_settings import CLASSES, Offer, SimulatorSettings
from patron.simulate.visits import Visits, browse_products

BASKETS = 64
"""Baskets drawn for each customer to know what an order of theirs is worth."""
FAR_DAY = 40_000
"""Days that no shop reaches: their random numbers serve the drawn baskets."""
CUSTOMERS_PER_BATCH = 4_000


@dataclass(frozen=True)
class Basket:
    """What one order of each customer is worth on average."""

    gross_cents: np.ndarray
    """Goods before discounts, less what is expected to be sent back."""
    waived_cents: np.ndarray
    """Shipping that a free-shipping offer would waive."""


def truth(world: ShopSimulator, horizon_days: int = 90, window_days: int | None = None) -> pa.Table:
    """One row per customer who has signed up by the world's present.

    Expected orders, net paid and margin cover the next `horizon_days`, given whether the customer is still there, when
    no offer is in force; refunds count with their order. `uplift_<offer>_cents` is the expected extra margin of making
    that offer now, less discount and points and not the cost of contact, over the days it is valid, or the first
    `window_days` of them, against no offer. Both are exact in order rates, seasons and drop-out; what an order is worth
    is the mean of BASKETS drawn baskets.
    `leaving_cause` is the planted cause that drives the customer away by `dropped_out_on`, and `caused_on` the day it
    strikes; expected values do not know of planted causes yet to come.
    """
    everyone = world.people
    customers = everyone.rows(~everyone.is_visitor & (everyone.signup_day < world.day))
    starts = range(0, len(customers), CUSTOMERS_PER_BATCH)
    slices = [customers.rows(np.arange(at, min(at + CUSTOMERS_PER_BATCH, len(customers)))) for at in starts]
    uplift_days = min(window_days or world.settings.offer_days, world.settings.offer_days)
    return pa.concat_tables([_truth_of(rows, world, horizon_days, uplift_days) for rows in slices or [customers]])


def contract_truth(world: ShopSimulator) -> pa.Table:
    """One row per contract and term that the customer has decided about by the world's present.

    `cause` is what the decision depended on, `not_renewed_share` the probability that follows from it, 0 to 1.
    """
    gone = demand.dropout_days(world.people, world.exposure)
    every = contract_terms(world.people, gone, world.day, world.settings, world.draws)
    terms = every.rows(every.notice_day < world.day)
    start = datetime.combine(world.settings.start, datetime.min.time(), UTC)
    columns = {
        "user_id": [f"C{i}" for i in terms.person],
        "contract_id": [f"S{i}" for i in terms.person],
        "term": terms.term,
        "ends_at": pa.array([start + timedelta(microseconds=int(us)) for us in terms.end_us], TIME),
        "cause": pa.array(contract_renewals.CAUSES).take(pa.array(terms.cause)),
        "not_renewed_share": terms.lost_share,
        "is_renewed": terms.is_renewed,
        "is_cancelled": terms.is_cancelled,
    }
    return pa.table(columns)


def _truth_of(people: People, world: ShopSimulator, horizon_days: int, uplift_days: int) -> pa.Table:
    shop = world.settings
    gone = demand.dropout_days(people, world.exposure)
    is_alive = gone >= world.day
    is_driven = (people.cause != NO_CAUSE) & (gone == people.left_day) & (people.natural_dropout_day > gone)
    basket = mean_baskets(people, world, horizon_days)
    days = np.arange(world.day, world.day + horizon_days)
    orders = expected_orders(people, days, shop, None) * is_alive
    share = standing_share(people, days, shop)
    net = (orders * (1 - share)).sum(axis=0) * basket.gross_cents
    margin = (orders * (shop.margin_share - share)).sum(axis=0) * basket.gross_cents
    midnight = [world.settings.start + timedelta(days=int(min(day, 10**6))) for day in gone]
    columns: dict[str, object] = {
        "user_id": [f"C{i}" for i in people.person],
        "class": pa.array(CLASSES).take(pa.array(people.klass)),
        "signed_up_on": pa.array([shop.start + timedelta(days=int(day)) for day in people.signup_day], pa.date32()),
        "dropped_out_on": pa.array(midnight, pa.date32()),
        "is_alive": is_alive,
        "leaving_cause": pa.array(CAUSES).take(pa.array(people.cause, mask=~is_driven)),
        "caused_on": pa.array(
            [
                shop.start + timedelta(days=int(day)) if driven else None
                for day, driven in zip(people.cause_day, is_driven, strict=True)
            ],
            pa.date32(),
        ),
        "is_slowing": np.isfinite(people.slowing_days),
        "is_in_group_b": people.is_in_group_b,
        "price_sensitivity": people.price_sensitivity,
        "expected_orders": orders.sum(axis=0),
        "expected_net_paid_cents": net,
        "expected_margin_cents": margin,
    }
    for index, offer in enumerate(shop.offers):
        columns[f"uplift_{offer.offer_id}_cents"] = uplift_cents(people, world, index, basket, uplift_days) * is_alive
    return pa.table(columns)


def mean_baskets(people: People, world: ShopSimulator, horizon_days: int) -> Basket:
    """Mean worth of an order, from baskets drawn with the months of the horizon."""
    row = np.repeat(np.arange(len(people)), BASKETS)
    run = np.tile(np.arange(BASKETS), len(people))
    first = world.settings.start + timedelta(days=world.day)
    months = np.array([(first + timedelta(days=horizon_days * t // BASKETS)).month - 1 for t in range(BASKETS)])
    yes = np.ones(len(row), dtype=bool)
    visits = Visits(
        row,
        people.person[row],
        day=FAR_DAY + run,
        month=months[run],
        is_order=yes,
        is_sale=~yes,
        offer=np.full(len(row), -1),
    )
    items = browse_products(visits, people, world.catalogue, world.draws)
    price = world.catalogue.price_cents[items.product] * items.quantity * items.is_bought
    gross = np.bincount(items.visit, weights=price, minlength=len(row))
    lines = np.bincount(items.visit, weights=items.is_bought, minlength=len(row))
    kept = 1 - people.refunded_share[row] * (WHOLE_SHARE + (1 - WHOLE_SHARE) / lines)
    waived = world.settings.shipping_cents * (gross < world.settings.free_shipping_from_cents)
    return Basket((gross * kept).reshape(-1, BASKETS).mean(axis=1), waived.reshape(-1, BASKETS).mean(axis=1))


def expected_orders(
    people: People,
    days: np.ndarray,
    shop: SimulatorSettings,
    offers: demand.ActiveOffers | None,
    added_hazard: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Expected orders of each day and customer who was there the day before, shape (days, people)."""
    still = np.exp(-people.hazard_per_day * (days[:, None] - days[0] + 1) - added_hazard)
    return still * demand.order_chance(people, days, shop, offers)


def standing_share(people: People, days: np.ndarray, shop: SimulatorSettings) -> np.ndarray:
    """Expected discount share of an order that uses no offer: sales, else the newsletter's code."""
    code = people.coupon_share * shop.newsletter_discount_share
    return np.where(demand.is_sale(shop, days)[:, None], shop.sale_discount_share, code)


def uplift_cents(people: People, world: ShopSimulator, offer: int, basket: Basket, window_days: int) -> np.ndarray:
    """Expected extra margin over the window of making an offer to each living customer now."""
    shop = world.settings
    days = np.arange(world.day, world.day + window_days)
    offer_terms = shop.offers[offer]
    recent = world.exposure.person[world.exposure.day > world.day - FATIGUE_DAYS]
    times = np.bincount(recent, minlength=len(world.people))[people.person]
    strength = demand.strength_of(offer_terms, shop) * (1 - shop.fatigue_share) ** times
    everyone = demand.Exposure(people.person, np.full(len(people), offer), np.full(len(people), days[0]), strength)
    offers = demand.active_offers(everyone, people, days, shop)
    with_offer = expected_orders(people, days, shop, offers, people.annoyance)
    without = expected_orders(people, days, shop, None)
    standing = shop.margin_share - standing_share(people, days, shop)
    used = _redeemed_margin(days, shop, offer_terms, basket)
    redeemed_share = people.redeemed_share * offer_terms.has_code
    mixed = redeemed_share * used + (1 - redeemed_share) * standing * basket.gross_cents
    return (with_offer * mixed - without * standing * basket.gross_cents).sum(axis=0)


def _redeemed_margin(days: np.ndarray, shop: SimulatorSettings, offer: Offer, basket: Basket) -> np.ndarray:
    """Expected margin of an order that uses an offer, shape (days, people)."""
    sale = shop.sale_discount_share * demand.is_sale(shop, days)[:, None]
    share = np.maximum(sale, offer.discount_share)
    share = share + (1 - share) * offer.points_share * shop.points_redeemed_share
    return (shop.margin_share - share) * basket.gross_cents - offer.is_free_shipping * basket.waived_cents
