"""The server's process for journeys: it starts when one is approved, advances it, and ends with the server."""

import time
from datetime import UTC, datetime

import sqlalchemy as sa
from tests.support.shops.campaign_shop import Person, add_people, with_policy
from tests.support.shops.journey_shop import CART, approve, happen, journey, message_states, send, step

from patron.service.journey_process import JourneyProcess
from patron.storage.outreach.journey_file import JOURNEY

ANN = Person("ann")


def wait_for(condition, seconds=90):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


def test_a_cart_is_reminded_of_a_second_later_and_the_process_ends_once_nothing_is_under_way(shop):
    shop = with_policy(shop)
    add_people(shop, [ANN])
    process = JourneyProcess(shop, lambda: datetime.now(UTC), check_seconds=0.1)
    process.start()
    now = datetime.now(UTC)
    approve(shop, journey(({"do": "wait", "minutes": 1 / 60}, send())), now)
    wait_for(lambda: JOURNEY.saved_in(shop.store, CART).state == "running")
    happen(shop, ("ann", "Product Added", datetime.now(UTC)))
    wait_for(lambda: message_states(shop) == [("sent", "")])
    child = process._child._process
    step(shop, "withdrawn", at=datetime.now(UTC))
    wait_for(lambda: child.returncode == 0)
    process.stop()
    assert process.trouble == ""


def test_a_store_that_is_away_for_a_while_ends_nothing(shop):
    process, table = JourneyProcess(shop, lambda: datetime.now(UTC), check_seconds=0.01), sa.table("campaigns")
    with shop.store.begin() as connection:
        connection.execute(sa.text("alter table campaigns rename to away"))
    process.start()
    wait_for(lambda: "campaigns" in process.trouble)
    with shop.store.begin() as connection:
        connection.execute(sa.text("alter table away rename to campaigns"))
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert process._thread.is_alive()
    process.stop()


def test_no_process_is_started_where_nothing_is_under_way(shop):
    process = JourneyProcess(shop, lambda: datetime.now(UTC), check_seconds=0.01)
    process.start()
    time.sleep(0.1)
    assert process._child._process is None
    process.stop()
