"""Sending a campaign: who gets what, what is put off, what is kept, and what a stopped sender leaves."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
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
    step,
    with_policy,
)

from patron.commands.outreach.messages.send_campaign import preview_send, send_campaign
from patron.commands.outreach.messages.settle_message import settle_message, unknown_messages
from patron.commands.outreach.messages.subscriptions import choose, find_subscription, preferences, unsubscribe
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import forget
from patron.engage.channels.channel import Outcome
from patron.engage.channels.file import message_files
from patron.engage.message_queue import message_id_of
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.sent_messages import sent_message
from patron.govern.outreach.suppression_list import ALL_TOPICS, COMPLAINT, suppress, suppressed
from patron.govern.vault import Vault
from patron.schema.errors import BadCampaign, ChannelUnavailable, NoSpace, WorkspaceBusy
from patron.schema.tables import EVENTS
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.campaign_offers import campaigns_spent_cents, offers_by_customer, offers_issued
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.store.store import VAULT_TEXTS

ANN, BEN, CAI = Person("ann"), Person("ben"), Person("cai")
TEN = """
[[offers]]
id = "ten"
discount_share = 0.1
valid_days = 14
assumed_purchase_uplift = 0.08
stock = 2
"""


@pytest.fixture
def open_shop(shop):
    return with_policy(shop)


def ready(shop, *people, **changes):
    add_people(shop, people)
    approve(shop, people, **changes)
    return shop


def states(shop, campaign=NAME):
    return sorted(messages(shop, campaign).values())


def events(shop, name):
    rows = shop.lake.read(EVENTS)
    return [row for row in rows.to_pylist() if row["name"] == name]


def many(count, **facts):
    return [Person(f"p{n:03d}", **facts) for n in range(count)]


def test_everybody_who_may_be_written_to_gets_one_message_and_everybody_else_a_reason(open_shop):
    people = {
        ("sent", ""): ANN,
        ("skipped", "no_consent"): Person("nay", consent=False),
        ("skipped", "no_address"): Person("off", has_address=False),
        ("skipped", "topic_withdrawn"): Person("top", topic=False),
        ("skipped", "holdout"): Person("hol", is_holdout=True),
        ("skipped", "not_planned"): Person("unp", is_planned=False),
    }
    ready(open_shop, *people.values())
    channel = ScriptedChannel()
    summary = send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert messages(open_shop) == {customer_of(open_shop, person): state for state, person in people.items()}
    assert channel.addresses == [ANN.address]
    assert channel.taken[0].text.startswith("Hello Ann")
    assert (summary.sent_count, summary.skipped_count, summary.state, summary.is_settled) == (1, 5, "ended", True)
    with open_shop.store.begin() as connection:
        row = connection.execute(sa.select(MESSAGES).where(MESSAGES.c.state == "sent")).mappings().one()
        refused = connection.execute(sa.select(MESSAGES).where(MESSAGES.c.reason == "no_consent")).mappings().one()
    assert (row["consent_basis"], len(row["consent_event"])) == ("consent", 32)
    assert refused["consent_basis"] == "withdrawn"


def test_of_customers_with_one_address_one_gets_the_message_at_once_or_later(open_shop):
    people = [Person(f"h{n}", email="Home@people.example", send_at=AT + timedelta(hours=n // 2)) for n in range(4)]
    ready(open_shop, *people, ANN)
    channel = ScriptedChannel()
    assert preview_send(open_shop, NAME, now=AT).by_reason == {"due": 2, "same_address": 1}
    for hours in range(3):
        send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(hours=hours)), NAME, channel=channel)
    assert sorted(address.lower() for address in channel.addresses) == [ANN.address, "home@people.example"]
    assert states(open_shop) == [("sent", "")] * 2 + [("skipped", "same_address")] * 3
    approve(open_shop, people, name="another")
    assert (
        send_campaign(
            RequestContext.from_name(open_shop, now=AT + timedelta(hours=1)), "another", channel=channel
        ).sent_count
        == 1
    )


def test_events_of_messages_are_stored_once_and_receipts_follow(open_shop):
    ready(open_shop, ANN, BEN)
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=ScriptedChannel())
    message = message_id_of(NAME, customer_of(open_shop, ANN), "file")
    receipt = {"message_id": message, "kind": "bounced", "occurred_at": AT, "is_permanent": True, "detail": "5.1.1"}
    with open_shop.store.begin() as connection:
        connection.execute(sa.insert(RECEIPTS).values(receipt))
    for _ in range(2):
        send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(days=1)), NAME, channel=ScriptedChannel())
    sent, bounced = events(open_shop, "Message Sent"), events(open_shop, "Message Bounced")
    assert [len(sent), len(bounced)] == [2, 1]
    assert {(one["campaign_id"], one["channel"], one["source"]) for one in sent} == {(NAME, "file", "patron")}
    assert json.loads(bounced[0]["properties"])["message_id"] == message


def test_what_is_not_taken_is_tried_again_later_and_what_is_refused_never(open_shop):
    ready(open_shop, ANN, BEN, CAI)
    outcomes = {ANN.address: [Outcome.DEFERRED, Outcome.SENT], BEN.address: [Outcome.REJECTED]}
    channel = ScriptedChannel(lambda address, attempt: outcomes.get(address, [Outcome.SENT] * 9)[attempt - 1])
    summary = send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert states(open_shop) == [("failed", "rejected"), ("sent", ""), ("waiting", "not_taken")]
    assert summary.next_due_at == AT + timedelta(minutes=1)
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert channel.attempts == {ANN.address: 1, BEN.address: 1, CAI.address: 1}
    assert (
        send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(minutes=1)), NAME, channel=channel).state
        == "ended"
    )
    assert states(open_shop) == [("failed", "rejected"), ("sent", ""), ("sent", "")]


def test_a_message_of_unknown_outcome_is_never_sent_again_by_guess(open_shop):
    ready(open_shop, ANN, BEN, CAI)
    channel = ScriptedChannel(lambda address, _: Outcome.SENT if address == CAI.address else Outcome.UNKNOWN)
    assert send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel).unknown_count == 2
    send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(days=1)), NAME, channel=channel)
    assert sorted(channel.addresses) == [ANN.address, BEN.address, CAI.address]
    ann, ben = (message_id_of(NAME, customer_of(open_shop, one), "file") for one in (ANN, BEN))
    assert sorted(unknown_messages(open_shop, NAME)) == sorted([ann, ben])
    settle_message(RequestContext.from_name(open_shop, "Ann", now=AT), NAME, ben, is_sent=False)
    receipt = {"message_id": ann, "kind": "delivered", "occurred_at": AT, "is_permanent": False, "detail": ""}
    with open_shop.store.begin() as connection:
        connection.execute(sa.insert(RECEIPTS).values(receipt))
    good = ScriptedChannel()
    summary = send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(days=1)), NAME, channel=good)
    assert (good.addresses, summary.sent_count, summary.unknown_count) == ([BEN.address], 3, 0)
    with pytest.raises(BadCampaign, match="the message is sent"):
        settle_message(RequestContext.from_name(open_shop, "Ann", now=AT), NAME, ben, is_sent=False)


def test_quiet_hours_and_caps_put_off_and_the_end_of_the_campaign_skips(shop):
    policy = POLICY.replace("quiet_hours = []", 'quiet_hours = ["21:00-08:00"]')
    shop = with_policy(shop, policy.replace("caps = []", "caps = [{ most = 1, within_days = 20 }]"))
    tokyo = Person("kei", zone="Asia/Tokyo")  # 21:00 there when it is 12:00 UTC
    people = (ANN, tokyo)
    add_people(shop, people)
    for name in ("first", "second"):
        approve(shop, people, name=name)
    channel = ScriptedChannel()
    summary = send_campaign(RequestContext.from_name(shop, now=AT), "first", channel=channel)
    assert (channel.addresses, states(shop, "first")[1]) == ([ANN.address], ("waiting", "quiet_hours"))
    assert summary.next_due_at == AT + timedelta(hours=11)
    assert messages(shop, "first") != messages(shop, "second")
    send_campaign(RequestContext.from_name(shop, now=AT), "second", channel=channel)
    assert states(shop, "second") == [("skipped", "capped"), ("waiting", "quiet_hours")]
    send_campaign(RequestContext.from_name(shop, now=AT + timedelta(hours=11)), "first", channel=channel)
    assert channel.addresses == [ANN.address, tokyo.address]
    send_campaign(RequestContext.from_name(shop, now=AT + timedelta(days=30)), "second", channel=channel)
    assert CAMPAIGN.saved_in(shop.store, "second").state == "ended"
    assert states(shop, "second") == [("skipped", "capped"), ("skipped", "window_over")]


def test_an_offer_or_a_budget_that_runs_out_in_the_middle_skips_the_rest(shop):
    shop = with_policy(shop, POLICY + TEN)
    people = many(4, offer="ten", cost_cents=100.0)
    ready(shop, *people, offers=("ten",), budget=3.0)
    send_campaign(RequestContext.from_name(shop, now=AT), NAME, channel=ScriptedChannel())
    assert states(shop) == [*[("sent", "")] * 2, *[("skipped", "offer_out_of_stock")] * 2]
    approve(shop, many(4, cost_cents=100.0), name="dear", budget=3.0)
    send_campaign(RequestContext.from_name(shop, now=AT), "dear", channel=ScriptedChannel())
    assert states(shop, "dear") == [("sent", "")] * 3 + [("skipped", "over_budget")]
    day = timedelta(days=1)
    assert offers_issued(shop.store, AT - day, AT + day) == {"ten": 2}
    assert sorted(offers_by_customer(shop.store, AT - day, AT + day).values()) == [1, 1]
    assert campaigns_spent_cents(shop.store, AT - day, AT + day) == 500.0
    assert len(events(shop, "Offer Assigned")) == 2


def test_a_paused_campaign_stops_within_a_group_and_goes_on_when_it_is_resumed(open_shop):
    people = many(60)
    ready(open_shop, *people)

    def answer(_address, _attempt):
        if len(channel.attempts) == 5:
            step(open_shop, "paused")
        return Outcome.SENT

    channel = ScriptedChannel(answer)
    summary = send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    assert (summary.state, summary.sent_count, summary.waiting_count) == ("paused", 10, 50)
    with pytest.raises(BadCampaign, match="is paused"):
        send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    step(open_shop, "resumed")
    assert send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel).sent_count == 60
    assert len(set(channel.addresses)) == len(channel.addresses) == 60


def test_a_second_sender_is_told_so_and_a_run_is_not_held_up(open_shop):
    ready(open_shop, ANN)

    def answer(_address, _attempt):
        with pytest.raises(WorkspaceBusy, match="another process is sending the campaign 'win back'"):
            send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=ScriptedChannel())
        meanwhile = preview_send(open_shop, NAME, now=AT)
        assert (meanwhile.waiting_count, meanwhile.unknown_count) == (1, 0)
        with open_shop.lock(timeout_seconds=0):
            return Outcome.SENT

    assert (
        send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=ScriptedChannel(answer)).sent_count
        == 1
    )


class BrokenChannel(ScriptedChannel):
    """Takes some messages, then its provider is gone."""

    async def hand_over(self, handed):
        async for answer in super().hand_over(handed):
            yield answer
            if len(self.taken) == 3:
                next(iter(handed))  # why: it has a message in its hands, which it never answers
                raise ChannelUnavailable("the provider is gone")


def test_a_provider_that_is_gone_leaves_the_rest_to_be_sent(open_shop):
    people = many(30)
    ready(open_shop, *people)
    broken, good = BrokenChannel(), ScriptedChannel()
    with pytest.raises(ChannelUnavailable):
        send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=broken)
    assert states(open_shop).count(("sent", "")) == 3
    summary = send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=good)
    assert (summary.sent_count, summary.unknown_count) == (30, 0)
    assert sorted(broken.addresses + good.addresses) == sorted(person.address for person in people)


def test_a_full_disk_leaves_everything_resumable(open_shop):
    people = many(60)
    ready(open_shop, *people)
    channel, again = ScriptedChannel(), ScriptedChannel()

    with open_shop.store.begin() as connection:
        pages = connection.exec_driver_sql("pragma page_count").scalar_one()

    def limit(connection, _record, _proxy):
        connection.execute(f"pragma max_page_count = {pages + 4}")

    sa.event.listen(open_shop.store.engine, "checkout", limit)
    with pytest.raises(NoSpace):
        send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    sa.event.remove(open_shop.store.engine, "checkout", limit)
    open_shop.store.engine.dispose()
    summary = send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=again)
    assert 0 < len(channel.taken) < 60
    assert (summary.sent_count, summary.unknown_count) == (60, 0)
    assert sorted(channel.addresses + again.addresses) == sorted(person.address for person in people)


def test_a_dry_run_counts_and_writes_nothing(open_shop):
    ready(open_shop, ANN, BEN, Person("nay", consent=False))
    before = _rows(open_shop)
    summary = preview_send(open_shop, NAME, now=AT)
    assert dict(summary.by_reason) == {"due": 2, "no_consent": 1}
    assert (summary.sent_count, summary.waiting_count, _rows(open_shop)) == (0, 3, before)


def _rows(shop):
    with shop.store.begin() as connection:
        return [connection.scalar(sa.select(sa.func.count()).select_from(one)) for one in (MESSAGES, VAULT_TEXTS)]


def test_what_was_sent_is_kept_sealed_exported_and_shredded(open_shop):
    ready(open_shop, ANN, BEN)
    channel = ScriptedChannel()
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    vault, message = Vault.open(open_shop), message_id_of(NAME, customer_of(open_shop, ANN), "file")
    token, contact = vault.token("user_id", "ann"), vault.token("email", ANN.address)
    kept = sent_message(vault, token, message)
    assert (kept["recipient"], kept["subject"]) == (ANN.address, "Hello")
    assert kept["html"] == next(one.html for one in channel.taken if one.recipient == ANN.address)
    exported = export_customer(RequestContext.from_name(open_shop, now=AT), user_id="ann")
    texts = [json.loads(text["text"]) for text in exported["texts"] if text["source"] == "message"]
    assert [text["text"] for text in texts] == [kept["text"]]
    assert [one["campaign"] for one in exported["tables"]["messages"]] == [NAME]
    with open_shop.store.begin() as connection:
        size = connection.scalar(
            sa.select(sa.func.length(VAULT_TEXTS.c.ciphertext)).where(VAULT_TEXTS.c.event_id == message)
        )
    assert size < 400
    forget(RequestContext.from_name(open_shop, now=AT), user_id="ann")
    assert len(messages(open_shop)) == 1
    assert sent_message(Vault.open(open_shop), token, message) is None
    assert suppressed(open_shop.store, {contact}, "file", "offers") == set()


def test_files_of_the_file_channel_lose_who_is_forgotten(open_shop):
    ready(open_shop, ANN, BEN)
    assert send_campaign(RequestContext.from_name(open_shop, now=AT), NAME).sent_count == 2
    (path,) = message_files(open_shop.folder / "outbox")
    assert sorted(json.loads(line)["recipient"] for line in path.read_text().splitlines()) == [ANN.address, BEN.address]
    certificate = forget(RequestContext.from_name(open_shop, now=AT), user_id="ann")
    assert [json.loads(line)["recipient"] for line in path.read_text().splitlines()] == [BEN.address]
    assert certificate.files_left == ()


def test_a_consent_that_is_withdrawn_meanwhile_counts_at_the_next_attempt(open_shop):
    ready(open_shop, ANN)
    channel = ScriptedChannel(lambda _, attempt: Outcome.DEFERRED if attempt == 1 else Outcome.SENT)
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=channel)
    load(open_shop, [{**answer_event(ANN, "offers/file", is_granted=False, at=AT), "user_id": ANN.name}])
    send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(hours=1)), NAME, channel=channel)
    assert (channel.addresses, states(open_shop)) == ([], [("skipped", "topic_withdrawn")])


def test_a_hard_refusal_of_an_address_suppresses_it(open_shop):
    ready(open_shop, ANN)

    class Refusing(ScriptedChannel):
        async def hand_over(self, handed):
            async for answer in super().hand_over(handed):
                yield type(answer)(answer.message_id, Outcome.REJECTED, "550 5.1.1 no such user")

    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=Refusing())
    contact = Vault.open(open_shop).token("email", ANN.address)
    assert suppressed(open_shop.store, {contact}, "file", "other") == {contact}


def test_files_and_email_reach_one_mailbox_so_that_who_left_one_left_both(open_shop):
    ready(open_shop, ANN, BEN)
    with open_shop.store.begin() as connection:
        suppress(connection, Vault.open(open_shop).token("email", ANN.address), "email", ALL_TOPICS, COMPLAINT, AT)
    by_file, by_email, again = ScriptedChannel(), ScriptedChannel(), ScriptedChannel()
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=by_file)
    assert by_file.addresses == [BEN.address]
    link = find_subscription(open_shop, by_file.taken[0].unsubscribe_token)
    unsubscribe(open_shop, link, now=AT)
    approve(open_shop, [ANN, BEN], name="second", channel="email")
    send_campaign(RequestContext.from_name(open_shop, now=AT), "second", channel=by_email)
    assert by_email.addresses == []
    email = replace(link, channel="email")
    assert not any(choice.is_on for choice in preferences(open_shop, email).choices if choice.topic == "offers")
    choose(open_shop, email, {("offers", "email")}, now=AT + timedelta(hours=1))
    approve(open_shop, [ANN, BEN], name="third")
    send_campaign(RequestContext.from_name(open_shop, now=AT + timedelta(hours=2)), "third", channel=again)
    assert again.addresses == [BEN.address]


def test_a_template_that_lacks_a_value_skips_only_whom_it_is_missing_for(open_shop):
    body = 'Dear {{ customer.city }}, <a href="{{ unsubscribe_url }}">no more</a>'
    ready(open_shop, ANN, template={"en": {"subject": "Hello", "body": body, "format": "html"}})
    send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=ScriptedChannel())
    assert states(open_shop) == [("skipped", "missing_value")]


def test_planned_times_are_waited_for_unless_somebody_sends_early(open_shop):
    ready(open_shop, Person("ann", send_at=AT + timedelta(days=1)))
    waits = send_campaign(RequestContext.from_name(open_shop, now=AT), NAME, channel=ScriptedChannel())
    assert (waits.sent_count, waits.next_due_at) == (0, AT + timedelta(days=1))
    assert preview_send(open_shop, NAME, now=AT, is_early=True).by_reason == {"due": 1}
    assert (
        send_campaign(
            RequestContext.from_name(open_shop, now=AT), NAME, channel=ScriptedChannel(), is_early=True
        ).sent_count
        == 1
    )
