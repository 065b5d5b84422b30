"""What became of messages: bounces and complaints suppress, forged ones change nothing, whoever reports them."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
import sqlalchemy as sa
from tests.support.shops import campaign_shop
from tests.support.shops.campaign_shop import (
    NAME,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    customer_of,
    with_policy,
)

from patron.commands.access.manage_keys import create_key
from patron.commands.outreach.messages.read_bounces import read_bounces
from patron.commands.outreach.messages.receive_receipts import receive_receipts
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.engage.message_queue import message_id_of, record_reported
from patron.engage.providers.bounce_messages import read_returned
from patron.engage.providers.provider_receipts import receipts_of
from patron.engage.providers.receipts import Receipt
from patron.engage.providers.standard_webhooks import keys_of, new_secret, signature_headers
from patron.govern.access.request_context import RequestContext
from patron.govern.master_key import derive_keys
from patron.govern.outreach.suppression_list import reasons_of
from patron.govern.outreach.unsubscribe_tokens import Subscription, token_of
from patron.interfaces.console.screenshots import served
from patron.schema.errors import BadRequest
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS, SUPPRESSIONS
from patron.storage.shop import SETTINGS_FILE, Shop
from patron.storage.store.store import WORKSPACE

AT = datetime(2024, 3, 1, 10, tzinfo=UTC)
NOW = datetime(2024, 3, 20, tzinfo=UTC)
IDS = [f"{number:032x}" for number in range(1, 8)]
CONTACT = "e_" + "0" * 32


@pytest.fixture
def sent_shop(shop):
    rows = [
        {
            "message_id": message_id,
            "campaign": f"c{number}",
            "customer_id": "f" * 32,
            "channel": "email",
            "topic": "offers",
            "state": "sent",
            "reason": "",
            "token": "u_" + "1" * 32,
            "contact": CONTACT,
            "offer": "",
            "consent_basis": "consent",
            "attempt_count": 1,
            "written_at": AT,
            "sent_at": AT,
        }
        for number, message_id in enumerate(IDS)
    ]
    with shop.store.begin() as connection:
        connection.execute(sa.insert(MESSAGES), rows)
    return shop


def report(kind: str, head: str, part_type: str, fields: str, returned: str) -> bytes:
    """A multipart/report as mail servers write it."""
    parts = (
        "Content-Type: text/plain\n\nThis is a report of the mail system.\n",
        f"Content-Type: message/{part_type}\n\n{fields}",
        *((f"Content-Type: message/rfc822\n\n{returned}",) if returned else ()),
    )
    body = "".join(f"--bound\n{part}\n" for part in parts)
    of = f'MIME-Version: 1.0\nContent-Type: multipart/report; report-type={kind}; boundary="bound"\n'
    return f"{head}{of}\n{body}--bound--\n".encode()


def dsn(message_id: str, status="5.1.1", action="failed", *, to="shop@shop.example", has_original=True) -> bytes:
    """A bounce as Postfix writes it."""
    head = f"From: MAILER-DAEMON@mx.example\nTo: {to}\nSubject: Undelivered\nDate: Fri, 01 Mar 2024 10:00:05 +0000\n"
    fields = (
        "Reporting-MTA: dns; mx.example\n\n"
        f"Final-Recipient: rfc822; ann@customers.example\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; 550 {status} unknown user\n"
    )
    return report("delivery-status", head, "delivery-status", fields, original(message_id) if has_original else "")


def complaint(message_id: str, feedback="abuse") -> bytes:
    """A complaint as providers send it."""
    fields = f"Feedback-Type: {feedback}\nUser-Agent: Provider/1.0\nVersion: 1\n"
    head = "To: shop@shop.example\nDate: Fri, 01 Mar 2024 11:00:00 +0000\n"
    return report("feedback-report", head, "feedback-report", fields, original(message_id))


def original(message_id: str) -> str:
    return f"From: shop@shop.example\nTo: ann@customers.example\nMessage-ID: <{message_id}@shop.example>\n\nHello\n"


def reasons(shop) -> dict[str, str]:
    return reasons_of(shop.store, CONTACT, "email")


def receipt_rows(shop) -> list[tuple]:
    of = RECEIPTS.c
    with shop.store.begin() as connection:
        return [tuple(row) for row in connection.execute(sa.select(of.message_id, of.kind, of.is_permanent, of.detail))]


def read(shop, tmp_path, *contents: bytes):
    folder = tmp_path / "returned"
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(contents):
        (folder / f"{number}.eml").write_bytes(content)
    return read_bounces(shop, folder, now=NOW)


def test_a_hard_bounce_suppresses_at_once_and_once(sent_shop, tmp_path):
    counts = read(sent_shop, tmp_path, dsn(IDS[0]))
    assert (counts.messages, counts.receipts.recorded, counts.receipts.suppressed) == (1, 1, 1)
    assert receipt_rows(sent_shop) == [(IDS[0], "bounced", True, "5.1.1")]
    assert reasons(sent_shop) == {"": "hard_bounce"}
    again = read(sent_shop, tmp_path)
    assert (again.receipts.recorded, again.receipts.repeated, again.receipts.suppressed) == (0, 1, 0)


def test_a_mail_that_no_detector_can_read_does_not_keep_the_others_back(sent_shop, tmp_path):
    returned = dsn(IDS[1], to=f"bounces+{IDS[1]}@b.example")
    odd = b"From: \xff\xfe\nDate: Mon, 99999999999 Jan 2024 10:00:00 +0000\n" + returned
    spam = b"From: \xc3(\nTo: bounces+%b@b.example\n\nHello" % IDS[1].encode()
    counts = read(sent_shop, tmp_path, spam, odd, dsn(IDS[0]))
    assert (counts.messages, counts.receipts.recorded) == (3, 2)


def test_the_return_path_alone_names_the_message(sent_shop, tmp_path):
    read(sent_shop, tmp_path, dsn("", to=f"bounces+{IDS[2]}@b.shop.example", has_original=False))
    assert receipt_rows(sent_shop) == [(IDS[2], "bounced", True, "5.1.1")]


@pytest.mark.parametrize("is_held", [False, True])
def test_what_became_of_reported_messages_suppresses_once_their_addresses_are_known(shop, is_held):
    shop = with_policy(shop)
    kinds = {
        "bounced": ("bounced", True, "hard_bounce"),
        "rejected": ("rejected", True, "hard_bounce"),
        "complained": ("complained", False, "complaint"),
        "left": ("unsubscribed", False, "unsubscribed"),
        "full": ("bounced", False, None),
        "opened": ("opened", False, None),
        "silent": (None, False, None),
    }
    people = [Person(name) for name in kinds]
    add_people(shop, people)
    ids = {one.name: message_id_of(NAME, customer_of(shop, one), "file") for one in people}
    receipts = [
        Receipt(ids[name], kind, campaign_shop.AT, is_permanent=is_permanent)
        for name, (kind, is_permanent, _) in kinds.items()
        if kind
    ]
    at = campaign_shop.AT
    hold = {"key": "sending_hold", "value": json.dumps({"since": str(at), "held_at": str(at), "is_restored": True})}
    counts = []
    if is_held:  # why: providers go on while a person finds out what was sent
        with shop.store.begin() as connection:
            connection.execute(sa.insert(WORKSPACE).values(hold))
        counts.append(receive_receipts(shop, receipts, now=at))
    with shop.store.begin() as connection:
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == hold["key"]))
        record_reported(connection, ids.values(), at)
    if not is_held:
        counts.append(receive_receipts(shop, [*receipts, Receipt("e" * 32, "complained", at)], now=at))
    counts.append(receive_receipts(shop, receipts, now=at))
    assert [(one.recorded, one.repeated, one.unknown) for one in counts] == [(6, 0, int(not is_held)), (0, 6, 0)]
    channel = ScriptedChannel()
    for name in (NAME, "next"):
        approve(shop, people, name=name)
        send_campaign(RequestContext.from_name(shop, now=at), name, channel=channel)
    assert sorted(channel.addresses) == sorted(one.address for one in people if kinds[one.name][2] is None)
    with shop.store.begin() as connection:
        rows = dict(connection.execute(sa.select(SUPPRESSIONS.c.reason, SUPPRESSIONS.c.topic)).all())
    assert rows == {"hard_bounce": "", "complaint": "", "unsubscribed": "offers"}
    with shop.store.begin() as connection:
        connection.execute(sa.delete(SUPPRESSIONS))
    send_campaign(RequestContext.from_name(shop, now=at), NAME, channel=channel)
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(SUPPRESSIONS)) == 0, "once, not each time"


def test_soft_bounces_suppress_once_there_are_more_than_allowed(sent_shop):
    days = (0, 1, 2, 16, 17)
    for message_id, day, expected in zip(IDS, days, ({}, {}, {}, {}, {}), strict=False):
        receive_receipts(sent_shop, [Receipt(message_id, "bounced", AT + timedelta(days=day))], now=NOW)
        assert reasons(sent_shop) == expected
    receive_receipts(
        sent_shop, [Receipt(identifier, "bounced", AT + timedelta(days=18)) for identifier in IDS[5:]], now=NOW
    )
    assert reasons(sent_shop) == {"": "soft_bounces"}


def test_a_full_mailbox_and_a_delay_are_no_reason(sent_shop, tmp_path):
    read(sent_shop, tmp_path, dsn(IDS[0], "5.2.2"), dsn(IDS[1], "4.4.1", "delayed"))
    assert sorted(receipt_rows(sent_shop)) == [
        (IDS[0], "bounced", False, "5.2.2"),
        (IDS[1], "deferred", False, "4.4.1"),
    ]
    assert reasons(sent_shop) == {}


def test_a_complaint_suppresses_at_once(sent_shop, tmp_path):
    counts = read(sent_shop, tmp_path, complaint(IDS[0], "not-spam"), complaint(IDS[1]))
    assert (counts.ignored, receipt_rows(sent_shop)) == (1, [(IDS[1], "complained", False, "abuse")])
    assert reasons(sent_shop) == {"": "complaint"}


def test_what_names_no_message_of_ours_changes_nothing(sent_shop, tmp_path):
    unknown = "9" * 32
    reply = f"To: shop@shop.example\nSubject: On holiday\nIn-Reply-To: <{IDS[0]}@shop.example>\n\nBack soon\n".encode()
    forged = dsn(unknown), dsn(unknown, to=f"bounces+{unknown}@b.shop.example"), complaint(unknown)
    counts = read(sent_shop, tmp_path, *forged, reply, b"", b"\xff\x00 no message", dsn("", has_original=False))
    assert counts.receipts.unknown == 2
    assert counts.ignored == 4
    assert (receipt_rows(sent_shop), reasons(sent_shop)) == ([], {})


def test_an_mbox_and_a_message_that_unsubscribes_are_read(sent_shop, tmp_path):
    token = token_of(derive_keys(sent_shop.master_key()), Subscription("u_" + "1" * 32, CONTACT, "email", "offers"))
    leaving = f"To: shop@shop.example\nSubject: unsubscribe {token}\n\n\n".encode()
    forged = f"To: shop@shop.example\nSubject: unsubscribe {token[::-1]}\n\n\n".encode()
    box = tmp_path / "mbox"
    box.write_bytes(
        b"".join(b"From x Fri Mar  1 10:00:00 2024\n" + one + b"\n" for one in (leaving, forged, dsn(IDS[3])))
    )
    counts = read_bounces(sent_shop, box, now=NOW)
    assert (counts.messages, counts.unsubscribed, counts.ignored, counts.receipts.recorded) == (3, 1, 1, 1)
    assert reasons(sent_shop) == {"offers": "unsubscribed", "": "hard_bounce"}


def test_a_message_that_nobody_can_read_keeps_no_other_from_being_read(sent_shop, tmp_path):
    parts = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3_000))
    counts = read(sent_shop, tmp_path, parts.encode(), b"Content-Type: message/rfc822\n\n" * 5_000, dsn(IDS[0]))
    assert (counts.messages, counts.receipts.recorded, counts.ignored, counts.unreadable) == (3, 1, 0, 2)


def test_times_of_other_zones_are_one_time(sent_shop):
    receipt = Receipt(IDS[0], "delivered", AT)
    elsewhere = Receipt(IDS[0], "delivered", AT.astimezone(timezone(timedelta(hours=2))))
    receive_receipts(sent_shop, [receipt], now=NOW)
    assert receive_receipts(sent_shop, [elsewhere], now=NOW).repeated == 1


def test_a_bounce_has_the_time_of_its_date_and_never_a_later_one():
    assert read_returned(dsn(IDS[0]), now=NOW).receipt.occurred_at == AT.replace(second=5)
    early = AT - timedelta(days=1)
    assert read_returned(dsn(IDS[0]), now=early).receipt.occurred_at == early


HEADER = f"<{IDS[0]}@shop.example>"
WEBHOOKS = {
    "patron": {
        "receipts": [
            {"message_id": IDS[0], "kind": "bounced", "occurred_at": "2024-03-01T10:00:00Z", "is_permanent": True}
        ]
    },
    "sendgrid": [
        {"event": "bounce", "type": "bounce", "smtp-id": HEADER, "timestamp": 1709287200, "status": "5.1.1"},
        {"event": "processed", "smtp-id": HEADER, "timestamp": 1709287200},
        {"event": "bounce", "type": "bounce", "smtp-id": "<other@elsewhere>", "timestamp": 1709287200},
    ],
    "mailgun": {
        "event-data": {
            "event": "failed",
            "severity": "permanent",
            "reason": "bounce",
            "timestamp": 1709287200.0,
            "delivery-status": {"code": 550, "message": "5.1.1 unknown"},
            "message": {"headers": {"message-id": f"{IDS[0]}@shop.example"}},
        }
    },
    "ses": {
        "Type": "Notification",
        "Message": json.dumps(
            {
                "notificationType": "Bounce",
                "bounce": {
                    "bounceType": "Permanent",
                    "timestamp": "2024-03-01T10:00:00.000Z",
                    "bouncedRecipients": [{"emailAddress": "ann@customers.example", "status": "5.1.1"}],
                },
                "mail": {"timestamp": "2024-03-01T09:59:00.000Z", "commonHeaders": {"messageId": HEADER}},
            }
        ),
    },
}


@pytest.mark.parametrize("provider", WEBHOOKS)
def test_every_provider_speaks_one_vocabulary(provider):
    [receipt] = receipts_of(provider, WEBHOOKS[provider])
    assert (receipt.message_id, receipt.kind, receipt.occurred_at, receipt.is_permanent) == (
        IDS[0],
        "bounced",
        AT,
        True,
    )


@pytest.mark.parametrize("provider", WEBHOOKS)
@pytest.mark.parametrize(
    "content",
    [None, 7, "text", [], [1], {}, {"receipts": [{}]}, {"event-data": []}, {"Message": "{"}]
    + [
        {"receipts": [{"message_id": IDS[0], "kind": "bounced", "occurred_at": at}]}
        for at in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00")
    ]
    + [[{"event": "bounce", "smtp-id": f"<{IDS[0]}@shop.example>", "timestamp": 2e11}]],
)
def test_a_body_that_is_not_the_providers_is_refused_or_empty(provider, content):
    receipts = []
    with suppress(BadRequest):
        receipts = receipts_of(provider, content)
    assert receipts == []


TIMES = (None, 10**400, float("nan"), float("inf"), -1e30, "9" * 5000, "²", [], {}, True, "2024-13-45", "1e9")
TIMES += ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")


@pytest.mark.parametrize("at", TIMES, ids=lambda at: repr(at)[:20])
def test_no_time_or_id_that_a_provider_makes_up_is_a_fault(at):
    for message_id in ("0" * 32, "x" * 100_000, None, 5, [], {"a": 1}, "\0", "\ud800"):
        bodies = {
            "patron": [{"message_id": message_id, "kind": "delivered", "occurred_at": at}],
            "sendgrid": [{"event": "delivered", "timestamp": at, "message_id": message_id}],
            "mailgun": {
                "event-data": {"event": "delivered", "timestamp": at, "user-variables": {"message_id": message_id}}
            },
            "ses": {
                "eventType": "Delivery",
                "mail": {"tags": {"message_id": [message_id]}},
                "delivery": {"timestamp": at},
            },
        }
        for provider, body in bodies.items():
            with suppress(BadRequest):
                assert all(one.occurred_at.tzinfo for one in receipts_of(provider, body))


def test_a_webhook_needs_a_secret_key(sent_shop):
    secret = create_key(RequestContext.from_name(sent_shop, now=datetime.now(UTC)), "esp", "secret").key
    with served(sent_shop) as address, httpx.Client(base_url=address, timeout=30) as client:
        body = WEBHOOKS["sendgrid"]
        assert client.post("/api/receipts?provider=sendgrid", json=body).status_code == 401
        headers = {"authorization": f"Bearer {secret}"}
        answer = client.post("/api/receipts?provider=sendgrid", json=body, headers=headers)
        assert answer.json() == {"recorded": 1, "repeated": 0, "unknown": 0, "suppressed": 1}
        assert client.post("/api/receipts?provider=pigeon", json=body, headers=headers).status_code == 422
    assert reasons(sent_shop) == {"": "hard_bounce"}


def test_where_a_secret_is_named_receipts_of_our_own_format_must_be_signed(sent_shop):
    text, secret = (
        new_secret(),
        create_key(RequestContext.from_name(sent_shop, now=datetime.now(UTC)), "relay", "secret").key,
    )
    (sent_shop.folder / "receipts.secret").write_text(f"{new_secret()}\n{text}\n")
    path = sent_shop.folder / SETTINGS_FILE
    section = '[channels.receipts]\nsecret_file = "receipts.secret"'
    path.write_text(f"{path.read_text('utf-8')}\n{section}\n", "utf-8")
    receipt = {"message_id": IDS[0], "kind": "delivered", "occurred_at": "2024-03-01T10:00:00Z"}
    body, now = json.dumps({"receipts": [receipt]}).encode(), datetime.now(UTC)
    right = signature_headers(keys_of(text), "msg_1", now, body)
    old = signature_headers(keys_of(text), "msg_1", now - timedelta(minutes=6), body)
    others = signature_headers(keys_of(new_secret()), "msg_1", now, body)
    with served(Shop.open(sent_shop.folder)) as address, httpx.Client(base_url=address, timeout=30) as client:

        def status(headers, content=body, provider="patron"):
            sent = {"authorization": f"Bearer {secret}", "content-type": "application/json"} | headers
            return client.post(f"/api/receipts?provider={provider}", content=content, headers=sent).status_code

        assert [status(one) for one in ({}, old, others, right)] == [401, 401, 401, 200]
        assert status(right, body.replace(b"delivered", b"bounced")) == 401
        assert status({}, json.dumps(WEBHOOKS["sendgrid"]).encode(), "sendgrid") == 200
    assert sorted(row[:2] for row in receipt_rows(sent_shop)) == [(IDS[0], "bounced"), (IDS[0], "delivered")]


def test_a_bounce_without_a_date_has_that_of_the_message_it_returns():
    undated = dsn(IDS[0]).replace(b"Date: Fri, 01 Mar 2024 10:00:05 +0000\n", b"", 1)
    dated = undated.replace(b"Message-ID:", b"Date: Fri, 01 Mar 2024 09:00:00 +0000\nMessage-ID:", 1)
    for now in (NOW, NOW + timedelta(days=1)):
        assert read_returned(dated, now=now).receipt.occurred_at == AT.replace(hour=9)
