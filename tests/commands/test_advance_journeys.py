"""Journeys advance: who enters, what ends or moves them on, what they are sent, and what a stopped process leaves."""

import pytest
from tests.support.campaign_shop import Person, ScriptedChannel, add_people, with_policy
from tests.support.journey_shop import (
    START,
    advance,
    at_hour,
    entries,
    happen,
    journey,
    message_states,
    send,
    standing,
    start,
)

ANN, BEN = Person("ann"), Person("ben")


@pytest.fixture
def open_shop(shop):
    shop = with_policy(shop)
    add_people(shop, [ANN, BEN])
    return shop


def test_an_abandoned_cart_is_reminded_of_once_and_an_order_before_ends_it(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    cart = {"product_id": "tea"}
    happen(shop, ("ann", "Product Added", at_hour(0, 1), cart), ("ben", "Product Added", at_hour(0, 2), cart))
    assert advance(shop, at_hour(0, 3), channel) == at_hour(1, 1)
    assert standing(shop) == [("active", "", 0)] * 2
    happen(shop, ("ben", "Order Completed", at_hour(0, 59), {"order_id": "1"}))
    assert advance(shop, at_hour(1, 1), channel) is None
    assert (channel.addresses, [one.text[:8] for one in channel.taken]) == ([ANN.address], ["Ann: tea"])
    assert standing(shop) == [("finished", "", 2), ("left", "exit_event", 0)]
    advance(shop, at_hour(2), channel)
    assert message_states(shop) == [("sent", "")]
    assert channel.addresses == [ANN.address]
