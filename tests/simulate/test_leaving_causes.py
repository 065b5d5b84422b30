"""Planted causes drive away whom the truth says, as the truth says; without them nothing changes."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow.compute as pc
import pytest

from patron.simulate.ground_truth import truth
from patron.simulate.leaving_causes import CAUSES, REPLACEMENT_DAYS, RETURN_DAYS, REVIEW_DAYS
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP

DAYS = 240
PLANTED = replace(
    DEFAULT_SHOP, customers=300, leaving_cause_shares=(0.2, 0.2, 0.2), until_cause_days=60.0, lifetime_days=2000.0
)


@pytest.fixture(scope="module")
def world():
    return ShopSimulator(PLANTED, seed=5)


@pytest.fixture(scope="module")
def events(world):
    return world.history(DAYS).select(["name", "user_id", "occurred_at", "rating"]).to_pylist()


@pytest.fixture(scope="module")
def driven(world, events):
    """Truth of the customers whom a cause has driven away by now, by cause; `events` are of the time before."""
    assert events
    rows = truth(world, 30).to_pylist()
    now = world.now.date()
    return {name: [r for r in rows if r["leaving_cause"] == name and r["dropped_out_on"] < now] for name in CAUSES}


def days_of(events, name, user):
    return [event["occurred_at"].date() for event in events if event["name"] == name and event["user_id"] == user]


def test_every_cause_drives_some_away_and_nobody_comes_back(events, driven):
    last = {}
    for event in events:
        if event["name"] in ("Order Completed", "Product Viewed"):
            last[event["user_id"]] = max(last.get(event["user_id"], event["occurred_at"]), event["occurred_at"])
    for rows in driven.values():
        assert len(rows) > 20
        assert all(row["caused_on"] < row["dropped_out_on"] for row in rows)
        assert all(last[row["user_id"]].date() < row["dropped_out_on"] for row in rows if row["user_id"] in last)


def test_a_bad_delivery_and_its_replacement_are_sent_back(events, driven):
    for row in driven["bad_delivery"]:
        orders, refunds = (days_of(events, name, row["user_id"]) for name in ("Order Completed", "Order Refunded"))
        for after in (0, REPLACEMENT_DAYS):
            # why two days: a visit shortly before midnight orders after it
            assert {row["caused_on"] + timedelta(days=after + late) for late in (0, 1)} & set(orders)
            assert row["caused_on"] + timedelta(days=after + RETURN_DAYS) in refunds


def test_a_bad_review_has_one_star(events, driven):
    for row in driven["bad_review"]:
        at = row["caused_on"] + timedelta(days=REVIEW_DAYS)
        stars = [
            event["rating"]
            for event in events
            if (event["name"], event["user_id"]) == ("Product Reviewed", row["user_id"])
            and event["occurred_at"].date() == at
        ]
        assert 1.0 in stars


def test_whoever_slows_down_orders_less_and_less(events, driven):
    early = late = 0
    for row in driven["slowing"]:
        orders = days_of(events, "Order Completed", row["user_id"])
        early += sum(row["caused_on"] - timedelta(days=30) <= day < row["caused_on"] for day in orders)
        late += sum(row["caused_on"] <= day < row["caused_on"] + timedelta(days=30) for day in orders)
    assert late < 0.8 * early


def test_without_planted_causes_nobody_has_one_and_every_number_is_as_before(small_shop, simulated_year):
    known = truth(simulated_year[0], 30)
    assert known["leaving_cause"].null_count == known["caused_on"].null_count == known.num_rows
    people = simulated_year[0].people
    assert np.array_equal(people.dropout_day, people.natural_dropout_day)
    assert small_shop.leaving_cause_shares == (0.0, 0.0, 0.0)
    assert pc.sum(pc.cast(pc.is_valid(known["caused_on"]), "int64")).as_py() == 0
