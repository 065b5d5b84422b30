"""Unsubscribe by one click and choose topics: from the message that a server received to the ledger and the list."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa

from mail_server import mail_server
from patron.collect.loader import load_events
from patron.commands.outreach.messages.subscriptions import choose, preferences
from patron.commands.privacy.forget import forget
from patron.engage.channels.channel import OutgoingMessage
from patron.engage.channels.dkim import new_key
from patron.engage.channels.email import EmailChannel
from patron.govern.access.request_context import RequestContext
from patron.govern.master_key import derive_keys
from patron.govern.outreach.suppression_list import COMPLAINT, reasons_of, suppress, suppressed
from patron.govern.outreach.unsubscribe_tokens import Subscription, subscription_of, token_of
from patron.govern.privacy.consent_ledger import history, latest_answer
from patron.govern.vault import Vault
from patron.interfaces.console.screenshots import served
from patron.interfaces.http.outreach import unsubscribe_routes
from patron.schema.table_definition import TIME
from patron.schema.tables import IDENTITIES
from patron.storage.outreach.campaign_tables import RECEIPTS
from patron.storage.shop import SETTINGS_FILE, Shop

AT = datetime(2024, 3, 1, tzinfo=UTC)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
MESSAGE_ID = "ab" * 16


@pytest.fixture
def known_shop(shop):
    row = {
        "event_id": ["i1"],
        "name": ["Identify"],
        "occurred_at": pa.array([AT], TIME),
        "user_id": ["ann"],
        "personal": ['{"email": "Ann@Customers.example"}'],
    }
    load_events(shop, pa.table(row), source="web", known="received", received_at=AT)
    return shop


@pytest.fixture
def subscription(known_shop):
    vault = Vault.open(known_shop)
    contact = vault.token("email", "ann@customers.example")
    return Subscription(vault.token("user_id", "ann"), contact, "email", "offers", MESSAGE_ID, "zh_CN")


@pytest.fixture
def token(known_shop, subscription):
    return token_of(derive_keys(known_shop.master_key()), subscription)


@pytest.fixture
def client(known_shop):
    unsubscribe_routes.LIMIT = unsubscribe_routes.ActionLimit()
    with served(known_shop) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


def answer(shop: Shop, subscription: Subscription, purpose: str):
    return latest_answer(history(shop.store, [subscription.token], [purpose]))


def receipts(shop: Shop) -> list[tuple[str, str]]:
    with shop.store.begin() as connection:
        return [tuple(row) for row in connection.execute(sa.select(RECEIPTS.c.message_id, RECEIPTS.c.kind))]


def is_suppressed(shop: Shop, subscription: Subscription, topic: str = "offers") -> bool:
    return bool(suppressed(shop.store, [subscription.contact], "email", topic))


def test_the_header_of_a_received_message_ends_its_topic_at_once(known_shop, subscription, token, client):
    with mail_server() as server:
        folder = Path(known_shop.folder)
        (folder / "dkim.pem").write_bytes(new_key())
        settings = (folder / SETTINGS_FILE).read_text("utf-8") + (
            f'\n[channels.email]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'
            f'from = "shop@shop.example"\npublic_url = "{str(client.base_url).rstrip("/")}"\n'
            'dkim_selector = "patron"\ndkim_key_file = "dkim.pem"\n'
        )
        (folder / SETTINGS_FILE).write_text(settings, "utf-8")
        known_shop.reload_settings()
        channel = EmailChannel.of(known_shop, clock=lambda: AT)
        message = OutgoingMessage(MESSAGE_ID, "ann@customers.example", "", "Hi", "Hello", "", "offers", token)

        async def send():
            return [one.outcome.value async for one in channel.hand_over([message])]

        assert asyncio.run(send()) == ["sent"]
    received = message_from_bytes(server.messages[0])
    url = re.match(r"<([^>]+)>", received["List-Unsubscribe"])[1]
    assert "list-unsubscribe:list-unsubscribe-post" in received["DKIM-Signature"]
    assert not is_suppressed(known_shop, subscription)
    for _ in range(2):
        posted = httpx.post(url, data=dict([received["List-Unsubscribe-Post"].split("=")]))
        assert (posted.status_code, "set-cookie" in posted.headers) == (200, False)
    assert is_suppressed(known_shop, subscription)
    assert not is_suppressed(known_shop, subscription, "news")
    entries = history(known_shop.store, [subscription.token], ["offers/email"])
    assert [(entry["is_granted"], entry["channel"]) for entry in entries] == [(False, "email")]
    assert receipts(known_shop) == [(MESSAGE_ID, "unsubscribed")]


def test_a_multipart_form_unsubscribes_and_an_empty_body_does_not(known_shop, subscription, token, client):
    assert client.post(f"/u/{token}").status_code == 200
    assert not is_suppressed(known_shop, subscription)
    client.post(f"/u/{token}", files={"List-Unsubscribe": (None, "One-Click")})
    assert is_suppressed(known_shop, subscription)


def test_opening_a_link_changes_nothing_and_shows_the_customers_language(known_shop, subscription, token, client):
    page = client.get(f"/u/{token}", headers={"accept-language": "en"})
    assert page.status_code == 200
    assert '<html lang="zh-CN">' in page.text
    assert "优惠与折扣" in page.text
    assert "<script" not in page.text
    assert client.get(f"/p/{token}").status_code == 200
    assert not is_suppressed(known_shop, subscription)
    assert answer(known_shop, subscription, "offers/email") is None
    keys = derive_keys(known_shop.master_key())
    other = token_of(keys, Subscription(subscription.token, subscription.contact, "email", "offers"))
    assert '<html lang="en">' in client.get(f"/u/{other}", headers={"accept-language": "en-GB"}).text


def test_a_token_that_we_did_not_make_has_one_answer(token, client):
    bad = ["x", "é", "A" * 2_000, token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), token[4:]]
    pages = {
        (page.status_code, page.text.replace(one, ""))
        for one in bad
        for page in (client.get(f"/u/{one}"), client.post(f"/u/{one}", data=ONE_CLICK), client.post(f"/p/{one}"))
    }
    assert len(pages) == 1
    assert {status for status, _ in pages} == {404}


def test_topics_are_chosen_one_by_one_and_can_be_taken_up_again(known_shop, subscription, token, client):
    client.post(f"/p/{token}", data={"on": ["news/email"]})
    assert (answer(known_shop, subscription, "offers/email"), is_suppressed(known_shop, subscription)) == (False, True)
    assert not is_suppressed(known_shop, subscription, "news")
    page = client.post(f"/p/{token}", data={"all_off": "1", "on": ["news/email"]}).text
    assert "checked" not in page
    assert answer(known_shop, subscription, "marketing") is False
    assert is_suppressed(known_shop, subscription, "news")
    page = client.post(f"/p/{token}", data={"on": ["offers/email"]}).text
    assert re.findall(r'value="(\w+/email)" checked', page) == ["offers/email"]
    assert answer(known_shop, subscription, "marketing") is True
    assert answer(known_shop, subscription, "offers/email") is True
    assert not is_suppressed(known_shop, subscription)
    assert is_suppressed(known_shop, subscription, "news")


@pytest.mark.parametrize(
    ("channel", "kind", "locale", "words"),
    [
        ("sms", "phone", "en", "no more messages of this kind: Offers and discounts (Text message)"),
        ("wechat", "wechat_open_id", "zh_CN", "您将不再收到此类消息"),
    ],
)
def test_every_channel_has_its_own_choice(known_shop, subscription, client, channel, kind, locale, words):
    contact = Vault.open(known_shop).token(kind, "+49 30 123456")
    link = token_of(
        derive_keys(known_shop.master_key()), Subscription(subscription.token, contact, channel, "offers", "", locale)
    )
    assert words in client.get(f"/u/{link}").text
    assert words in client.post(f"/u/{link}", data=ONE_CLICK).text
    assert reasons_of(known_shop.store, contact, channel) == {"offers": "unsubscribed"}
    assert answer(known_shop, subscription, f"offers/{channel}") is False
    assert answer(known_shop, subscription, "offers/email") is None
    assert not is_suppressed(known_shop, subscription)
    page = client.post(f"/p/{link}", data={"on": [f"offers/{channel}"]}).text
    assert f'value="offers/{channel}" checked' in page
    assert reasons_of(known_shop.store, contact, channel) == {"news": "unsubscribed"}


def test_a_complaint_about_one_channel_leaves_the_others_on(known_shop, subscription):
    contact = Vault.open(known_shop).token("phone", "+49 30 123456")
    with known_shop.store.begin() as connection:
        suppress(connection, contact, "sms", "", COMPLAINT, AT)
    section = '\n[channels.sms]\nprovider_file = "sms.toml"\n'
    path = Path(known_shop.folder) / SETTINGS_FILE
    path.write_text(path.read_text("utf-8") + section, "utf-8")
    known_shop.reload_settings()
    chosen = preferences(known_shop, Subscription(subscription.token, contact, "sms", "offers"))
    assert (chosen.is_undeliverable, any(choice.is_on for choice in chosen.choices)) == (True, False)
    chosen = preferences(known_shop, subscription)
    assert {(choice.topic, choice.channel) for choice in chosen.choices if choice.is_on} >= {
        ("offers", "email"),
        ("offers", "sms"),
    }


def test_who_comes_back_is_not_sent_to_after_a_complaint(known_shop, subscription, token, client):
    with known_shop.store.begin() as connection:
        suppress(connection, subscription.contact, "email", "", COMPLAINT, AT)
    page = client.post(f"/p/{token}", data={"on": ["offers/email", "news/email"]}).text
    assert "不再向该地址发送" in page
    assert reasons_of(known_shop.store, subscription.contact, "email") == {"": COMPLAINT}
    client.post(f"/u/{token}", data=ONE_CLICK)
    assert is_suppressed(known_shop, subscription, "news")


def test_a_no_counts_for_the_customer_although_they_said_yes_as_another_of_their_users_since(known_shop, subscription):
    vault, later = Vault.open(known_shop), AT + timedelta(days=1)
    row = {
        "event_id": ["i2", "c2"],
        "name": ["Identify", "Consent Given"],
        "occurred_at": pa.array([AT, later], TIME),
        "user_id": ["ann-2", "ann-2"],
        "properties": [None, '{"purpose": "marketing", "basis": "consent"}'],
    }
    load_events(known_shop, pa.table(row), source="web", known="received", received_at=later)
    other = vault.token("user_id", "ann-2")
    rows = [
        {"token": one, "customer_id": "c_1", "is_user": True, "known_at": AT} for one in (subscription.token, other)
    ]
    known_shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, schema=IDENTITIES.schema()))
    for days in (2, 4):
        choose(known_shop, subscription, set(), now=AT + timedelta(days=days))
        entries = history(known_shop.store, [subscription.token, other], ["marketing"])
        assert latest_answer(entries) is False
        row |= {"event_id": [f"i{days}", f"d{days}"], "occurred_at": pa.array([AT, AT + timedelta(days=3)], TIME)}
        load_events(known_shop, pa.table(row), source="web", known="received", received_at=AT + timedelta(days=3))


def test_a_form_with_more_fields_than_a_page_has_changes_nothing(known_shop, subscription, token, client):
    page = client.post(f"/p/{token}", content="&".join(["on=news/email"] * 501))
    assert page.status_code == 200
    assert not is_suppressed(known_shop, subscription)
    assert answer(known_shop, subscription, "offers/email") is None


def test_after_an_erasure_a_link_only_suppresses(known_shop, subscription, token, client):
    forget(RequestContext.from_name(known_shop, now=AT + timedelta(days=1)), user_id="ann")
    assert client.post(f"/u/{token}", data=ONE_CLICK).status_code == 200
    assert is_suppressed(known_shop, subscription)
    assert history(known_shop.store, [subscription.token]) == []
    assert receipts(known_shop) == []
    assert "我们没有您的资料" in client.post(f"/p/{token}", data={"on": ["offers/email"]}).text
    assert is_suppressed(known_shop, subscription)


def test_changes_by_one_token_are_bounded(token, client):
    statuses = [client.post(f"/u/{token}", data=ONE_CLICK).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2


def test_a_token_holds_what_it_was_made_of_and_shows_none_of_it(known_shop, subscription, token):
    keys = derive_keys(known_shop.master_key())
    assert subscription_of(keys, token) == subscription
    assert len(token) < 180
    assert not any(part in token for part in (subscription.token, "offers", MESSAGE_ID))
    assert token_of(keys, subscription) == token
