"""Journeys advance: who enters, what ends or moves them on, what they are sent, and what a stopped process leaves."""

import json
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from tests.support.shops.campaign_shop import POLICY, Person, ScriptedChannel, add_people, customer_of, with_policy
from tests.support.shops.journey_shop import (
    CART,
    START,
    WAIT_AN_HOUR,
    advance,
    approve,
    at_hour,
    entries,
    finish_run,
    happen,
    journey,
    message_states,
    send,
    standing,
    start,
    step,
    utc,
)

from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import forget
from patron.commands.segments.save_segment import save_segment as save_definition
from patron.decide.holdout import arm_of
from patron.engage.channels.channel import Outcome
from patron.engage.journeys.journey_position import read_position, write_position
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.errors import ChannelUnavailable, WorkspaceBusy
from patron.schema.tables import EVENTS, IDENTITIES
from patron.storage.outreach.campaign_offers import campaigns_spent_cents
from patron.storage.outreach.campaign_tables import ASSIGNMENTS
from patron.storage.outreach.journey_file import JOURNEY
from patron.storage.shop import Shop

ANN, BEN = Person("ann"), Person("ben")
OFFER = """
[[offers]]
id = "five"
kind = "coupon"
amount_off = 5.0
valid_days = 14
assumed_purchase_uplift = 0.08
"""


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


def test_who_comes_back_to_the_cart_enters_again_only_where_the_journey_says_so(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    start(shop, journey(name="again", reenter_after_days=1), channel=channel)
    for hour in (1, 12, 26, 30):
        happen(shop, ("ann", "Product Added", at_hour(hour)))
        advance(shop, at_hour(hour, 1), channel)
    advance(shop, at_hour(60), channel)
    assert [entry["entered_at"].hour for entry in entries(shop)] == [at_hour(1).hour]
    assert [entry["entered_at"].hour for entry in entries(shop, "again")] == [at_hour(1).hour, at_hour(26).hour]
    assert channel.addresses == [ANN.address] * 3


def test_a_wait_for_an_event_goes_on_at_once_when_it_happens_and_elsewhere_when_it_does_not(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    steps = (
        {"do": "wait_for", "event": "Product Viewed", "hours": 2, "then": "viewed", "otherwise": "end"},
        send(id="viewed"),
        {"do": "exit"},
        send(),
    )
    start(shop, journey(steps))
    happen(shop, ("ann", "Product Added", at_hour(1)), ("ben", "Product Added", at_hour(1)))
    advance(shop, at_hour(1, 1), channel)
    late = ("ben", "Product Viewed", at_hour(3, 1))
    happen(shop, ("ann", "Product Viewed", at_hour(3)), late)
    advance(shop, at_hour(3, 2), channel)
    assert channel.addresses == [ANN.address]
    assert sorted(standing(shop)) == [("finished", "", 4), ("left", "exit_step", 2)]


def test_nobody_enters_a_paused_journey_and_nothing_is_sent_but_waits_go_on(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1, 1), channel)
    step(shop, "paused", at=at_hour(1, 2))
    happen(shop, ("ben", "Product Added", at_hour(1, 30)))
    advance(shop, at_hour(3), channel)
    assert channel.addresses == []
    assert standing(shop) == [("active", "", 1)]
    step(shop, "resumed", at=at_hour(3))
    advance(shop, at_hour(3, 1), channel)
    assert (channel.addresses, standing(shop)) == ([ANN.address], [("finished", "", 2)])


def test_a_pause_that_outlasts_a_message_skips_it_and_the_customer_goes_on(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey((send(within_hours=2), WAIT_AN_HOUR, send())))
    step(shop, "paused")
    step(shop, "resumed", at=at_hour(1))
    happen(shop, ("ann", "Product Added", at_hour(1)))
    step(shop, "paused", at=at_hour(1))
    step(shop, "resumed", at=at_hour(1))
    advance(shop, at_hour(1), ScriptedChannel(lambda *_: Outcome.DEFERRED))
    advance(shop, at_hour(3, 30), channel)
    advance(shop, at_hour(5), channel)
    assert message_states(shop) == [("sent", ""), ("skipped", "late")]
    assert len(channel.taken) == 1


def test_customers_on_their_way_keep_the_steps_of_the_version_they_entered_by(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1, 1), channel)
    approve(shop, journey(({"do": "wait", "hours": 9}, send())), at_hour(1, 2))
    advance(shop, at_hour(1, 3), channel)
    happen(shop, ("ben", "Product Added", at_hour(1, 4)))
    assert advance(shop, at_hour(2), channel) == at_hour(10, 4)
    assert (channel.addresses, [entry["version"] for entry in entries(shop)]) == ([ANN.address], [1, 2])


def test_a_withdrawn_journey_and_one_whose_end_came_let_everybody_go(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    start(shop, journey(name="short", end="2024-03-01T13:30:00"))
    happen(shop, ("ann", "Product Added", at_hour(0, 40)))
    advance(shop, at_hour(0, 41), channel)
    step(shop, "withdrawn", at=at_hour(1))
    advance(shop, at_hour(1, 30), channel)
    assert standing(shop) == [("left", "withdrawn", 0)]
    assert standing(shop, "short") == [("left", "over", 0)]
    assert JOURNEY.saved_in(shop.store, "short").state == "ended"
    assert channel.addresses == []


def test_who_no_run_knows_is_reached_by_their_user_token_and_a_device_only_once_it_is_theirs(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey((send(),)))
    person = {"personal": json.dumps({"first_name": "Zoe", "email": "zoe@people.example"})}
    consent = {"properties": json.dumps({"purpose": "marketing", "basis": "consent"})}
    happen(shop, ("zoe", "Identify", at_hour(1), person), ("zoe", "Consent Given", at_hour(1), consent))
    happen(
        shop,
        ("zoe", "Product Added", at_hour(1)),
        (None, "Product Added", at_hour(1), {"anonymous_id": "phone"}),
        (None, "Product Added", at_hour(1), {"anonymous_id": "nobodys"}),
    )
    rows = shop.lake.read(IDENTITIES).to_pylist()
    device = {"token": Vault.open(shop).token("anonymous_id", "phone"), "customer_id": customer_of(shop, BEN)}
    rows.append(device | {"is_user": False, "known_at": START})
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, schema=IDENTITIES.schema()))
    advance(shop, at_hour(1, 1), channel)
    assert sorted(channel.addresses) == [BEN.address, "zoe@people.example"]


def test_two_ids_of_one_person_are_one_customer_once_a_run_says_so(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1, 1), channel)
    rows = shop.lake.read(IDENTITIES).to_pylist()
    merged = [row | {"customer_id": customer_of(shop, BEN)} for row in rows]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(merged, schema=IDENTITIES.schema()))
    happen(shop, ("ben", "Product Added", at_hour(1, 30)), ("ben", "Order Completed", at_hour(1, 40)))
    advance(shop, at_hour(2), channel)
    assert (standing(shop), channel.addresses) == ([("left", "exit_event", 0)], [])


def test_events_that_come_late_or_are_from_before_the_journey_make_nobody_enter(open_shop):
    shop = open_shop
    happen(shop, ("ann", "Product Added", at_hour(-1)))
    start(shop, journey(name="first"))
    happen(shop, ("ann", "Product Added", at_hour(1)), received_at=at_hour(26))
    happen(shop, ("ben", "Product Added", at_hour(-1)), received_at=at_hour(1))
    advance(shop, at_hour(26))
    assert entries(shop, "first") == []


def test_where_the_log_of_the_lake_is_gone_nobody_is_lost_or_enters_twice(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey(reenter_after_days=0))
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1, 1), channel)
    happen(shop, ("ben", "Product Added", at_hour(1, 2)))
    with shop.store.begin() as connection:
        write_position(connection, replace(read_position(connection), version=-5))
    advance(shop, at_hour(2, 1), channel)
    advance(shop, at_hour(3), channel)
    assert sorted(channel.addresses) == [ANN.address, BEN.address]
    assert len(entries(shop)) == 2


def test_a_first_order_counts_and_no_later_one(open_shop):
    shop = open_shop
    happen(shop, ("ben", "Order Completed", at_hour(-100), {"order_id": "0"}))
    start(shop, journey(trigger={"event": "Order Completed", "is_first": True}, reenter_after_days=0))
    happen(
        shop,
        *[("ann", "Order Completed", at_hour(n), {"order_id": str(n)}) for n in (1, 2)],
        ("ben", "Order Completed", at_hour(1), {"order_id": "9"}),
    )
    advance(shop, at_hour(3))
    assert [(entry["customer_id"], entry["entered_at"].hour) for entry in entries(shop)] == [
        (customer_of(shop, ANN), 13)
    ]


def test_members_of_a_segment_enter_by_the_run_that_finds_them_and_branches_ask_it(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    rule = {"field": "lifecycle_stage", "op": "==", "value": "lapsed"}
    save_definition(RequestContext.from_name(shop, "Ann", now=at_hour(-10)), {"name": "leaving", "rule": rule})
    steps = ({"do": "branch", "rule": rule, "otherwise": "end"}, send())
    start(shop, journey(steps, {"enters": "leaving"}))
    start(shop, journey(name="all", trigger={"enters": "leaving", "includes_members": True}))
    start(shop, journey(name="those", trigger={"event": "Product Added", "segment": "leaving"}))
    finish_run(shop, at_hour(-9), [ANN, BEN], [ANN])
    advance(shop, at_hour(1), channel)
    assert [len(entries(shop, name)) for name in (CART, "all")] == [0, 1]
    finish_run(shop, at_hour(2), [ANN, BEN], [BEN], stage="lapsed")
    happen(shop, ("ann", "Product Added", at_hour(3)))
    advance(shop, at_hour(3), channel)
    advance(shop, at_hour(3, 1), channel)
    assert [len(entries(shop, name)) for name in (CART, "all", "those")] == [1, 2, 1]
    assert standing(shop) == [("finished", "", 2)]
    assert channel.addresses.count(BEN.address) == 1


def test_a_cheaper_product_and_one_that_is_back_bring_in_those_who_were_interested(open_shop):
    shop = open_shop
    start(shop, journey(trigger={"product": "price_drop", "within_days": 3}))
    start(shop, journey(name="back", trigger={"product": "back_in_stock"}))
    tea = {"product_id": "tea"}

    def update(hour, cents, stock):
        fields = tea | {"price_cents": cents, "properties": json.dumps({"stock": stock})}
        return (None, "Product Updated", at_hour(hour), fields)

    happen(shop, update(-200, 1000, 0), ("ann", "Product Viewed", at_hour(-10), tea))
    happen(shop, ("ben", "Product Viewed", at_hour(-90), tea))
    happen(shop, update(1, 990, 0))
    advance(shop, at_hour(1, 1))
    assert entries(shop) == entries(shop, "back") == []
    happen(shop, update(2, 900, 5))
    advance(shop, at_hour(2, 1))
    assert [(entry["customer_id"], entry["product_id"]) for entry in entries(shop)] == [(customer_of(shop, ANN), "tea")]
    assert len(entries(shop, "back")) == 2


def test_a_birthday_comes_at_its_hour_by_the_clock_of_the_customer(shop):
    shop = with_policy(shop)
    tokyo = Person("kei", zone="Asia/Tokyo")
    add_people(shop, [ANN, tokyo])
    born = {"personal": json.dumps({"birthday": "1990-03-02"})}
    happen(shop, ("ann", "Identify", at_hour(-9), born), ("kei", "Identify", at_hour(-9), born))
    start(shop, journey((send(),), {"date": "birthday", "hour": 9}))
    assert advance(shop, at_hour(0, 1)) == utc("2024-03-02T00:00")
    channel = ScriptedChannel()
    advance(shop, utc("2024-03-02T00:00"), channel)
    assert channel.addresses == [tokyo.address]
    advance(shop, utc("2024-03-02T09:00"), channel)
    advance(shop, utc("2024-03-03T09:00"), channel)
    assert channel.addresses == [tokyo.address, ANN.address]


def test_the_holdout_takes_every_step_and_is_sent_nothing(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey(holdout_share=0.9))
    people = [Person(f"p{n}") for n in range(30)]
    add_people(shop, people)
    happen(shop, *[(person.name, "Product Added", at_hour(1)) for person in people])
    advance(shop, at_hour(1), channel)
    advance(shop, at_hour(2), channel)
    held = {entry["customer_id"] for entry in entries(shop) if entry["is_holdout"]}
    expected = {one for one in (customer_of(shop, p) for p in people) if arm_of(CART, one, 0.9) == "holdout"}
    assert held == expected
    assert len(channel.taken) == 30 - len(held)
    assert {entry["state"] for entry in entries(shop)} == {"finished"}
    with shop.store.begin() as connection:
        table = ASSIGNMENTS.c
        assigned = sa.select(table.customer_id).where(table.campaign == CART, table.is_holdout)
        assert set(connection.scalars(assigned)) == held


def test_quiet_hours_and_the_month_s_budget_keep_back_and_a_message_that_is_too_late_is_skipped(shop):
    policy = POLICY.replace("quiet_hours = []", 'quiet_hours = ["12:30-20:00"]')
    shop = with_policy(shop, policy + OFFER)
    add_people(shop, [ANN, BEN])
    channel = ScriptedChannel()
    start(shop, journey((send(),)))
    start(shop, journey((send(within_hours=2),), name="brief"))
    start(shop, journey((send(offer="five"),), name="dear", monthly_budget=9.0, reenter_after_days=0))
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1), channel)
    assert message_states(shop) == [("waiting", "quiet_hours")]
    assert message_states(shop, "brief") == [("skipped", "quiet_hours")]
    assert advance(shop, at_hour(7, 59), channel) == at_hour(8)
    advance(shop, at_hour(8), channel)
    happen(shop, ("ben", "Product Added", at_hour(9)))
    advance(shop, at_hour(9), channel)
    assert message_states(shop) == [("sent", "")] * 2
    assert message_states(shop, "dear") == [("sent", ""), ("skipped", "over_budget")]
    assert campaigns_spent_cents(shop.store, campaign="dear") == 500.0


@pytest.mark.usefixtures("message_events")
def test_a_process_that_ends_between_any_two_commits_sends_nothing_twice_and_loses_nobody(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    people = [Person(f"p{n:02d}") for n in range(25)]
    add_people(shop, people)
    start(shop, journey())
    happen(shop, *[(person.name, "Product Added", at_hour(1)) for person in people])
    world = Commits()
    for name in ("begin", "commit"):
        sa.event.listen(shop.store.engine, name, world.count)
    kills = 0
    for moment in range(1, 400, 7):
        world.left = moment
        try:
            advance(shop, at_hour(2, moment / 60), channel)
        except Killed:
            kills += 1
        else:
            break
    assert kills > 5
    world.left = None
    advance(shop, at_hour(3), channel)
    advance(shop, at_hour(40), channel)
    assert max(channel.attempts.values()) == 1
    states = [state for state, _ in message_states(shop)]
    assert states == ["sent"] * len(people)
    assert len(channel.taken) == len(people)
    assert {entry["state"] for entry in entries(shop)} == {"finished"}


class Killed(BaseException):
    """The process is gone."""


class Commits:
    """Ends the process at a transaction that begins or is committed."""

    left = None

    def count(self, _connection):
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise Killed


def test_only_one_process_advances_journeys(open_shop):
    start(open_shop, journey())
    other = Shop.open(open_shop.folder)

    class Meanwhile(ScriptedChannel):
        async def hand_over(self, handed):
            with pytest.raises(WorkspaceBusy, match="another process advances"):
                advance_journeys(other, clock=lambda: START)
            async for one in super().hand_over(handed):
                yield one

    happen(open_shop, ("ann", "Product Added", at_hour(1)))
    advance(open_shop, at_hour(1))
    channel = Meanwhile()
    advance(open_shop, at_hour(2), channel)
    assert channel.addresses == [ANN.address]
    other.close()


def test_a_channel_that_is_gone_loses_nobody(open_shop):
    class Gone(ScriptedChannel):
        async def hand_over(self, handed):
            for _ in handed:
                raise ChannelUnavailable("the provider is gone")
            yield

    shop, channel = open_shop, ScriptedChannel()
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)))
    advance(shop, at_hour(1))
    due_at, troubles = advance_journeys(shop, clock=lambda: at_hour(2), channel=lambda _: Gone())
    assert ([str(trouble) for trouble in troubles], due_at) == (
        ["the provider is gone"],
        at_hour(2) + timedelta(seconds=30),
    )
    advance(shop, at_hour(2, 1), channel)
    assert (channel.addresses, message_states(shop)) == ([ANN.address], [("sent", "")])


def test_forgetting_a_person_deletes_their_entries_and_an_export_shows_them(open_shop):
    shop = open_shop
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)), ("ben", "Product Added", at_hour(1)))
    advance(shop, at_hour(1))
    exported = export_customer(RequestContext.from_name(shop, now=at_hour(1)), user_id="ann")
    assert [entry["journey"] for entry in exported["tables"]["journey_entries"]] == [CART]
    forget(RequestContext.from_name(shop, now=at_hour(1)), user_id="ann")
    assert [entry["customer_id"] for entry in entries(shop)] == [customer_of(shop, BEN)]
    channel = ScriptedChannel()
    advance(shop, at_hour(2), channel)
    assert channel.addresses == [BEN.address]


@pytest.mark.usefixtures("message_events")
def test_messages_of_journeys_become_events_of_the_lake_once(open_shop):
    shop = open_shop
    start(shop, journey())
    happen(shop, ("ann", "Product Added", at_hour(1)))
    for hour in (1, 2, 3, 4):
        advance(shop, at_hour(hour), ScriptedChannel())
    sent = [one for one in shop.lake.read(EVENTS).to_pylist() if one["name"] == "Message Sent"]
    assert [(one["campaign_id"], one["channel"]) for one in sent] == [(CART, "file")]


def test_an_order_after_a_product_became_cheaper_counts_although_both_come_at_once(open_shop, monkeypatch):
    shop, channel = open_shop, ScriptedChannel()
    monkeypatch.setattr("patron.commands.outreach.journeys.fold_journey_events.ROWS", 1)
    tea = {"product_id": "tea"}
    happen(shop, (None, "Product Updated", at_hour(-200), tea | {"price_cents": 1000}))
    happen(shop, *[(who, "Product Viewed", at_hour(-10), tea) for who in ("ann", "ben")])
    start(shop, journey((send(),), {"product": "price_drop"}))
    happen(
        shop,
        (None, "Product Updated", at_hour(1), tea | {"price_cents": 900}),
        ("ann", "Product Viewed", at_hour(1), tea),
        ("ann", "Order Completed", at_hour(1, 1), {"order_id": "1"}),
    )
    advance(shop, at_hour(1, 2), channel)
    assert channel.addresses == [BEN.address]
