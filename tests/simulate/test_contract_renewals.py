"""Contracts are signed and not renewed as the truth says; without them every event is as before."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.simulate.contract_renewals import CAUSES
from patron.simulate.ground_truth import contract_truth, truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP

DAYS = 300
PLANTED = replace(DEFAULT_SHOP, customers=120, contract_share=0.6, lifetime_days=200.0)
CONTRACT_EVENTS = pa.array(["Contract Started", "Contract Cancelled"])


@pytest.fixture(scope="module")
def world():
    return ShopSimulator(PLANTED, seed=5)


@pytest.fixture(scope="module")
def events(world):
    return world.history(DAYS)


@pytest.fixture(scope="module")
def known(world, events):
    """Truth of the decisions until now; `events` are of the time before."""
    assert events.num_rows
    return contract_truth(world)


def is_contract(events):
    return pc.is_in(events["name"], CONTRACT_EVENTS)


def of_contracts(events):
    """Rows of events of contracts, with what their properties say."""
    columns = ["name", "user_id", "occurred_at", "price_cents", "properties"]
    rows = events.filter(is_contract(events)).select(columns).to_pylist()
    return [row | json.loads(row.pop("properties")) for row in rows]


def test_no_other_event_changes_and_nobody_signs_a_contract_in_the_default_shop(events):
    without = ShopSimulator(replace(PLANTED, contract_share=0.0), seed=5)
    assert events.filter(pc.invert(is_contract(events))).equals(without.history(DAYS))
    assert contract_truth(without).num_rows == DEFAULT_SHOP.contract_share == 0


def test_a_term_begins_where_the_one_before_ended_and_was_renewed(events, known):
    started = {(row["contract_id"], row["ends_at"]): row for row in of_contracts(events) if "ends_at" in row}
    assert {row["price_cents"] for row in started.values()} == {PLANTED.contract_price_cents}
    now = pc.max(events["occurred_at"]).as_py()
    for row in known.to_pylist():
        of_term = started[row["contract_id"], row["ends_at"].isoformat()]
        assert of_term["user_id"] == row["user_id"]
        assert of_term["occurred_at"] == row["ends_at"] - timedelta(days=30)
        renewal = (row["ends_at"] + timedelta(days=30)).isoformat()
        if row["ends_at"] < now:
            assert ((row["contract_id"], renewal) in started) == row["is_renewed"]


def test_a_cancellation_comes_ten_days_before_the_end_of_a_term_that_is_not_renewed(events, known):
    sent = {
        (contract["contract_id"], contract["occurred_at"].date())
        for contract in of_contracts(events)
        if "ends_at" not in contract
    }
    rows = [row for row in known.to_pylist() if row["is_cancelled"]]
    assert not any(row["is_renewed"] for row in rows)
    assert sent == {(row["contract_id"], row["ends_at"].date() - timedelta(days=10)) for row in rows} != set()


def test_as_many_are_not_renewed_of_each_cause_as_is_planted(world, known, come_true):
    customers = {row["user_id"]: row for row in truth(world, 30).to_pylist()}
    for row in known.to_pylist():
        is_gone = customers[row["user_id"]]["dropped_out_on"] <= row["ends_at"].date() - timedelta(days=10)
        assert row["cause"] == ("left_shop" if is_gone else "first_renewal" if row["term"] == 1 else "by_chance")
    for cause, share in zip(CAUSES, PLANTED.not_renewed_shares, strict=True):
        lost = np.invert(known.filter(pc.equal(known["cause"], cause))["is_renewed"].to_numpy())
        assert len(lost) > 30
        assert come_true(lost, share)


def test_advancing_in_steps_with_offers_meanwhile_changes_no_decision_before(everyone_offered):
    whole, steps = (ShopSimulator(PLANTED, seed=6) for _ in range(2))
    whole.history(DAYS)
    steps.history(DAYS - 60)
    before = contract_truth(steps)
    users = truth(steps, 30)["user_id"].to_pylist()
    later = steps.advance(whole.now, everyone_offered(steps, users, "SAVE20"))
    after = contract_truth(steps).to_pylist()
    assert [row for row in after if row in before.to_pylist()] == before.to_pylist()
    assert len({row["user_id"] for row in of_contracts(later)}) > 20
