"""What settles messages of unknown outcome before a person has to: receipts, and the log of the mail server."""

import json
import os
import random

import pytest
import sqlalchemy as sa
from tests.support.patron_command import run_patron
from tests.support.shops.campaign_shop import (
    AT,
    NAME,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    messages,
    with_policy,
)

from patron.commands.outreach.messages.receive_receipts import receive_receipts
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.commands.outreach.messages.settle_message import settle_by_evidence, settle_message, unknown_messages
from patron.engage.channels.channel import Outcome
from patron.engage.providers.mail_log import MAX_LINE_BYTES, MailLog
from patron.engage.providers.receipts import BOUNCED, DEFERRED, Receipt
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadCampaign, BadFile, NotFound
from patron.storage.outreach.campaign_tables import SUPPRESSIONS

SETTLED = AuditAction.MESSAGE_SETTLED.value
ONE, TWO, THREE, FOUR = (f"{number:032x}" for number in (1, 2, 3, 4))
HEAD = "Feb  4 10:00:01 mx1"
DELIVERY = "relay=mx.people.example[192.0.2.1]:25, delay=0.9, delays=0.1/0/0.5/0.3"


def cleanup(queue_id, message_id, head=HEAD):
    return f"{head} postfix/cleanup[11]: {queue_id}: message-id=<{message_id}@shop.example>\n"


def status(queue_id, status, code, words="said it", *, head=HEAD, to="ann@people.example", program="postfix/smtp"):
    return f"{head} {program}[12]: {queue_id}: to=<{to}>, {DELIVERY}, dsn={code}, status={status} ({words})\n"


def removed(queue_id):
    return f"{HEAD} postfix/qmgr[13]: {queue_id}: removed\n"


def arrival(queue_id, message_id, rest=""):
    sender = f"bounces+{message_id}@shop.example H=patron (shop.example) [192.0.2.9]"
    return f"2026-02-04 10:00:01 {queue_id} <= {sender} P=esmtp S=2048 id={message_id}@shop.example{rest}\n"


def read(tmp_path, *logs, wanted=(ONE, TWO, THREE, FOUR)):
    log = MailLog(frozenset(wanted))
    for number, content in enumerate(logs):
        path = tmp_path / f"log.{number}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        log.read(path)
    return log


EXIM_ID, NEW_EXIM_ID = "1qABcd-0001ab-CD", "1qABcd-00000000001-abcd"
TAKEN = {
    "sent": (cleanup("4BFD2", ONE) + status("4BFD2", "sent", "2.0.0"), None),
    "deferred": (cleanup("4BFD2", ONE) + status("4BFD2", "deferred", "4.2.2"), None),
    "bounced": (cleanup("4BFD2", ONE) + status("4BFD2", "bounced", "5.1.1"), "5.1.1"),
    "expired": (cleanup("4BFD2", ONE) + status("4BFD2", "expired", "4.4.1"), "4.4.1"),
    "long queue id": (cleanup("4ZTWxk1GkHz9sLh", ONE) + status("4ZTWxk1GkHz9sLh", "sent", "2.0.0"), None),
    "rfc 3339": (
        cleanup("4BFD2", ONE, "2026-02-04T10:00:01.123456+01:00 mx1")
        + status("4BFD2", "sent", "2.0.0", head="2026-02-04T10:00:02Z mx1"),
        None,
    ),
    "other instance": (
        cleanup("4BFD2", ONE) + status("4BFD2", "sent", "2.0.0", program="postfix-out/relay/smtp"),
        None,
    ),
    "windows lines": ((cleanup("4BFD2", ONE) + status("4BFD2", "sent", "2.0.0")).replace("\n", "\r\n"), None),
    "no end of line": ((cleanup("4BFD2", ONE) + status("4BFD2", "sent", "2.0.0")).rstrip(), None),
    "exim": (arrival(EXIM_ID, ONE), None),
    "new exim": (arrival(NEW_EXIM_ID, ONE, ' T="Hello" from <shop@shop.example> for ann@people.example'), None),
    "exim by syslog": ("Feb  4 10:00:01 mx1 exim[77]: " + arrival(EXIM_ID, ONE), None),
    "exim bounced": (
        arrival(EXIM_ID, ONE)
        + f"2026-02-04 10:00:02 {EXIM_ID} ** ann@people.example R=dns T=smtp: SMTP error after RCPT: 550 5.1.1 no\n",
        "5.1.1",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_log_names_what_the_server_took(tmp_path, name):
    content, returned = TAKEN[name]
    log = read(tmp_path, content + cleanup("9ABCD", "f" * 32) + status("9ABCD", "sent", "2.0.0"))
    assert (log.taken, log.returned.get(ONE)) == ({ONE}, returned)


NOT_TAKEN = {
    "cut off before the end": cleanup("4BFD2", ONE),
    "refused at the end": cleanup("4BFD2", ONE)
    + f"{HEAD} postfix/cleanup[11]: 4BFD2: milter-reject: END-OF-MESSAGE from x: 5.7.1 status=sent (no); to=<a@b>\n",
    "queue id used again": cleanup("4BFD2", ONE) + cleanup("4BFD2", "f" * 32) + status("4BFD2", "sent", "2.0.0"),
    "queue id left": cleanup("4BFD2", ONE) + removed("4BFD2") + status("4BFD2", "sent", "2.0.0"),
    "queue id without an id": cleanup("4BFD2", ONE)
    + f"{HEAD} postfix/cleanup[11]: 4BFD2: message-id=<>\n"
    + status("4BFD2", "sent", "2.0.0"),
    "other order": status("4BFD2", "sent", "2.0.0") + cleanup("4BFD2", ONE),
    "in the words of a server": cleanup("4BFD2", "f" * 32)
    + status("4BFD2", "bounced", "5.0.0", f"said: {cleanup('4BFD3', ONE).strip()} {arrival(EXIM_ID, ONE).strip()}")
    + status("4BFD3", "sent", "2.0.0"),
    "in a name": f"{HEAD} postfix/smtpd[9]: connect from {cleanup('4BFD2', ONE)}" + status("4BFD2", "sent", "2.0.0"),
    "of another program": cleanup("4BFD2", ONE).replace("postfix/cleanup", "evil/cleanup")
    + status("4BFD2", "sent", "2.0.0"),
    "of another part": cleanup("4BFD2", ONE).replace("cleanup", "smtpd") + status("4BFD2", "sent", "2.0.0"),
    "status that is none": cleanup("4BFD2", ONE) + status("4BFD2", "undeliverable", "5.1.1"),
    "half an id": cleanup("4BFD2", ONE[:31]) + status("4BFD2", "sent", "2.0.0"),
    "an id and more": cleanup("4BFD2", ONE + "0") + status("4BFD2", "sent", "2.0.0"),
    "an id of exim's subject": arrival(EXIM_ID, "f" * 32, f' T="id={ONE}@shop.example"').replace(
        f" id={'f' * 32}@shop.example", ""
    ),
    "an id of exim elsewhere": f"2026-02-04 10:00:01 {EXIM_ID} => ann@people.example id={ONE}@shop.example\n",
    "a line that is too long": cleanup("4BFD2", ONE)
    + f"{HEAD} x: {'y' * (2 * MAX_LINE_BYTES - 40)}"
    + status("4BFD2", "sent", "2.0.0"),
    "odd bytes": (cleanup("4BFD2", ONE).replace("4BFD2", "4BF\x7f") + "\0" * 50_000 + status("4BFD2", "sent", "2.0.0")),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_only_looks_as_if_the_server_had_taken_it_proves_nothing(tmp_path, name):
    log = read(tmp_path, cleanup("1AAAA", TWO) + NOT_TAKEN[name] + "\n" + status("1AAAA", "sent", "2.0.0"))
    assert log.taken == {TWO}


def test_logs_go_on_where_the_one_before_ended_and_noise_does_no_harm(tmp_path):
    noise = random.Random(3)  # noqa: S311 - bytes, no secret
    odd = b"".join(noise.randbytes(noise.randrange(200)) + b"\n" for _ in range(2_000))
    first = cleanup("4BFD2", ONE).encode() + odd + cleanup("4BFD3", TWO).encode()
    log = read(tmp_path, first, odd + status("4BFD2", "sent", "2.0.0").encode(), status("4BFD3", "sent", "2.0.0"))
    assert log.taken == {ONE, TWO}


def test_what_is_no_log_is_refused_by_name(tmp_path):
    wrong = {
        "packed.gz": (b"\x1f\x8b\x08 packed", "log_compressed"),
        "packed.xz": (b"\xfd7zXZ\x00 packed", "log_compressed"),
        "empty": (b"", "no_mail_log"),
        "zeros": (bytes(3_000_000), "no_mail_log"),
        "other": (b"Feb  4 10:00:01 mx1 sshd[1]: 4BFD2: hello\n" * 10, "no_mail_log"),
    }
    for name, (content, _) in wrong.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    codes = {name: code for name, (_, code) in wrong.items()}
    codes |= {"pipe": "log_no_file", "missing": "log_no_file", ".": "log_no_file"}
    for name, code in codes.items():
        with pytest.raises(BadFile) as refusal:
            MailLog(frozenset({ONE})).read(tmp_path / name)
        assert (refusal.value.what.code, refusal.value.where) == (code, str(tmp_path / name))


@pytest.fixture
def unknown(shop):
    """A campaign of five messages of unknown outcome, by id."""
    shop = with_policy(shop)
    people = [Person(f"p{number}") for number in range(5)]
    add_people(shop, people)
    approve(shop, people)
    channel = ScriptedChannel(lambda _address, _attempt: Outcome.UNKNOWN)
    send_campaign(RequestContext.from_name(shop, now=AT), NAME, channel=channel)
    return shop, unknown_messages(shop, NAME)


def test_receipts_and_the_log_settle_what_they_prove_and_the_rest_is_left_to_a_person(unknown, tmp_path):
    shop, (proved, logged, gone, _, deferred) = unknown
    receipts = [Receipt(proved, BOUNCED, AT, detail="4.2.2"), Receipt(deferred, DEFERRED, AT, detail="4.2.2")]
    receive_receipts(shop, receipts, now=AT)
    content = cleanup("4BFD2", logged) + status("4BFD2", "sent", "2.0.0") + cleanup("4BFD3", gone)
    log = tmp_path / "mail.log"
    log.write_text(content + status("4BFD3", "bounced", "5.1.1") + cleanup("4BFD4", "e" * 32))
    args = ("campaign", "settle", NAME, "--mail-log", log, "--as", "Ann", "--workspace", shop.folder)
    found = run_patron(*args, "--json").json
    assert found["settled"] == {"receipts": 1, "mail_log": 2}
    assert found["unknown"] == unknown_messages(shop, NAME)
    assert len(found["unknown"]) == 2
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(SUPPRESSIONS)) == 1
    again = run_patron(*args)
    assert "2 messages are of unknown outcome." in again.out
    assert "sent" not in again.out
    entries = [json.loads(entry.details) for entry in audit_log.entries(shop.store) if entry.action == SETTLED]
    assert [(entry["message_id"], entry["source"], entry["by"]) for entry in entries] == [
        (one, "mail_log", "Ann") for one in sorted([logged, gone])
    ]
    assert audit_log.log_problem(shop) == ""


def test_who_says_not_sent_of_what_is_proved_to_be_sent_is_refused(unknown, tmp_path):
    shop, (proved, logged, *_) = unknown
    receive_receipts(shop, [Receipt(proved, BOUNCED, AT, detail="4.2.2")], now=AT)
    with pytest.raises(BadCampaign, match="the message is sent"):
        settle_message(RequestContext.from_name(shop, now=AT), NAME, proved, is_sent=False)
    log = tmp_path / "mail.log"
    log.write_text(arrival(EXIM_ID, logged))
    args = ("--message", logged, "--not-sent", "--mail-log", log, "--workspace", shop.folder)
    assert "the message is sent" in run_patron("campaign", "settle", NAME, *args).message
    assert sorted(messages(shop).values()) == [("sent", "")] * 2 + [("unknown", "answer_lost")] * 3


def test_who_says_sent_of_what_is_proved_to_be_sent_agrees(unknown, tmp_path):
    shop, (proved, logged, other, *_) = unknown
    receive_receipts(shop, [Receipt(proved, BOUNCED, AT, detail="4.2.2")], now=AT)
    log = tmp_path / "mail.log"
    log.write_text(arrival(EXIM_ID, logged))
    for message, options in ((proved, ()), (logged, ("--mail-log", log)), (other, ()), (other, ())):
        args = ("--message", message, "--sent", *options, "--workspace", shop.folder)
        assert run_patron("campaign", "settle", NAME, *args).code == 0
    assert sorted(messages(shop).values()) == sorted(
        [("sent", "")] * 2 + [("sent", "settled")] + [("unknown", "answer_lost")] * 2
    )
    entries = [json.loads(entry.details) for entry in audit_log.entries(shop.store) if entry.action == SETTLED]
    assert [entry["message_id"] for entry in entries] == [logged, other], "who agrees changes nothing"
    left = unknown_messages(shop, NAME)[0]
    for _ in range(2):
        settle_message(RequestContext.from_name(shop, now=AT), NAME, left, is_sent=False)
    with pytest.raises(BadCampaign, match="the message is waiting"):
        settle_message(RequestContext.from_name(shop, now=AT), NAME, left, is_sent=True)
    for message in (proved, "f" * 32):
        with pytest.raises((BadCampaign, NotFound)):
            settle_message(RequestContext.from_name(shop, now=AT), NAME, message, is_sent=False)


def test_a_log_that_cannot_be_read_settles_nothing(unknown, tmp_path):
    shop, ids = unknown
    (tmp_path / "good").write_text(arrival(EXIM_ID, ids[0]))
    logs = [tmp_path / "good", tmp_path / "missing"]
    with pytest.raises(BadFile):
        settle_by_evidence(RequestContext.from_name(shop, now=AT), NAME, mail_logs=logs)
    assert unknown_messages(shop, NAME) == ids
