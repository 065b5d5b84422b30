"""Nobody is sent what they have no need of any more because news of them come late, in another order, or elsewhere."""

import json
from datetime import timedelta

import pyarrow as pa
from tests.support.shops.campaign_shop import Person, ScriptedChannel, add_people
from tests.support.shops.journey_shop import (
    CART,
    advance,
    at_hour,
    entries,
    finish_run,
    happen,
    journey,
    send,
    standing,
    start,
    step,
)

from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import source_rules, validate_batch
from patron.collect.tracking_plan import load_tracking_plan
from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.commands.segments.save_segment import save_segment
from patron.engage.journeys.journey_triggers import segment_matches
from patron.govern.access.request_context import RequestContext
from patron.schema.tables import PRODUCTS
from patron.storage.shop import SETTINGS_FILE, Shop

ANN, BEN = Person("ann"), Person("ben")
RULE = {"field": "lifecycle_stage", "op": "==", "value": "lapsed"}


def accept(shop, user_id, event, at):
    """Let the collector accept an event, which nobody moves into the lake yet."""
    message = {"type": "track", "event": event, "messageId": f"{user_id}{at}", "userId": user_id}
    message |= {"timestamp": at.isoformat(), "properties": {"order_id": "1", "revenue": 9}}
    plan = load_tracking_plan(shop.folder, is_strict=False)
    rules = source_rules(shop, "shop", plan, is_secret=True, is_history=False)
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": [message]}).encode(), "shop", at, rules)])


def test_an_order_that_was_known_before_its_cart_ends_the_journey(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    happen(shop, ("ann", "Order Completed", at_hour(1, 30), {"order_id": "1"}))
    advance(shop, at_hour(1, 31), channel)
    carts = [(who, "Product Added", at_hour(1)) for who in ("ann", "ben")]
    happen(shop, *carts, received_at=at_hour(3))
    advance(shop, at_hour(3), channel)
    assert channel.addresses == [BEN.address]
    assert sorted(standing(shop)) == [("finished", "", 2), ("left", "exit_event", 0)]


def test_an_order_that_was_known_before_a_price_of_the_same_morning_ends_the_journey(open_shop):
    settings, channel = open_shop.folder / SETTINGS_FILE, ScriptedChannel()
    settings.write_text(
        settings.read_text("utf-8").replace("\n[rates]\n", "\n[rates]\nJPY = 0.007\n"), encoding="utf-8"
    )
    shop, tea = Shop.open(open_shop.folder), {"product_id": "tea"}
    happen(shop, (None, "Product Updated", at_hour(-200), tea | {"price_cents": 1000}))
    happen(shop, *[(who, "Product Viewed", at_hour(-10), tea) for who in ("ann", "ben")])
    text = {"subject": "Tea", "body": "now {{ product.price }} {{ unsubscribe_url }}", "format": "html"}
    start(shop, journey((send(template={"en": text}),), {"product": "price_drop"}))
    happen(shop, ("ann", "Order Completed", at_hour(2), {"order_id": "1"}))
    advance(shop, at_hour(2, 1), channel)
    in_yen = tea | {"price_cents": 99, "currency": "JPY"}
    happen(shop, (None, "Product Updated", at_hour(2), in_yen), received_at=at_hour(2, 2))
    advance(shop, at_hour(2, 2), channel)
    assert entries(shop) == []
    happen(shop, (None, "Product Updated", at_hour(1), tea | {"price_cents": 900}), received_at=at_hour(3))
    shop.lake.replace(PRODUCTS, pa.Table.from_pylist([tea | {"price_cents": 1000}], schema=PRODUCTS.schema()))
    finish_run(shop, at_hour(-1), [ANN, BEN])
    advance(shop, at_hour(3), channel)
    assert channel.addresses == [BEN.address]
    assert "now 9.0" in channel.taken[0].html


def test_who_ordered_after_the_run_s_cutoff_does_not_enter_as_its_member(open_shop):
    shop = open_shop
    save_segment(RequestContext.from_name(shop, "Ann", now=at_hour(-9)), {"name": "leaving", "rule": RULE})
    start(shop, journey(trigger={"enters": "leaving", "includes_members": True}))
    happen(shop, ("ann", "Order Completed", at_hour(2, 30), {"order_id": "1"}))
    finish_run(shop, at_hour(2), [ANN, BEN], [ANN, BEN])
    advance(shop, at_hour(3))
    assert len(entries(shop)) == 1


def test_whom_a_segment_has_from_its_first_run_on_has_not_become_a_member(open_shop):
    shop = open_shop
    finish_run(shop, at_hour(-20), [ANN, BEN])
    save_segment(RequestContext.from_name(shop, "Ann", now=at_hour(-9)), {"name": "leaving", "rule": RULE})
    start(shop, journey(trigger={"enters": "leaving"}))
    finish_run(shop, at_hour(2), [ANN, BEN], [ANN])
    advance(shop, at_hour(3))
    assert entries(shop) == []
    finish_run(shop, at_hour(12), [ANN, BEN], [BEN])
    advance(shop, at_hour(13))
    assert len(entries(shop)) == 1


def test_whoever_becomes_a_member_while_a_journey_is_paused_does_not_enter_later(open_shop):
    shop = open_shop
    save_segment(RequestContext.from_name(shop, "Ann", now=at_hour(-90)), {"name": "leaving", "rule": RULE})
    finish_run(shop, at_hour(-20), [ANN, BEN])
    start(shop, journey(trigger={"enters": "leaving"}))
    advance(shop, at_hour(1))
    step(shop, "paused", at=at_hour(1))
    finish_run(shop, at_hour(2), [ANN, BEN], [ANN])
    advance(shop, at_hour(3))
    step(shop, "resumed", at=at_hour(4))
    advance(shop, at_hour(5))
    assert entries(shop) == []
    finish_run(shop, at_hour(12), [ANN, BEN], [BEN])
    advance(shop, at_hour(13))
    assert len(entries(shop)) == 1


def test_a_birthday_is_not_missed_where_a_journey_goes_on_after_the_day_s_look(open_shop):
    shop = open_shop
    born = {"personal": json.dumps({"birthday": "1990-03-04"})}
    happen(shop, ("ann", "Identify", at_hour(-9), born))
    for name in ("first", CART):
        start(shop, journey(name=name, trigger={"date": "birthday", "hour": 18}))
    step(shop, "paused", at=at_hour(24))
    advance(shop, at_hour(48))
    step(shop, "resumed", at=at_hour(49))
    advance(shop, at_hour(50))
    assert [len(entries(shop, name)) for name in ("first", CART)] == [1, 1]


def test_members_who_are_left_when_a_journey_is_paused_enter_once_it_goes_on(open_shop, monkeypatch):
    shop, people = open_shop, [Person(name) for name in ("ann", "ben", "kim")]
    add_people(shop, people)
    monkeypatch.setitem(segment_matches.__kwdefaults__, "most", 2)
    save_segment(RequestContext.from_name(shop, "Ann", now=at_hour(-9)), {"name": "leaving", "rule": RULE})
    start(shop, journey(trigger={"enters": "leaving", "includes_members": True}))
    finish_run(shop, at_hour(2), people, people)
    assert advance(shop, at_hour(3)) == at_hour(3)
    step(shop, "paused", at=at_hour(3))
    assert advance(shop, at_hour(3, 1)) != at_hour(3, 1)
    finish_run(shop, at_hour(3, 2), people, stage="lapsed")
    advance(shop, at_hour(3, 3))
    step(shop, "resumed", at=at_hour(4))
    for minute in range(3):
        advance(shop, at_hour(4, minute))
    assert len(entries(shop)) == 3


def test_an_order_that_waits_in_the_inbox_ends_a_journey_that_begins_at_once(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey((send(),)))
    happen(shop, *[(who, "Product Added", at_hour(1)) for who in ("ann", "ben")])
    accept(shop, "ann", "Order Completed", at_hour(1, 1))
    advance(shop, at_hour(1, 2), channel)
    assert channel.addresses == [BEN.address]


def test_an_order_that_comes_while_others_are_sent_for_long_is_heard_of(open_shop):

    class Slow(ScriptedChannel):
        async def hand_over(self, handed):
            async for one in super().hand_over(handed):
                world["now"] += timedelta(minutes=1)
                accept(shop, "ann", "Order Completed", at_hour(2))
                yield one

    shop, channel, world = open_shop, Slow(), {"now": at_hour(1)}
    start(shop, journey(exit_on=[], name="a slow one"))
    start(shop, journey(name="b"))
    happen(shop, ("ben", "Product Added", at_hour(1)), ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1))
    world["now"] = at_hour(2)
    advance_journeys(shop, clock=lambda: world["now"], channel=lambda _: channel)
    assert channel.addresses.count(ANN.address) == 1
    assert sorted(standing(shop, "b")) == [("finished", "", 2), ("left", "exit_event", 1)]
