"""Providers, push services and receivers of webhooks that say anything at all: one answer each, in time and memory."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from tests.engage.channels import test_http_provider, test_web_push, test_webhook

from http_server import Answer, http_server
from patron.engage.channels import http_provider, waiting_messages
from patron.engage.channels.channel import Outcome
from patron.schema.errors import ChannelUnavailable

HEAD = b"HTTP/1.1 200 OK\r\n"
CODED = {"code_field": "code", "success_codes": [0], "id_field": "id"}


def endless(part: bytes, *, pause: float = 0.0) -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"%x\r\n%s\r\n" % (len(part), part)
        time.sleep(pause)


def flood_of_interim_answers() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100


def endless_headers() -> Iterator[bytes]:
    yield HEAD
    while True:
        yield b"X-Filler: " + b"x" * 1000 + b"\r\n"


LIES = {
    "an endless body": lambda: endless(b"x" * 65_536),
    "a body that drips": lambda: endless(b"x", pause=0.05),
    "endless headers": endless_headers,
    "interim answers without end": flood_of_interim_answers,
    "a header of a megabyte": HEAD + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "ten thousand headers": HEAD + b"X: y\r\n" * 10_000 + b"\r\n",
    "cookies of blanks": HEAD + b"Set-Cookie: a" + b" " * 60_000 + b"=\r\nContent-Length: 0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length below nothing": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length past any": HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "a chunk past any": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status of four figures": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status of nothing": b"HTTP/1.1 000 \r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "bytes": b"\0\xff" * 1000,
    "a redirect to nowhere": b"HTTP/1.1 302 x\r\nLocation: http://[::1/\r\nContent-Length: 0\r\n\r\n",
    "a redirect to a wrong name": b"HTTP/1.1 302 x\r\nLocation: https://xn--/\r\nContent-Length: 0\r\n\r\n",
    "a redirect to a wrong port": b"HTTP/1.1 307 x\r\nLocation: http://x:99999999/\r\nContent-Length: 0\r\n\r\n",
    "a redirect in bytes": b"HTTP/1.1 302 x\r\nLocation: https://\xff\xfe/\r\nContent-Length: 0\r\n\r\n",
    "a redirect to the metadata": b"HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    "a long wait": b"HTTP/1.1 429 x\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n",
    "a wait of nothing": b"HTTP/1.1 503 x\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n",
}
BODIES = [
    b"", b"null", b"[]", b'"x"', b"{", b"[" * 50_000, b'{"code": ' + b"9" * 5_000 + b"}", b'{"code": 1e999}',
    b'{"code": NaN, "id": Infinity}', b'{"code": {"code": 0}}', b'{"code": [0]}', b'{"code": true}', b"\xff\xfe0\0",
    json.dumps({"code": 0, "id": "0" * 32}).encode(), json.dumps({"code": 0, "id": "x" * 60_000}).encode(),
    json.dumps({"code": 0, "id": "<script>\r\nX: y"}).encode(), b'{"code": 0, "code": 13}', b'{"code": "\\ud800"}',
]  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with http_server() as running:
        yield running


def answers_of(channel, messages) -> list:
    async def collect():
        return [answer async for answer in channel.hand_over(messages)]

    return asyncio.run(asyncio.wait_for(collect(), 20))


def channels(server, seconds=0.3):
    """Each channel over HTTP, with a message, and how long it waits."""
    described = {"request": {"body": {"to": "{recipient}"}}, "answer": CODED}
    yield (
        "sms",
        test_http_provider.channel("sms", server.url, described, timeout_seconds=seconds),
        test_http_provider.message(),
    )
    browser = test_web_push.Browser(f"{server.url}/push")
    yield "web push", test_web_push.channel(timeout_seconds=seconds), test_web_push.message(browser.subscription)
    yield "webhook", test_webhook.channel(server.url, timeout_seconds=seconds), test_webhook.message(1)


@pytest.mark.parametrize("name", LIES)
def test_whatever_a_server_says_a_message_is_sent_once_and_has_one_answer_or_the_channel_stops(
    server, name, monkeypatch
):
    monkeypatch.setattr(waiting_messages, "MAX_PAUSE", 0.5)
    server.answer = lambda _: Answer(raw=LIES[name])
    for kind, channel, message in channels(server):
        server.requests.clear()
        began = time.monotonic()
        tracemalloc.start()
        try:
            [answer] = answers_of(channel, [message])
            assert answer.message_id == message.message_id
            assert len(answer.detail) < 200
            assert answer.outcome in set(Outcome), kind
        except ChannelUnavailable:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert len(server.requests) <= 1, kind
        assert time.monotonic() - began < 10, kind
        assert peak < 8_000_000, kind


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_a_body_that_means_nothing_is_no_success_and_shows_nothing(server, body):
    server.answer = lambda _: Answer(200, body)
    for _, channel, message in channels(server, seconds=5):
        [answer] = answers_of(channel, [message])
        assert answer.outcome in {Outcome.SENT, Outcome.UNKNOWN}
        assert len(answer.detail) < 100
        assert answer.detail.isprintable()


@pytest.mark.parametrize(
    "seconds", ["1" + "0" * 400, "NaN", "-Infinity", "Infinity", '"9999999999"', '"²"', "[]", "-5", "true", "1e400"]
)
def test_a_token_may_last_as_long_as_it_says(server, seconds):
    http_provider._tokens.clear()
    token = f'{{"access_token": "t", "expires_in": {seconds}}}'.encode()
    server.answer = lambda request: Answer(200, token if request.path.startswith("/token") else b'{"errcode": 0}')
    [answer] = answers_of(test_http_provider.wechat(server), [test_http_provider.open_id()])
    assert answer.outcome is Outcome.SENT
    http_provider._tokens.clear()
