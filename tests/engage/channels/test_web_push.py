"""Web push over a real HTTP server that plays the push service, and a browser that decrypts what it got."""

import asyncio
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

import http_ece
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from http_server import Answer, http_server
from patron.engage.channels.channel import Handover, OutgoingMessage
from patron.engage.channels.web_push import (
    MAX_BYTES,
    PushSubscription,
    WebPushChannel,
    load_push_key,
    new_push_key,
    public_push_key,
)
from patron.schema.errors import ChannelUnavailable
from patron.storage.outreach.http_channel_settings import WebPushSettings

AT = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
TEXT = "Hello 李雷\n\nSee the tea (https://shop.example/tea?a=1).\nUnsubscribe (https://p.shop.example/u/TOKEN)\n"
KEY = load_pem_private_key(new_push_key(), None)


@pytest.fixture
def server():
    with http_server() as running:
        running.answer = lambda _: Answer(201)
        yield running


class Browser:
    """A browser that made a subscription."""

    def __init__(self, endpoint: str) -> None:
        self.key = generate_private_key(SECP256R1())
        self.auth = hashlib.sha256(endpoint.encode()).digest()[:16]
        keys = {"p256dh": public_push_key(self.key), "auth": encoded(self.auth)}
        self.subscription = json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": keys})

    def read(self, body: bytes) -> dict:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth))


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def channel(**options) -> WebPushChannel:
    fields = {"key_file": "push.pem", "contact": "mailto:it@shop.example", "timeout_seconds": 0.5, "connections": 2}
    fields |= {"local_hosts": ("127.0.0.1",), "click_url": "https://shop.example/"} | options
    return WebPushChannel(WebPushSettings(**fields), KEY, lambda: AT, "https://p.shop.example/u/{}".format)


def message(recipient: str, **fields) -> OutgoingMessage:
    values = {
        "message_id": hashlib.sha256(recipient.encode(errors="replace")).hexdigest()[:32],
        "recipient_name": "",
        "subject": "We miss you",
        "text": TEXT,
        "html": "",
        "topic": "offers",
        "unsubscribe_token": "TOKEN",
    }
    return OutgoingMessage(recipient=recipient, **(values | fields))


def hand_over(one: WebPushChannel, messages) -> list[Handover]:
    async def collect():
        return [answer async for answer in one.hand_over(messages)]

    return asyncio.run(collect())


def require_vapid(header: str) -> dict:
    """The claims of the header, signed by the key that it names. Raises InvalidSignature."""
    kind, _, values = header.partition(" ")
    assert kind == "vapid"
    parts = dict(part.strip().split("=", 1) for part in values.split(","))
    signed, _, signature = parts["t"].rpartition(".")
    numbers = decoded(signature)
    point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), decoded(parts["k"]))
    code = encode_dss_signature(int.from_bytes(numbers[:32]), int.from_bytes(numbers[32:]))
    point.verify(code, signed.encode(), ECDSA(SHA256()))
    assert parts["k"] == public_push_key(KEY)
    return json.loads(decoded(signed.partition(".")[2]))


def test_a_notification_arrives_that_only_the_browser_can_read(server):
    browser = Browser(f"{server.url}/push/abc?d=1")
    sent = message(browser.subscription)
    [answer] = hand_over(channel(), [sent])
    assert (answer.message_id, answer.outcome, answer.detail) == (sent.message_id, "sent", "HTTP 201")
    [request] = server.requests
    assert request.path == "/push/abc?d=1"
    assert browser.read(request.body) == {
        "title": "We miss you",
        "body": "Hello 李雷\nSee the tea .",
        "url": "https://shop.example/tea?a=1",
        "topic": "offers",
        "message_id": sent.message_id,
        "unsubscribe_url": "https://p.shop.example/u/TOKEN",
    }
    with pytest.raises(http_ece.ECEException):
        Browser(f"{server.url}/push/abc?d=1").read(request.body)
    headers = request.headers
    assert require_vapid(headers["authorization"]) == {
        "aud": server.url,
        "exp": int(AT.timestamp()) + 12 * 3600,
        "sub": "mailto:it@shop.example",
    }
    with pytest.raises(InvalidSignature):
        require_vapid(headers["authorization"].replace("t=", "t=A"))
    assert (headers["ttl"], headers["urgency"], headers["topic"]) == ("86400", "normal", sent.message_id)
    assert headers["content-encoding"] == "aes128gcm"


def test_each_answer_says_what_becomes_of_the_message(server):
    answers = {
        "/200": Answer(200),
        "/202": Answer(202),
        "/404": Answer(404),
        "/410": Answer(410),
        "/400": Answer(400),
        "/403": Answer(403),
        "/413": Answer(413),
        "/302": Answer(302, headers={"Location": "http://10.0.0.1/"}),
        "/408": Answer(408),
        "/429": Answer(429),
        "/503": Answer(503),
        "/slow": Answer(201, late_seconds=0.6),
        "/cut": Answer(raw=b""),
    }
    server.answer = lambda request: answers[request.path]
    came = {path: hand_over(channel(), [message(Browser(server.url + path).subscription)]).pop() for path in answers}
    assert {path: (one.outcome.value, one.is_gone) for path, one in came.items()} == {
        **dict.fromkeys(("/200", "/202"), ("sent", False)),
        **dict.fromkeys(("/404", "/410"), ("rejected", True)),
        **dict.fromkeys(("/400", "/403", "/413", "/302"), ("rejected", False)),
        **dict.fromkeys(("/408", "/429", "/503"), ("deferred", False)),
        **dict.fromkeys(("/slow", "/cut"), ("unknown", False)),
    }
    assert len(server.requests) == len(answers)


def test_one_endpoint_that_is_not_there_defers_its_own_message_only(server):
    there, away = Browser(f"{server.url}/a"), Browser("http://127.0.0.1:1/b")
    answers = hand_over(channel(), [message(away.subscription), message(there.subscription)])
    assert {answer.message_id: answer.outcome.value for answer in answers} == {
        message(away.subscription).message_id: "deferred",
        message(there.subscription).message_id: "sent",
    }


def test_an_endpoint_of_a_private_network_is_never_reached(server):
    for endpoint in (server.url, server.url.replace("http", "https"), "https://169.254.169.254/", "file:///etc/hosts"):
        [answer] = hand_over(channel(local_hosts=()), [message(Browser(endpoint).subscription)])
        assert answer.outcome in {"rejected", "deferred"}
    assert not server.requests


def test_what_is_no_subscription_is_rejected(server):
    whole = json.loads(Browser(server.url).subscription)
    wrong = [
        *(
            "",
            "null",
            "[]",
            "1",
            '"a"',
            "{}",
            "ann@x.example",
            "[" * 3_000,
            "\ud800",
            "9" * 3_990,
            "{" + " " * 9_999 + "}",
        ),
        *(json.dumps(whole | {"keys": one}) for one in (None, [], {}, {"p256dh": 1, "auth": 2})),
        *(json.dumps(whole | {"keys": whole["keys"] | {"auth": one}}) for one in ("", "AAAA", "ä" * 22, None)),
        json.dumps(whole | {"keys": whole["keys"] | {"p256dh": encoded(b"\4" + bytes(64))}}),
        *(json.dumps(whole | {"endpoint": one}) for one in (None, "", "http://[", "http://a\r\nb/", ["https://x"])),
        json.dumps(whole | {"endpoint": "https://xn--/"}),
    ]
    messages = [message(one, message_id=f"{number:032x}") for number, one in enumerate(wrong)]
    assert [one.outcome.value for one in hand_over(channel(), messages)] == ["rejected"] * len(wrong)
    assert not server.requests


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=9_000), st.text(max_size=60))
def test_a_long_text_is_cut_to_what_a_push_service_takes(text, subject):
    browser = Browser("https://push.example/a")
    sent = message(browser.subscription, text=text, subject=subject)
    content = channel().content(sent)
    assert len(content) <= MAX_BYTES
    body = channel().body(sent, PushSubscription.parse(browser.subscription))
    assert len(body) <= 4_096
    assert browser.read(body)["title"] == subject


def test_a_text_in_one_line_keeps_its_words():
    one = message("", text="Tea is cheap today. To unsubscribe: https://p.shop.example/u/TOKEN")
    assert json.loads(channel().content(one))["body"] == "Tea is cheap today. To unsubscribe:"
    assert json.loads(channel().content(one))["url"] == "https://shop.example/"


def test_a_key_that_is_none_is_named(tmp_path):
    file = tmp_path / "push.pem"
    for content in (b"", b"no key", new_push_key()[:80]):
        file.write_bytes(content)
        with pytest.raises(ChannelUnavailable, match="cannot be read"):
            load_push_key(file)
    file.write_bytes(new_push_key())
    assert len(decoded(public_push_key(load_push_key(file)))) == 65
    assert "PRIVATE" not in repr(channel())
