"""Customers who turn out to be one: nobody who was held out is written to, and nobody is written to twice."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from tests.support.shops.campaign_shop import (
    AT,
    NAME,
    POLICY,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    customer_of,
    messages,
    with_policy,
)
from tests.support.shops.journey_shop import (
    CART,
    advance,
    at_hour,
    entries,
    happen,
    journey,
    message_states,
    standing,
    start,
)

from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.decide.holdout import arm_of
from patron.govern.access.request_context import RequestContext
from patron.schema.tables import IDENTITIES

CAPPED = POLICY.replace("caps = []", "caps = [{ most = 1, within_days = 7 }]")
ANN, BEN = Person("ann"), Person("ben")


def become_one(shop, of, into):
    """Let a run find that customers are one with another."""
    ids = {customer_of(shop, one) for one in of}
    rows = shop.lake.read(IDENTITIES).to_pylist()
    rows = [row | ({"customer_id": customer_of(shop, into)} if row["customer_id"] in ids else {}) for row in rows]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, schema=IDENTITIES.schema()))


def people_of_arms(shop, share=0.5):
    """Somebody who is held out of a journey, and somebody who is not."""
    people = sorted((Person(f"p{n}") for n in range(20)), key=lambda one: customer_of(shop, one))
    held = [arm_of(CART, customer_of(shop, person), share) == "holdout" for person in people]
    chosen = people[max(n for n, is_held in enumerate(held) if is_held)], people[held.index(False)]
    add_people(shop, chosen)
    return chosen


def test_a_campaign_does_not_write_to_who_was_held_out_under_an_earlier_id(shop):
    shop, channel = with_policy(shop), ScriptedChannel()
    held = Person("ann", is_holdout=True)
    add_people(shop, [held, BEN])
    approve(shop, [held, BEN])
    become_one(shop, [held], BEN)
    send_campaign(RequestContext.from_name(shop, now=AT), NAME, channel=channel)
    assert channel.addresses == []
    assert sorted(messages(shop).values()) == [("skipped", "holdout"), ("skipped", "no_consent")]


def test_a_campaign_writes_once_to_two_who_become_one_between_their_messages(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    late = replace(BEN, send_at=AT + timedelta(hours=1))
    approve(shop, [ANN, late])
    send_campaign(RequestContext.from_name(shop, now=AT), NAME, channel=channel)
    become_one(shop, [ANN], BEN)
    send_campaign(RequestContext.from_name(shop, now=AT + timedelta(hours=1)), NAME, channel=channel)
    assert channel.addresses == [ANN.address]
    assert messages(shop)[customer_of(shop, BEN)] == ("skipped", "same_address")


def test_a_journey_does_not_write_to_who_was_held_out_under_an_earlier_id(shop):
    shop, channel = with_policy(shop), ScriptedChannel()
    held, treated = people_of_arms(shop)
    start(shop, journey(holdout_share=0.5))
    happen(shop, (held.name, "Product Added", at_hour(1)), (treated.name, "Product Added", at_hour(1, 1)))
    advance(shop, at_hour(1, 2))
    become_one(shop, [held], treated)
    advance(shop, at_hour(3), channel)
    assert channel.addresses == []
    assert sorted(standing(shop)) == [("finished", "", 2), ("left", "merged", 1)]


def test_who_enters_after_they_became_one_with_who_was_held_out_is_held_out(shop):
    shop = with_policy(shop)
    held, treated = people_of_arms(shop)
    start(shop, journey(holdout_share=0.5, reenter_after_days=0))
    happen(shop, (held.name, "Product Added", at_hour(1)), (treated.name, "Product Added", at_hour(1)))
    advance(shop, at_hour(2, 1))
    become_one(shop, [held], treated)
    happen(shop, (treated.name, "Product Added", at_hour(3)))
    advance(shop, at_hour(3))
    assert entries(shop)[-1]["is_holdout"]


@pytest.mark.parametrize("into", [ANN, BEN])
def test_two_who_are_on_their_way_and_become_one_get_one_message(open_shop, into):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)), ("ben", "Product Added", at_hour(1, 30)))
    advance(shop, at_hour(1, 31), channel)
    become_one(shop, [ANN, BEN], into)
    advance(shop, at_hour(2), channel)
    advance(shop, at_hour(2, 30), channel)
    assert len(channel.taken) == 1
    assert standing(shop) == [("finished", "", 2), ("left", "merged", 1)]


def test_caps_count_what_was_sent_under_an_earlier_id(shop):
    shop, channel = with_policy(shop, CAPPED), ScriptedChannel()
    add_people(shop, [ANN, BEN])
    start(shop, journey(reenter_after_days=0))
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1), channel)
    advance(shop, at_hour(2), channel)
    become_one(shop, [ANN], BEN)
    happen(shop, ("ben", "Product Added", at_hour(3)))
    advance(shop, at_hour(3), channel)
    advance(shop, at_hour(4), channel)
    assert len(channel.taken) == 1
    assert message_states(shop) == [("sent", ""), ("skipped", "capped")]
