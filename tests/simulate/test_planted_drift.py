"""Planted drifts change what they say from their day on, and nothing before or beside it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow.compute as pc
import pytest

from patron.simulate.ground_truth import truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, PlantedDrift

PLAIN = replace(DEFAULT_SHOP, customers=60)
FROM_DAY, DAYS = 70, 120


def events_of(drift):
    return ShopSimulator(replace(PLAIN, drift=drift), seed=4).history(DAYS)


@pytest.fixture(scope="module")
def plain():
    return events_of(None)


def parts(events):
    """Events before the day of the drift, and from it on."""
    begins = datetime.combine(PLAIN.start, datetime.min.time()) + timedelta(days=FROM_DAY)
    is_before = pc.less(events["occurred_at"].cast("timestamp[us]"), begins)
    return events.filter(is_before), events.filter(pc.invert(is_before))


def test_lost_views_are_not_sent_from_their_day_on_and_all_else_is(plain):
    (before, after), (was, other) = parts(events_of(PlantedDrift(FROM_DAY, are_views_lost=True))), parts(plain)
    assert before.equals(was)
    assert after.equals(other.filter(pc.not_equal(other["name"], "Product Viewed")))
    assert after.num_rows < other.num_rows


def test_amounts_are_multiplied_in_orders_refunds_and_prices(plain):
    (before, after), (was, other) = parts(events_of(PlantedDrift(FROM_DAY, amount_factor=2))), parts(plain)
    assert before.equals(was)
    for name in ("price_cents", "discount_cents", "revenue_cents", "total_cents", "shipping_cents"):
        assert after[name].to_pylist() == [None if cents is None else 2 * cents for cents in other[name].to_pylist()]
    assert after["event_id"].equals(other["event_id"])


def test_customers_leave_sooner_after_the_day_and_nobody_comes_back_to_life():
    known = {}
    for factor in (1.0, 20.0):
        world = ShopSimulator(replace(PLAIN, drift=PlantedDrift(FROM_DAY, hazard_factor=factor)), seed=4)
        world.history(DAYS)
        known[factor] = truth(world, 1).to_pylist()
    begins = PLAIN.start + timedelta(days=FROM_DAY)
    for usual, hit in zip(known[1.0], known[20.0], strict=True):
        leaves, sooner = usual["dropped_out_on"], hit["dropped_out_on"]
        assert sooner == leaves if leaves <= begins else sooner <= leaves
    alive = {factor: sum(row["is_alive"] for row in rows) for factor, rows in known.items()}
    assert alive[20.0] < 0.3 * alive[1.0]
