"""The server sends due campaigns by itself, and lets what is on its way be answered when it ends."""

import time
from datetime import UTC, datetime, timedelta

from tests.support.mail_server import mail_server
from tests.support.shops.campaign_shop import NAME, Person, add_people, approve, with_mail_server, with_policy

from patron.commands.outreach.messages.hold_sending import hold_sending, release_sending
from patron.commands.outreach.messages.send_campaign import summary_of
from patron.govern.access.request_context import RequestContext
from patron.service.campaign_sender import CampaignSender
from patron.storage.outreach.campaign_file import CAMPAIGN

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def wait_for(condition, seconds=90):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


def window(since, until):
    return {"start": f"{NOW + since:%Y-%m-%dT%H:%M:%S}", "end": f"{NOW + until:%Y-%m-%dT%H:%M:%S}"}


def test_a_due_campaign_is_sent_without_anybody_asking_and_one_of_tomorrow_is_not(shop):
    shop = with_policy(shop)
    people = [Person("ann"), Person("ben")]
    add_people(shop, people)
    sender = CampaignSender(shop, lambda: datetime.now(UTC), check_seconds=0.1)
    approve(shop, people, name="tomorrow", **window(DAY, 2 * DAY))
    assert not sender.is_due(NOW)
    approve(shop, people, **window(-DAY, DAY))
    assert sender.is_due(NOW)
    sender.start()
    wait_for(lambda: CAMPAIGN.saved_in(shop.store, NAME).state == "ended")
    sender.stop()
    assert (summary_of(shop, NAME).sent_count, sender.trouble) == (2, "")
    assert CAMPAIGN.saved_in(shop.store, "tomorrow").state == "approved"


def test_a_server_that_ends_leaves_no_message_of_unknown_outcome(shop):
    with mail_server() as server:
        shop = with_mail_server(with_policy(shop), server.port, messages_per_second=10)
        people = [Person(f"p{n:02d}") for n in range(70)]
        add_people(shop, people)
        approve(shop, people, channel="email", **window(-DAY, DAY))
        sender = CampaignSender(shop, lambda: datetime.now(UTC), check_seconds=0.1)
        sender.start()
        wait_for(lambda: len(server.messages) > 2)
        sender.stop()
        summary = summary_of(shop, NAME)
    assert (summary.unknown_count, summary.state) == (0, "running")
    assert summary.sent_count == len(server.messages) < len(people)


def test_no_process_is_started_while_sending_is_held_and_one_is_once_it_is_released(shop):
    shop, people = with_policy(shop), [Person("ann")]
    ann = RequestContext.from_name(shop, "Ann", now=NOW)
    add_people(shop, people)
    approve(shop, people, **window(-DAY, DAY))
    sender = CampaignSender(shop, lambda: NOW)
    hold_sending(ann, since=NOW)
    assert not any(sender.is_due(NOW + timedelta(minutes=minutes)) for minutes in range(3))
    release_sending(ann, is_nothing_sent=True)
    assert sender.is_due(NOW)
