"""Sending while the world changes: what happens between a message's checks and its hand-over counts."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.support.mail_server import mail_server
from tests.support.shops.campaign_shop import (
    AT,
    NAME,
    POLICY,
    Person,
    ScriptedChannel,
    add_people,
    answer_event,
    approve,
    customer_of,
    load,
    messages,
    with_mail_server,
    with_policy,
)

from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.outreach.messages.message_handover import GROUP
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.engage.channels.channel import Outcome
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.suppression_list import UNSUBSCRIBED, suppress, suppressed
from patron.govern.vault import Vault
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.shop import Shop

RULES = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=True)
PEOPLE = [Person(f"p{n:02d}") for n in range(30)]


class InterruptedChannel(ScriptedChannel):
    """A channel during whose first message something happens."""

    def __init__(self, happens, answer=lambda _address, _attempt: Outcome.SENT):
        super().__init__(answer)
        self.happens = happens

    async def hand_over(self, handed):
        async for one in super().hand_over(handed):
            if self.happens:
                happens, self.happens = self.happens, None
                happens()
            yield one


@pytest.fixture
def open_shop(shop):
    return with_policy(shop)


def test_a_withdrawal_that_the_collector_accepted_counts_before_anybody_loads_it(open_shop):
    add_people(open_shop, PEOPLE[:2])
    approve(open_shop, PEOPLE[:2])
    withdrawal = {
        "type": "track",
        "event": "Consent Withdrawn",
        "userId": PEOPLE[0].name,
        "messageId": "w",
        "timestamp": (AT - timedelta(hours=1)).isoformat(),
        "properties": {"purpose": "marketing"},
    }
    with open_inbox(open_shop) as inbox:
        body = json.dumps({"batch": [withdrawal]}).encode()
        inbox.append([validate_batch(body, "web", AT - timedelta(hours=1), RULES)])
    channel = ScriptedChannel()
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert channel.addresses == [PEOPLE[1].address]


def test_who_unsubscribes_or_withdraws_while_a_batch_is_on_its_way_is_not_written_to(open_shop):
    add_people(open_shop, PEOPLE)
    approve(open_shop, PEOPLE)
    in_order = sorted(PEOPLE, key=lambda one: customer_of(open_shop, one))
    leaving, withdrawing = in_order[-1], in_order[-2]

    def leave():
        contact = Vault.open(open_shop).token("email", leaving.address)
        with open_shop.store.begin() as connection:
            suppress(connection, contact, "file", "offers", UNSUBSCRIBED, AT)
        load(open_shop, [answer_event(withdrawing, "marketing", is_granted=False, at=AT)])

    channel = InterruptedChannel(leave)
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert sorted(channel.addresses) == sorted(one.address for one in in_order[:-2])
    states = messages(open_shop)
    assert states[customer_of(open_shop, leaving)] == ("skipped", "suppressed")
    assert states[customer_of(open_shop, withdrawing)] == ("skipped", "no_consent")


def test_of_everybody_who_withdraws_in_the_middle_of_a_send_only_those_on_their_way_are_written_to(open_shop):
    """After the commit of the withdrawals at most 13 messages go out: a group of 10, and one on each connection."""
    people = [Person(f"q{n:03d}") for n in range(240)]
    with mail_server() as server:
        shop = with_mail_server(open_shop, server.port, connections=3)
        add_people(shop, people)
        approve(shop, people, channel="email")
        marked, taken_before = set[str](), list[int]()

        def withdraw(count):
            if count == 21:
                with closing(Shop.open(shop.folder)) as other:
                    load(other, [answer_event(one, "marketing", is_granted=False, at=AT) for one in people])
                    taken_before.append(len(server.messages))
                    on_their_way = MESSAGES.c.state.in_(("sending", "sent"))
                    with other.store.begin() as connection:
                        marked.update(connection.scalars(sa.select(MESSAGES.c.customer_id).where(on_their_way)))

        server.before_answer = withdraw
        summary = send_campaign(RequestContext.from_name(shop, now=AT), NAME)
        taken = server.recipients()
    assert {customer_of(shop, one) for one in people if one.address in taken} == marked
    assert len(taken) == len(set(taken)) == summary.sent_count
    assert 21 <= taken_before[0] < 240
    assert len(taken) - taken_before[0] <= GROUP + 3
    assert summary.by_reason == {"no_consent": 240 - len(taken)}


def test_two_campaigns_at_once_keep_to_the_cap_together(shop):
    shop = with_policy(shop, POLICY.replace("caps = []", "caps = [{ most = 1, within_days = 7 }]"))
    add_people(shop, PEOPLE)
    approve(shop, PEOPLE)
    approve(shop, PEOPLE, name="other")
    others = ScriptedChannel()

    def send_other():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(send_campaign, RequestContext.from_name(shop, now=AT), "other", channel=others).result()

    channel = InterruptedChannel(send_other)
    send_campaign(RequestContext.from_name(shop, now=AT), NAME, channel=channel)
    written_to = [*channel.addresses, *others.addresses]
    assert sorted(written_to) == sorted(person.address for person in PEOPLE)


def test_the_budget_counts_what_was_sent_and_not_what_was_checked_twice(open_shop):
    people = [replace(person, cost_cents=100.0) for person in PEOPLE]
    add_people(open_shop, people)
    approve(open_shop, people, budget=30.0)
    deferred = {person.address for person in people[:10]}
    channel = ScriptedChannel(lambda address, n: Outcome.DEFERRED if address in deferred and n == 1 else Outcome.SENT)
    clock = iter(AT + timedelta(seconds=20 * n) for n in range(10_000))  # why: a slow one, so that checks become old
    send_campaign(RequestContext.from_name(open_shop, now=AT, clock=lambda: next(clock)), NAME, channel=channel)
    send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(hours=2)), NAME, channel=channel)
    assert sorted(channel.addresses) == sorted(person.address for person in people)
    assert set(messages(open_shop).values()) == {("sent", "")}


def test_quiet_hours_that_begin_while_a_batch_is_on_its_way_put_the_rest_off(shop):
    shop = with_policy(shop, POLICY.replace("quiet_hours = []", 'quiet_hours = ["12:01-13:00"]'))
    add_people(shop, PEOPLE)
    approve(shop, PEOPLE)
    times = [AT]
    channel = InterruptedChannel(lambda: times.append(AT + timedelta(minutes=1)))
    summary = send_campaign(RequestContext.from_name(shop, now=AT, clock=lambda: times[-1]), NAME, channel=channel)
    assert (summary.sent_count, summary.by_reason) == (10, {"quiet_hours": 20})


def test_an_address_that_two_customers_have_gets_a_campaign_once(open_shop):
    class Shared(Person):
        address = "home@people.example"

    people = [Shared("amy"), Shared("bob")]
    add_people(open_shop, people)
    approve(open_shop, people)
    channel = ScriptedChannel()
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert channel.addresses == ["home@people.example"]
    assert sorted(messages(open_shop).values()) == [("sent", ""), ("skipped", "same_address")]


def test_a_topic_is_suppressed_in_every_spelling(open_shop):
    with open_shop.store.begin() as connection:
        suppress(connection, "e_1", "email", "offers", UNSUBSCRIBED, AT)
    assert suppressed(open_shop.store, ["e_1"], "email", "Offers") == {"e_1"}
