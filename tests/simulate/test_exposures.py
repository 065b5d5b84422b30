"""What reached customers is read in order of time, and what does not fit is refused with a reason."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron.schema.errors import InvalidTable, NotFound
from patron.simulate.event_batches import DAY_US
from patron.simulate.exposures import read_exposures

OFFERS = ["SAVE10", "SAVE20"]


@pytest.fixture
def read(simulated_year):
    """Read exposures of the first ten days of the shop: (user, offer, hours since its start)."""
    world = simulated_year[0]
    start = world.now - timedelta(days=world.day)
    start_us = int(start.timestamp()) * 1_000_000

    def table(rows):
        hours = [start + timedelta(hours=hours) if hours is not None else None for _, _, hours in rows]
        return pa.table(
            {
                "user_id": pa.array([user for user, _, _ in rows], pa.string()),
                "offer_id": pa.array([offer for _, offer, _ in rows], pa.string()),
                "decision_id": pa.array([f"d{at}" for at in range(len(rows))], pa.string()),
                "exposed_at": pa.array(hours, pa.timestamp("us", tz="UTC")),
            }
        )

    def read(*rows):
        return read_exposures(table(rows), "offer_id", OFFERS, world.people, start_us, (0, 10 * DAY_US))

    return read


def test_exposures_are_put_in_order_of_time_and_keep_their_decisions(read):
    found = read(("C3", "SAVE20", 60), ("C1", "SAVE10", 24), ("C2", "SAVE20", 24))
    assert found.person.tolist() == [1, 2, 3]
    assert found.item.tolist() == [0, 1, 1]
    assert found.decision == ["d1", "d2", "d0"]
    assert np.all(np.diff(found.exposed_us) >= 0)


def test_an_exposure_acts_on_its_day_when_at_midnight_and_else_from_the_next(read):
    assert read(("C1", "SAVE10", 48), ("C1", "SAVE10", 49), ("C1", "SAVE10", 71)).day.tolist() == [2, 3, 3]


def test_nothing_read_is_nothing_shown(read):
    assert len(read().person) == 0


@pytest.mark.parametrize("hours", [-1, 240])
def test_times_outside_the_step_are_refused(read, hours):
    with pytest.raises(InvalidTable, match="outside the time"):
        read(("C1", "SAVE10", 5), ("C1", "SAVE10", hours))


def test_an_exposure_without_a_time_is_refused(read):
    with pytest.raises(InvalidTable, match="exposed_at"):
        read(("C1", "SAVE10", 5), ("C1", "SAVE10", None))


@pytest.mark.parametrize("user", ["V4", "C", "C-1", "c1", "C99999999", "C1234567890123", None])
def test_an_id_that_is_not_a_customer_is_refused(read, user):
    with pytest.raises(NotFound, match="no customer"):
        read(("C1", "SAVE10", 5), (user, "SAVE10", 5))


def test_visitors_are_not_customers(read, simulated_year):
    visitor = int(np.flatnonzero(simulated_year[0].people.is_visitor)[0])
    with pytest.raises(NotFound, match=f"no customer 'C{visitor}'"):
        read((f"C{visitor}", "SAVE10", 5))


@pytest.mark.parametrize("offer", ["save10", "", None])
def test_offers_the_shop_does_not_make_are_refused(read, offer):
    with pytest.raises(NotFound, match="no offer_id"):
        read(("C1", offer, 5))


def test_times_of_any_zone_and_unit_mean_the_same_time(simulated_year):
    world = simulated_year[0]
    start = world.now - timedelta(days=world.day)
    at = start + timedelta(hours=30)
    columns = {"user_id": ["C1"], "offer_id": ["SAVE10"], "decision_id": ["d"]}

    def read_at(kind):
        times = pa.array([datetime.fromtimestamp(at.timestamp(), tz=start.tzinfo)]).cast(kind)
        rows = pa.table(columns | {"exposed_at": times})
        start_us = int(start.timestamp()) * 1_000_000
        return read_exposures(rows, "offer_id", OFFERS, world.people, start_us, (0, 10 * DAY_US)).exposed_us[0]

    kinds = [pa.timestamp("s", tz="UTC"), pa.timestamp("ns", tz="Asia/Tokyo"), pa.timestamp("us", tz="UTC")]
    assert {int(read_at(kind)) for kind in kinds} == {30 * 3_600_000_000}
