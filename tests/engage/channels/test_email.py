"""E-mail over a real SMTP server: what it received, signed, and what is known of each message afterwards."""

import asyncio
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import getaddresses

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server import mail_server
from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.dkim import DkimSigner, dns_record, new_key
from patron.engage.channels.email import EmailChannel
from patron.schema.errors import ChannelUnavailable
from patron.storage.outreach.email_settings import EmailSettings

AT = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
PUBLIC_URL = "http://127.0.0.1:8321"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    file = tmp_path_factory.mktemp("key") / "dkim.pem"
    file.write_bytes(new_key())
    return file


@pytest.fixture(scope="module")
def signer(key):
    return DkimSigner.load(key, domain="shop.example", selector="patron")


@pytest.fixture
def server():
    with mail_server() as running:
        yield running


def channel(port, signer=None, **options) -> EmailChannel:
    fields = {"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 0.7, "connections": 2}
    fields |= {"from_address": "shop@shop.example", "public_url": PUBLIC_URL} | options
    return EmailChannel(EmailSettings(**fields), "Tea & Bread, Ltd.", lambda: AT, signer)


def message(recipient="anna-1@x.example", **fields) -> OutgoingMessage:
    values = {
        "message_id": hashlib.sha256(recipient.encode()).hexdigest()[:32],
        "recipient": recipient,
        "recipient_name": "",
        "subject": "We miss you",
        "text": "Hello\n.\nfrom us  \n",
        "html": "<p>Hello</p>\n<p>Grüße an 李雷  </p>",
        "topic": "offers",
        "unsubscribe_token": "TOKEN",
    }
    return OutgoingMessage(**(values | fields))


def hand_over(one: EmailChannel, messages) -> dict[str, Handover]:
    async def collect():
        return [answer async for answer in one.hand_over(messages)]

    answers = asyncio.run(collect())
    assert len({answer.message_id for answer in answers}) == len(answers)
    return {answer.message_id: answer for answer in answers}


def outcomes(one: EmailChannel, messages) -> list[str]:
    messages = list(messages)
    answers = hand_over(one, messages)
    return [answers[message.message_id].outcome.value for message in messages]


def is_signed(content: bytes, key_file) -> bool:
    record = dns_record(key_file.read_bytes()).encode()
    return dkim.verify(content, dnsfunc=lambda name, **_: record if name.startswith(b"patron._domainkey") else None)


def test_a_message_arrives_as_it_was_written(server, signer, key):
    sent = message(recipient_name="李雷", subject="Für Sie: 50 % auf „Tee“ " + "und Brot " * 20)
    assert outcomes(
        channel(server.port, signer, bounce_domain="b.shop.example", reply_to="us@shop.example"), [sent]
    ) == ["sent"]
    [content], [(sender, recipients)] = server.messages, server.envelopes
    assert is_signed(content, key)
    assert (sender, recipients) == (f"bounces+{sent.message_id}@b.shop.example", ["anna-1@x.example"])
    received = message_from_bytes(content, policy=policy.default)
    assert received["Subject"] == sent.subject.strip()
    assert getaddresses([received["From"]]) == [("Tea & Bread, Ltd.", "shop@shop.example")]
    assert getaddresses([received["To"]]) == [("李雷", "anna-1@x.example")]
    assert received["Message-ID"] == f"<{sent.message_id}@shop.example>"
    assert received["Date"].datetime == AT
    assert received["Reply-To"] == "us@shop.example"
    assert received.get_content_type() == "multipart/alternative"
    text, html = received.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == sent.text.removesuffix("\n")
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == sent.html
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_one_click_unsubscribe_is_within_the_signature(server, signer, key):
    hand_over(channel(server.port, signer), [message()])
    [content] = server.messages
    received = message_from_bytes(content)
    assert received["List-Unsubscribe"].replace("\r\n", "").split(", ")[0] == f"<{PUBLIC_URL}/u/TOKEN>"
    assert "mailto:shop@shop.example?subject=unsubscribe%20TOKEN" in received["List-Unsubscribe"]
    assert received["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    names = re.search(r"h=([^;]+)", received["DKIM-Signature"])[1].split(":")
    assert {"list-unsubscribe", "list-unsubscribe-post", "from", "to", "subject", "date", "message-id"} <= set(names)
    assert is_signed(content, key)
    assert not is_signed(content.replace(b"/u/TOKEN", b"/u/OTHER"), key)
    assert not is_signed(b"From: evil@shop.example\r\n" + content, key)
    assert not is_signed(content.replace(b"Hello", b"Jello"), key)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=60), st.text(min_size=1, max_size=400))
def test_every_message_is_whole_and_signed(key, signer, text, html, name, subject):
    one = channel(25, signer)
    sent = message(text=text, html=html, recipient_name=name, subject=f"s{subject}")
    content = one.content(sent, "anna@x.example")
    assert is_signed(content, key)
    received = message_from_bytes(content)
    assert not received.defects
    assert [part.get_content_type() for part in received.walk()][-1] == ("text/html" if html else "text/plain")
    assert set(received.keys()) == {
        *("DKIM-Signature", "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"),
        *("MIME-Version", "Content-Type"),
        *(() if html else ("Content-Transfer-Encoding",)),
    }


def test_an_answer_is_certain_and_a_lost_one_is_not(server):
    server.answers |= {"full": "452 4.2.2 <full-1@x.example> is full", "gone": "550 5.1.1 gone-1@x.example unknown"}
    server.answers |= {"cut": "drop"}
    server.at_the_end |= {"spam": "554 5.7.1 spam", "busy": "451 4.3.0 later", "lost": "drop", "slow": "late"}
    names = ("anna", "full", "gone", "cut", "spam", "busy", "lost", "slow", "zoe")
    messages = [message(f"{name}-1@x.example") for name in names]
    answers = hand_over(channel(server.port), messages)
    by_name = {name: answers[one.message_id] for name, one in zip(names, messages, strict=True)}
    assert {name: one.outcome.value for name, one in by_name.items()} == {
        "anna": "sent",
        "full": "deferred",
        "gone": "rejected",
        "cut": "deferred",
        "spam": "rejected",
        "busy": "deferred",
        "lost": "unknown",
        "slow": "unknown",
        "zoe": "sent",
    }
    assert by_name["gone"].detail == "550 5.1.1 ... unknown"
    assert not any("@" in one.detail for one in by_name.values())
    assert sorted(server.recipients()) == [f"{name}-1@x.example" for name in ("anna", "lost", "slow", "zoe")]


def test_an_address_that_is_none_is_rejected_and_reaches_no_command(server):
    wrong = [
        "",
        "anna",
        "anna@x.example\r\nRCPT TO:<eve@x.example>",
        "anna@x.example>",
        "ä b@x.example",
        "a@b\0.example",
    ]
    assert outcomes(channel(server.port), [message(one) for one in wrong]) == ["rejected"] * len(wrong)
    assert not server.messages


def test_no_value_makes_a_header_of_its_own(server):
    evil = message(recipient_name="Anna\r\nBcc: eve@x.example", subject="Hi\r\nBcc: eve@x.example\r\n\r\nbody")
    worse = message("b@x.example", unsubscribe_token="a\r\nBcc: b")  # noqa: S106 - no password
    assert outcomes(channel(server.port), [evil, worse]) == ["sent", "rejected"]
    received = message_from_bytes(server.messages[0])
    assert received["Bcc"] is None
    assert server.recipients() == ["anna-1@x.example"]


def test_nothing_is_taken_before_it_can_be_sent():
    taken = []

    def messages():
        for number in range(9):
            taken.append(number)
            yield message(f"a-{number}@x.example")

    with pytest.raises(ChannelUnavailable, match="not ready"):
        hand_over(channel(1), messages())
    assert not taken


def test_a_sender_that_the_server_refuses_stops_the_channel(server):
    class Refusing:
        async def handle_MAIL(self, *_):  # noqa: N802 - aiosmtpd's name
            return "550 5.7.1 not your domain"

    server.handle_MAIL = Refusing().handle_MAIL
    with pytest.raises(ChannelUnavailable, match="refuses the sender"):
        hand_over(channel(server.port), [message()])


def test_an_error_of_the_caller_leaves_no_answer_out(server):
    def messages():
        yield message("a-1@x.example")
        yield message("a-2@x.example")
        raise KeyError("store")

    answers = []

    async def collect():
        async for answer in channel(server.port).hand_over(messages()):
            answers.append(answer.outcome)  # noqa: PERF401 - what came before an error counts

    with pytest.raises(KeyError):
        asyncio.run(collect())
    assert answers == [Outcome.SENT] * 2
    assert len(server.messages) == 2


def test_messages_per_second_is_kept_to(server):
    async def timed():
        loop = asyncio.get_running_loop()
        start = loop.time()
        count = 0
        async for _ in channel(server.port, messages_per_second=20).hand_over(
            message(f"a-{n}@x.example") for n in range(7)
        ):
            count += 1
        return count, loop.time() - start

    count, seconds = asyncio.run(timed())
    assert count == 7
    assert seconds > 6 / 20 - 0.02


def test_the_password_shows_nowhere(server):
    one = replace(channel(server.port, user="shop"), password="hunter2")  # noqa: S106 - of the test
    assert "hunter2" not in repr(one)
    with pytest.raises(ChannelUnavailable) as refusal:
        hand_over(one, [message()])
    assert "hunter2" not in str(refusal.value)
