"""Webhooks over a real HTTP server: signed as Standard Webhooks says, and what each answer means."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from http_server import Answer, http_server
from patron.engage.channels.channel import Handover, OutgoingMessage
from patron.engage.channels.webhook import SECRET_VARIABLE, WebhookChannel, webhook_keys
from patron.engage.providers.standard_webhooks import is_signed, keys_of, new_secret, signature_headers
from patron.schema.errors import ChannelUnavailable
from patron.storage.outreach.http_channel_settings import WebhookSettings

AT = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
SECRETS = (new_secret(), new_secret())


@pytest.fixture
def server():
    with http_server() as running:
        yield running


def channel(url: str, **options) -> WebhookChannel:
    fields = {"url": url, "local_hosts": ("127.0.0.1",), "timeout_seconds": 0.5, "connections": 2} | options
    keys = keys_of(" ".join(SECRETS))
    return WebhookChannel(WebhookSettings(**fields), keys, lambda: AT, "https://shop.example/u/{}".format)


def message(number: int, **fields) -> OutgoingMessage:
    values = {"recipient": f"u{number}", "recipient_name": "Änne", "subject": "We miss you", "text": "Hello 李雷\n"}
    values |= {"html": "<p>Hello</p>", "topic": "offers", "unsubscribe_token": "TOKEN"}
    return OutgoingMessage(f"{number:032x}", **(values | fields))


def hand_over(one: WebhookChannel, messages) -> list[Handover]:
    async def collect():
        return [answer async for answer in one.hand_over(messages)]

    return asyncio.run(collect())


def signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    """The signature that a receiver computes, as the standard describes it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def test_a_message_arrives_signed_by_every_secret(server):
    [answer] = hand_over(channel(f"{server.url}/hooks?shop=1"), [message(7)])
    assert (answer.outcome, answer.detail) == ("sent", "HTTP 200")
    [request] = server.requests
    assert (request.method, request.path, request.headers["content-type"]) == (
        *("POST", "/hooks?shop=1"),
        "application/json",
    )
    assert request.headers["webhook-id"] == f"{7:032x}"
    assert request.headers["webhook-timestamp"] == str(int(AT.timestamp()))
    assert request.headers["webhook-signature"].split(" ") == [
        signature(secret, request.headers, request.body) for secret in SECRETS
    ]
    assert json.loads(request.body) == {
        "type": "message.ready",
        "timestamp": "2024-03-01T09:30:00+00:00",
        "data": {
            "message_id": f"{7:032x}",
            "user_id": "u7",
            "name": "Änne",
            "topic": "offers",
            "subject": "We miss you",
            "text": "Hello 李雷\n",
            "html": "<p>Hello</p>",
            "unsubscribe_url": "https://shop.example/u/TOKEN",
        },
    }


def test_the_signature_is_that_of_the_standard():
    # why: the example of the standard's own libraries
    key = keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at, body = datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}'
    headers = signature_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert is_signed(key, headers, body, now=at)


def test_only_a_fresh_and_whole_message_is_signed():
    keys, body = keys_of("\n".join(SECRETS)), b"{}"
    headers = signature_headers(keys[:1], "id", AT, body)
    second = int(AT.timestamp())

    def holds(now=second, content=body, with_keys=keys, **changes):
        changed = headers | {name.replace("_", "-"): value for name, value in changes.items()}
        return is_signed(with_keys, changed, content, now=datetime.fromtimestamp(now, UTC))

    assert holds()
    assert holds(second + 300)
    assert holds(second - 300)
    assert holds(webhook_signature=f"v2,x v1a,y v1,wrong {headers['webhook-signature']}")
    assert not holds(second + 301)
    assert not holds(second - 301)
    assert not holds(content=b"{ }")
    assert not holds(with_keys=keys[1:])
    assert not holds(webhook_id="other")
    assert not holds(webhook_timestamp=str(second + 1))
    for wrong in ("", "v1", "v1,", "v1,ä", headers["webhook-signature"].replace("v1", "v2")):
        assert not holds(webhook_signature=wrong)
    for wrong in ("", "now", "-1", "1e9", "²", "9" * 400):
        assert not holds(webhook_timestamp=wrong)
    assert not is_signed(keys, {}, body, now=AT)


def test_each_answer_says_what_becomes_of_the_message(server):
    answers = {
        "/200": Answer(200),
        "/204": Answer(204),
        "/400": Answer(400),
        "/413": Answer(413),
        "/422": Answer(422, b"Ann lives at 5 Elm Street"),
        "/408": Answer(408),
        "/409": Answer(409),
        "/425": Answer(425),
        "/429": Answer(429),
        "/500": Answer(500),
        "/503": Answer(503),
        "/slow": Answer(200, late_seconds=0.6),
        "/garbage": Answer(raw=b"\x00\x01 this is no HTTP\r\n\r\n"),
        "/cut": Answer(raw=b""),
        "/half": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    }
    server.answer = lambda request: answers[request.path]
    seen = {path: hand_over(channel(server.url + path), [message(1)]) for path in answers}
    assert {path: [one.outcome.value for one in some] for path, some in seen.items()} == {
        **{path: ["sent"] for path in ("/200", "/204")},
        **{path: ["rejected"] for path in ("/400", "/413", "/422")},
        **{path: ["deferred"] for path in ("/408", "/409", "/425", "/429", "/500", "/503")},
        **{path: ["deferred"] for path in ("/slow", "/garbage", "/cut", "/half")},
    }
    assert seen["/422"][0].detail == "HTTP 422"
    assert len(server.requests) == len(answers)


@pytest.mark.parametrize(
    ("status", "words"), [(410, "is gone"), (404, "does not exist"), (401, "signature"), (301, "redirects")]
)
def test_an_address_that_is_wrong_stops_the_channel(server, status, words):
    server.answer = lambda _: Answer(status, headers={"Location": "http://10.0.0.1/"})
    taken = []

    def messages():
        for number in range(9):
            taken.append(number)
            yield message(number)

    with pytest.raises(ChannelUnavailable, match=words):
        hand_over(channel(server.url), messages())
    assert len(taken) <= 2
    assert len(server.requests) == len(taken)


def test_messages_that_were_taken_keep_their_answers_when_the_address_goes(server):
    server.answer = lambda request: Answer(200 if int(request.headers["webhook-id"], 16) < 5 else 410)
    answers = []

    async def collect():
        async for answer in channel(server.url).hand_over(message(number) for number in range(20)):
            answers.append(answer)  # noqa: PERF401 - what came before an error counts

    with pytest.raises(ChannelUnavailable):
        asyncio.run(collect())
    assert sorted(one.message_id for one in answers) == [f"{number:032x}" for number in range(5)]
    assert {one.outcome.value for one in answers} == {"sent"}


def test_a_server_that_asks_to_wait_is_given_a_pause(server):
    server.answer = lambda _: Answer(429, headers={"Retry-After": "1"}) if len(server.requests) == 1 else Answer()

    async def timed():
        start = asyncio.get_running_loop().time()
        answers = [one async for one in channel(server.url, connections=1).hand_over([message(1), message(2)])]
        return [answer.outcome.value for answer in answers], asyncio.get_running_loop().time() - start

    outcomes, seconds = asyncio.run(timed())
    assert outcomes == ["deferred", "sent"]
    assert seconds > 0.95


def test_a_private_address_is_refused_unless_the_settings_allow_it(server):
    with pytest.raises(ValueError, match="needs to be an https address"):
        channel(server.url, local_hosts=())
    taken = []
    with pytest.raises(ChannelUnavailable, match="not public"):
        hand_over(channel("https://localhost:1/", local_hosts=()), (taken.append(n) for n in range(3)))
    assert not taken


def test_the_secret_is_read_from_a_file_or_variable_and_shows_nowhere(tmp_path, monkeypatch):
    file = tmp_path / "webhook.secret"
    file.write_text("\n".join(SECRETS) + "\n")
    assert webhook_keys("webhook.secret", tmp_path) == keys_of(" ".join(SECRETS))
    monkeypatch.setenv(SECRET_VARIABLE, SECRETS[1])
    assert webhook_keys("", tmp_path) == keys_of(SECRETS[1])
    assert SECRETS[0] not in repr(channel("https://shop.example/"))
    for wrong in ("whsec_short", "whsec_c2hvcnQ=", "whsec_" + "ä" * 40, "   "):
        file.write_text(wrong)
        with pytest.raises(ChannelUnavailable, match=r"secret") as refusal:
            webhook_keys("webhook.secret", tmp_path)
        assert wrong.strip() == "" or wrong.strip() not in str(refusal.value)
    for name in ("missing", ""):
        monkeypatch.delenv(SECRET_VARIABLE, raising=False)
        with pytest.raises(ChannelUnavailable, match=r"secret"):
            webhook_keys(name, tmp_path)
