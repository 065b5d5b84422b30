"""Sending a campaign: who gets what, what is put off, what is kept, and what a stopped sender leaves."""

import pytest
from tests.support.campaign_shop import (
    AT,
    NAME,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    customer_of,
    messages,
    with_policy,
)

from patron.commands.send_campaign import send_campaign
from patron.schema.tables import EVENTS

ANN, BEN, CAI = Person("ann"), Person("ben"), Person("cai")


@pytest.fixture
def open_shop(shop):
    return with_policy(shop)


def test_everybody_who_may_be_written_to_gets_one_message_and_everybody_else_a_reason(open_shop):
    people = {
        ("sent", ""): ANN,
        ("skipped", "no_consent"): Person("nay", consent=False),
        ("skipped", "no_address"): Person("off", has_address=False),
        ("skipped", "topic_withdrawn"): Person("top", topic=False),
        ("skipped", "holdout"): Person("hol", is_holdout=True),
        ("skipped", "not_planned"): Person("unp", is_planned=False),
    }
    add_people(open_shop, people.values())
    approve(open_shop, people.values())
    channel = ScriptedChannel()
    summary = send_campaign(open_shop, NAME, now=AT, channel=channel)
    assert messages(open_shop) == {customer_of(open_shop, person): state for state, person in people.items()}
    assert channel.addresses == [ANN.address]
    assert channel.taken[0].text.startswith("Hello Ann")
    assert (summary.sent_count, summary.skipped_count, summary.state, summary.is_settled) == (1, 5, "ended", True)
    names = open_shop.lake.read(EVENTS)["name"].to_pylist()
    assert names.count("Message Sent") == 1
