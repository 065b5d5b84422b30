"""Who is in the holdout is known without storing anything, and stored only for customers who are considered."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from patron import decide
from patron.decide.holdout import assign_holdout, is_in_holdout
from patron.run import stage_view
from patron.storage.offers.policy import Holdout
from patron.storage.runs.runs import Run
from patron.storage.store.store import EXPERIMENT_ARMS

NOW = datetime(2025, 1, 1, tzinfo=UTC)
CUSTOMERS = [f"c{n}" for n in range(200)]


@pytest.fixture
def store(shop):
    return stage_view(shop, decide, run=Run.at(NOW)).declared_store


def stored(store):
    with store.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(EXPERIMENT_ARMS))


def test_looking_at_the_holdout_stores_nothing_and_says_what_assigning_says(store):
    holdout = Holdout(share=0.3)
    before = is_in_holdout(store, holdout, CUSTOMERS)
    assert 0 < before.sum() < len(CUSTOMERS)
    assert stored(store) == 0
    assert (assign_holdout(store, holdout, CUSTOMERS, at=NOW) == before).all()
    assert stored(store) == len(CUSTOMERS)


def test_a_stored_arm_stays_when_the_share_changes(store):
    assign_holdout(store, Holdout(share=0.0), CUSTOMERS[:100], at=NOW)
    held = is_in_holdout(store, Holdout(share=0.9), CUSTOMERS)
    assert not held[:100].any()
    assert held[100:].any()
