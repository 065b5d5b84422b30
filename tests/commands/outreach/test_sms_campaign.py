"""A campaign by SMS and a described provider: numbers from the vault, what is suppressed, and receipts."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.support.shops.campaign_shop import AT, Person, add_people, approve, customer_of, load, messages, with_policy

from http_server import Answer, http_server
from patron.commands.outreach.messages.preview_message import preview_message
from patron.commands.outreach.messages.receive_receipts import receive_webhook
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.commands.outreach.messages.subscriptions import find_subscription, preferences, unsubscribe
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.suppression_list import reasons_of
from patron.govern.vault import Vault
from patron.schema.errors import BadRequest
from patron.schema.outreach.channels import CHANNELS
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.shop import SETTINGS_FILE, Shop
from patron_command import run_patron

ANN, BEN, CAI, DAN = (Person(name) for name in ("ann", "ben", "cai", "dan"))
NUMBERS = {"ann": "+49 30 111222", "ben": "030 333444", "cai": "+49 (30) 555-666"}
TEMPLATE = {"en": {"subject": "Hello", "body": "Hi {{ customer.first_name }}: {{ unsubscribe_url }}", "format": "text"}}


@pytest.fixture
def sms(shop):
    """A shop whose provider of text messages is on this machine, and the server."""
    with http_server() as server:
        path = shop.folder / SETTINGS_FILE
        section = '[channels.sms]\nprovider_file = "sms.toml"\nlocal_hosts = ["127.0.0.1"]\n'
        section += '[channels.sms.secret_files]\nAPI_KEY = "sms-key"\n'
        path.write_text(f"{path.read_text('utf-8')}\n{section}", encoding="utf-8")
        example = CHANNELS["sms"].provider_example.replace("http://127.0.0.1:8400", server.url)
        (shop.folder / "sms.toml").write_text(example, encoding="utf-8")
        (shop.folder / "sms-key").write_text("s3cr3t\n", encoding="utf-8")
        open_shop = with_policy(Shop.open(shop.folder))
        yield open_shop, server
        open_shop.close()


def add_numbers(shop):
    add_people(shop, [ANN, BEN, CAI, DAN])
    phone = {"occurred_at": AT - timedelta(days=9), "name": "Identify"}
    load(
        shop,
        [
            phone | {"event_id": f"phone-{name}", "user_id": name, "personal": json.dumps({"phone": number})}
            for name, number in NUMBERS.items()
        ],
    )
    approve(shop, [ANN, BEN, CAI, DAN], channel="sms", template=TEMPLATE)


def test_numbers_are_written_to_and_those_that_do_not_exist_are_suppressed(sms):
    shop, server = sms
    add_numbers(shop)
    gone = json.dumps({"code": "unknown_number"}).encode()
    server.answer = lambda one: Answer(400, gone) if b"333444" in one.body else Answer(202, b'{"id": "m-1"}')
    send_campaign(RequestContext.from_name(shop, now=AT), "win back")
    sent = {content["to"]: content for content in (json.loads(request.body) for request in server.requests)}
    assert sent.keys() == {"+4930111222", "+4930333444", "+4930555666"}
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer s3cr3t"}
    states = messages(shop)
    assert states[customer_of(shop, ANN)] == ("sent", "")
    assert states[customer_of(shop, BEN)] == ("failed", "rejected")
    assert states[customer_of(shop, DAN)] == ("skipped", "no_address")
    vault = Vault.open(shop)
    assert reasons_of(shop.store, vault.token("phone", "+4930333444"), "sms") == {"": "hard_bounce"}

    link = sent["+4930111222"]["text"].partition("/u/")[2]
    subscription = find_subscription(shop, link)
    assert (subscription.channel, subscription.contact) == ("sms", vault.token("phone", NUMBERS["ann"]))
    unsubscribe(shop, subscription, now=AT)
    assert reasons_of(shop.store, subscription.contact, "sms") == {"offers": "unsubscribed"}
    choices = {(choice.topic, choice.channel): choice.is_on for choice in preferences(shop, subscription).choices}
    assert choices["offers", "sms"] is False

    reference = sent["+4930555666"]["reference"]
    receipt = {"reference": reference, "state": "failed", "code": "unknown_number", "at": "2024-03-01T13:00:00Z"}
    other = receipt | {"reference": "f" * 32}
    for recorded in (1, 0):
        counts = receive_webhook(shop, "sms", [receipt, other, {"state": "queued"}], now=AT)
        assert (counts.recorded, counts.repeated, counts.unknown) == (recorded, 1 - recorded, 1)
    assert reasons_of(shop.store, vault.token("phone", NUMBERS["cai"]), "sms") == {"": "hard_bounce"}
    with pytest.raises(BadRequest, match="not what the description says"):
        receive_webhook(shop, "sms", receipt | {"at": "yesterday"}, now=AT)
    with pytest.raises(BadRequest, match="not described"):
        receive_webhook(shop, "wechat", [receipt], now=AT)
    approve(shop, [ANN, BEN, CAI], name="again", channel="sms", template=TEMPLATE)
    send_campaign(RequestContext.from_name(shop, now=AT + timedelta(hours=1)), "again")
    assert {reason for _, reason in messages(shop, "again").values()} == {"suppressed"}
    with shop.store.begin() as connection:
        assert "30333444" not in str(connection.execute(sa.select(MESSAGES)).all())
    preview = preview_message(RequestContext.from_name(shop, "Lee", now=AT), "win back", customer_of(shop, ANN))
    assert (preview.has_address, preview.length.segments) == (True, 1)


def test_a_number_in_another_spelling_is_the_same_number(sms):
    shop, server = sms
    server.answer = lambda _: Answer(202, b'{"id": "m-1"}')
    add_numbers(shop)
    send_campaign(RequestContext.from_name(shop, now=AT), "win back")
    link = next(json.loads(request.body)["text"] for request in server.requests if b"+4930111222" in request.body)
    unsubscribe(shop, find_subscription(shop, link.partition("/u/")[2]), now=AT)
    at = AT + timedelta(hours=1)
    phone = {"occurred_at": AT, "name": "Identify", "user_id": "dan", "personal": json.dumps({"phone": "030 111222"})}
    again = phone | {"user_id": "cai", "personal": json.dumps({"phone": "0049 (0)30 333444"})}
    load(shop, [phone | {"event_id": "same-1"}, again | {"event_id": "same-2"}])
    approve(shop, [BEN, CAI, DAN], name="again", channel="sms", template=TEMPLATE)
    server.requests.clear()
    send_campaign(RequestContext.from_name(shop, now=at), "again")
    states = messages(shop, "again")
    assert states[customer_of(shop, DAN)] == ("skipped", "suppressed")
    assert [json.loads(request.body)["to"] for request in server.requests] == ["+4930333444"]
    assert sorted(states[customer_of(shop, one)][0] for one in (BEN, CAI)) == ["sent", "skipped"]


def test_a_channel_is_tried_by_a_message_to_oneself(sms):
    shop, server = sms
    server.answer = lambda _: Answer(202, b'{"id": "m-1"}')
    listed = run_patron("channels", "list", "--workspace", shop.folder)
    assert "sms  sms.toml  reachable" in listed.out
    tried = run_patron("channels", "test", "+4930123456", "--channel", "sms", "--workspace", shop.folder)
    assert tried.code == 0
    assert tried.out.startswith("sent: HTTP 202 id m-1; ")
    assert "characters in GSM-7: 2 segments, costs 0.14" in tried.out
    [request] = server.requests
    assert "/u/" in json.loads(request.body)["text"]
    printed = run_patron("channels", "provider-example", "wechat")
    assert printed.out.rstrip() == CHANNELS["wechat"].provider_example.rstrip()
    (shop.folder / "sms-key").unlink()
    missing = run_patron("channels", "test", "+4930123456", "--channel", "sms", "--workspace", shop.folder)
    assert missing.code != 0
    assert "the secret API_KEY cannot be read" in missing.message
