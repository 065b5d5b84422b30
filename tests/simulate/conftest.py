from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.simulate.visits import Visits

SMALL = replace(DEFAULT_SHOP, customers=300)


@pytest.fixture(scope="session")
def small_shop():
    return SMALL


@pytest.fixture(scope="session")
def simulated_year(small_shop):
    """The simulator after the year, to read only, and the events of the year."""
    world = ShopSimulator(small_shop, seed=7)
    return world, world.history(365)


@pytest.fixture(scope="session")
def year(simulated_year):
    return simulated_year[1]


@pytest.fixture(scope="session")
def customers(simulated_year):
    """Everybody who ever signs up, without anonymous visitors."""
    people = simulated_year[0].people
    return people.rows(~people.is_visitor)


@pytest.fixture(scope="session")
def visits_on(small_shop):
    """Make one visit of each person on each day."""

    def make(people, days, *, is_order=True, is_sale=False, offer=-1):
        row, day = np.tile(np.arange(len(people)), len(days)), np.repeat(np.asarray(days), len(people))
        months = np.array([(small_shop.start + timedelta(days=int(one))).month - 1 for one in days])
        return Visits(
            row=row,
            person=people.person[row],
            day=day,
            month=np.repeat(months, len(people)),
            is_order=np.full(len(row), is_order),
            is_sale=np.full(len(row), is_sale),
            offer=np.full(len(row), offer),
        )

    return make


@pytest.fixture(scope="session")
def come_true():
    """Whether as many of these events happened as their probabilities say, within 3 standard errors."""

    def as_many(happened, probability):
        probability = np.broadcast_to(probability, happened.shape)
        error = np.sqrt((probability * (1 - probability)).sum())
        assert error > 0
        return abs(happened.sum() - probability.sum()) < 3 * error

    return as_many


@pytest.fixture(scope="session")
def everyone_offered():
    def offers(world, user_ids, offer_id):
        return pa.table(
            {
                "user_id": user_ids,
                "offer_id": [offer_id] * len(user_ids),
                "decision_id": [f"decision {user_id}" for user_id in user_ids],
                "exposed_at": [world.now] * len(user_ids),
            }
        )

    return offers
