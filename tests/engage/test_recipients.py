"""Who customers are to a message: the latest address and name, from the vault, and nobody who was forgotten."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron.collect.loader import load_events
from patron.commands.outreach.messages.preview_message import preview_message, write_preview
from patron.commands.privacy.forget import forget
from patron.engage import recipients as module
from patron.engage.recipients import recipients
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.suppression_list import UNSUBSCRIBED, suppress, suppressed
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.errors import BadTemplate, NotFound
from patron.schema.outreach.channels import ADDRESS_KINDS, CHANNELS
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign

AT = datetime(2024, 3, 1, tzinfo=UTC)
PEOPLE = {
    "ann": [
        {"email": "old@x.example", "first_name": "Anne", "locale": "zh-cn"},
        {"email": "Ann@x.example", "firstName": "Ann"},
    ],
    "ben": [{"name": "Ben Berg", "email": "test@x"}],
    "cai": [{"email": "cai@x.example", "language": "de_at"}],
}


def put(shop, name, rows):
    table = BY_NAME[name]
    shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()))


@pytest.fixture
def known_shop(shop):
    rows = [
        (f"{user}-{number}", user, AT + timedelta(days=number), json.dumps(content))
        for user, contents in PEOPLE.items()
        for number, content in enumerate(contents)
    ]
    ids, users, times, personal = zip(*rows, strict=True)
    table = {"event_id": ids, "name": ["Identify"] * len(rows), "user_id": users, "personal": personal}
    table |= {"occurred_at": pa.array(times, TIME)}
    load_events(shop, pa.table(table), source="web", known="received", received_at=AT)
    vault = Vault.open(shop)
    tokens = {user: vault.token("user_id", user) for user in PEOPLE}
    put(
        shop,
        "identities",
        [
            {"token": token, "customer_id": initial_customer_id(token), "is_user": True, "known_at": AT}
            for token in tokens.values()
        ],
    )
    trait = {"customer_id": initial_customer_id(tokens["cai"]), "trait": "loyalty_tier", "occurred_at": AT}
    values = enumerate(("silver", "gold"))
    rows = [trait | {"value": value, "event_id": value, "known_at": AT + timedelta(days=n)} for n, value in values]
    zones = (("ann", "timezone", "Asia/Shanghai"), ("ben", "time_zone", "Mars/Base"), ("cai", "country", "AT"))
    for user, name, value in zones:
        who = {"customer_id": initial_customer_id(tokens[user]), "trait": name, "value": value}
        rows.append(trait | who | {"event_id": name, "known_at": AT})
    put(shop, "traits", rows)
    return shop


@pytest.fixture
def ids(known_shop):
    vault = Vault.open(known_shop)
    return {user: initial_customer_id(vault.token("user_id", user)) for user in PEOPLE}


def by_user(shop, ids, users=tuple(PEOPLE)):
    rows = [one for batch in recipients(shop, [ids[user] for user in users]) for one in batch]
    assert [row.customer_id for row in rows] == [ids[user] for user in users]
    return dict(zip(users, rows, strict=True))


def test_the_latest_address_and_name_count(known_shop, ids):
    people, vault = by_user(known_shop, ids), Vault.open(known_shop)
    ann = people["ann"]
    assert (ann.address, ann.contact) == ("Ann@x.example", vault.token("email", "ann@x.example"))
    assert (ann.token, ann.tokens) == (vault.token("user_id", "ann"), (vault.token("user_id", "ann"),))
    assert (ann.locale, ann.time_zone) == ("zh_CN", "Asia/Shanghai")
    assert ann.variables["customer"]["first_name"] == "Ann"
    assert ann.variables["shop"] == {"name": known_shop.settings.shop.name}
    assert (people["ben"].address, people["ben"].contact, people["ben"].time_zone) == ("", "", "")
    assert people["ben"].variables["customer"] == {
        "first_name": "Ben",
        "last_name": "Berg",
        "name": "Ben Berg",
        "time_zone": "Mars/Base",
    }
    assert people["cai"].variables["customer"] == {"loyalty_tier": "gold", "country": "AT"}
    assert (people["cai"].locale, people["cai"].time_zone) == ("de_AT", "Europe/Vienna")


def test_batches_are_bounded_and_hold_everybody_once(known_shop, ids, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "LOOKED_UP", 3)
    wanted = [*ids.values(), "f" * 32, *ids.values()]
    batches = list(recipients(known_shop, iter(wanted)))
    assert [len(batch) for batch in batches] == [2, 1, 2, 1, 1]
    assert [one.customer_id for batch in batches for one in batch] == wanted


def test_who_was_forgotten_has_no_address(known_shop, ids):
    forget(RequestContext.from_name(known_shop, now=AT + timedelta(days=3)), user_id="ann")
    ann = by_user(known_shop, ids)["ann"]
    assert (ann.address, ann.contact, ann.token, ann.tokens) == ("", "", "", ())
    assert by_user(known_shop, ids)["cai"].address == "cai@x.example"


def test_addresses_of_every_kind_are_the_latest_and_stay_in_the_vault(known_shop, ids):
    subscription = {"endpoint": "https://push.example/1", "keys": {"auth": "a", "p256dh": "b"}}
    contents = [
        {"phone": "+49 (30) 111-111", "wechatOpenId": "old", "web_push_subscription": {"endpoint": "https://x"}},
        {"mobile": "+49 30 222 333", "wechat_open_id": "oABC-1_x", "webPushSubscription": subscription},
        {"email": "ann@x.example"},
    ]
    table = {
        "event_id": [f"later-{number}" for number in range(3)],
        "name": ["Identify"] * 3,
        "user_id": ["new"] * 3,
        "occurred_at": pa.array([AT + timedelta(days=number) for number in range(3)], TIME),
        "personal": [json.dumps(content) for content in contents],
    }
    load_events(known_shop, pa.table(table), source="web", known="received", received_at=AT)
    vault = Vault.open(known_shop)
    token = vault.token("user_id", "new")
    new = initial_customer_id(token)

    def of(kind):
        [[person, cai]] = recipients(known_shop, [new, ids["cai"]], address=kind, tokens={new: token})
        assert cai.customer_id == ids["cai"]
        return person, cai

    phone, _ = of(CHANNELS["sms"].address_kind)
    assert (phone.address, phone.contact) == ("+4930222333", vault.token("phone", "+49 30 222 333"))
    wechat, nobody = of(CHANNELS["wechat"].address_kind)
    assert (wechat.address, wechat.contact) == ("oABC-1_x", vault.token("wechat_open_id", "oABC-1_x"))
    assert (nobody.address, nobody.contact, nobody.token) == ("", "", vault.token("user_id", "cai"))
    push, _ = of(CHANNELS["web_push"].address_kind)
    assert json.loads(push.address) == subscription
    assert push.contact == vault.token("web_push_subscription", json.dumps(subscription | {"expirationTime": None}))
    user, cai = of(CHANNELS["webhook"].address_kind)
    assert (user.address, user.contact, cai.address) == ("new", token, "cai")
    contacts = {phone.contact, wechat.contact, push.contact, user.contact}
    assert len(contacts) == 4
    with known_shop.store.begin() as connection:
        for contact in contacts:
            suppress(connection, contact, "any", "offers", UNSUBSCRIBED, AT)
    assert suppressed(known_shop.store, contacts | {cai.contact}, "any", "Offers") == contacts
    forget(RequestContext.from_name(known_shop, now=AT + timedelta(days=9)), user_id="new")
    forgotten = [of(kind)[0] for kind in ADDRESS_KINDS]
    assert {(one.address, one.contact, one.token) for one in forgotten} == {("", "", "")}


def campaign(subject: str) -> Campaign:
    template = {"subject": subject, "body": "<p>Hi</p><a href='{{ unsubscribe_url }}'>Leave</a>", "format": "html"}
    times = {"start": AT.replace(tzinfo=None), "end": AT.replace(tzinfo=None) + timedelta(days=9)}
    content = {
        "name": "spring",
        "segment": "all",
        "topic": "offers",
        "budget": 1,
        **times,
        "template": {"en": template},
    }
    return Campaign.of(content, where="test")


def test_a_campaign_is_previewed_for_a_real_customer_and_nothing_is_sent(known_shop, ids, tmp_path):
    with known_shop.store.begin() as connection:
        CAMPAIGN.save(connection, campaign("Hello {{ customer.first_name }}"), "A. Lee", AT)
    preview = preview_message(RequestContext.from_name(known_shop, "Lee", now=AT), "spring", ids["ann"])
    assert (preview.subject, preview.language, preview.has_address) == ("Hello Ann", "en", True)
    assert preview_message(RequestContext.from_name(known_shop, "Lee", now=AT), "spring", "ann").subject == "Hello Ann"
    write_preview(preview, tmp_path / "out.html")
    assert (tmp_path / "out.html").read_text("utf-8") == preview.html
    assert (tmp_path / "out.html").stat().st_mode & 0o077 == 0
    with pytest.raises(BadTemplate, match=r"customer\.first_name is undefined"):
        preview_message(RequestContext.from_name(known_shop, "Lee", now=AT), "spring", ids["cai"])
    with pytest.raises(NotFound):
        preview_message(RequestContext.from_name(known_shop, "Lee", now=AT), "autumn", ids["ann"])
    assert [entry.action for entry in audit_log.entries(known_shop.store)].count("message previewed") == 2
