"""Described providers over a real HTTP server: what is sent, what each answer means, tokens, and nothing injected."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import tomllib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_server import Answer, http_server
from patron.engage.channels.channel import Outcome, OutgoingMessage
from patron.engage.channels.http_provider import ProviderChannel
from patron.engage.providers.provider_description import ProviderDescription, RequestDescription
from patron.engage.providers.provider_request import build_request
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels import CHANNELS, DESCRIBED
from patron.storage.outreach.provider_settings import ProviderSettings

AT = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
SECRETS = {"API_KEY": "s3cr3t-key", "APP_ID": "app-1", "APP_SECRET": "s3cr3t-app"}
EVIL = '"}, "to": "+4366666", {secret.API_KEY} {recipient}\r\nX-Evil: 1\r\n\r\n&to=6 \\u0022 李'


@pytest.fixture
def server():
    with http_server() as running:
        yield running


def channel(kind: str, url: str, content: dict, clock=lambda: AT, **options) -> ProviderChannel:
    described = ProviderDescription.model_validate(content | {"request": {"url": url, **content["request"]}})
    chosen = ProviderSettings(
        **{"provider_file": "x.toml", "local_hosts": ("127.0.0.1",), "timeout_seconds": 0.3, "connections": 2} | options
    )
    return ProviderChannel(CHANNELS[kind], chosen, described, SECRETS, clock, "https://shop.example/u/{}".format)


def message(number: int = 7, **fields) -> OutgoingMessage:
    values = {"recipient": "+4930123456", "recipient_name": "Änne", "subject": "Hi", "text": "Hello 李雷\n"}
    values |= {"html": "", "topic": "offers", "unsubscribe_token": "TOKEN"}
    return OutgoingMessage(f"{number:032x}", **(values | fields))


def hand_over(one: ProviderChannel, *messages: OutgoingMessage) -> list:
    async def collect():
        return [answer async for answer in one.hand_over(messages)]

    return asyncio.run(collect())


PLAIN = {"request": {"body": {"to": "{recipient}", "text": "{text}"}}}


def test_values_are_filled_in_one_by_one_and_never_begin_anything_of_their_own(server):
    body = {
        "to": "{recipient}",
        "deep": [{"text": "{recipient_name}: {text}", "flag": True, "n": 3}],
        "id": "{message_id}",
    }
    headers = {"Authorization": "Bearer {secret.API_KEY}", "X-Id": "{message_id}"}
    query = {"who": "{recipient_name}", "at": "{timestamp}"}
    one = channel(
        "sms", server.url + "/v1/{secret.APP_ID}", {"request": {"body": body, "headers": headers, "query": query}}
    )
    [answer] = hand_over(one, message(recipient_name=EVIL, text=EVIL))
    assert (answer.outcome, answer.detail) == (Outcome.SENT, "HTTP 200")
    [request] = server.requests
    content = {"to": "+4930123456", "deep": [{"text": f"{EVIL}: {EVIL}", "flag": True, "n": 3}], "id": f"{7:032x}"}
    assert json.loads(request.body) == content
    assert (request.headers["authorization"], request.headers["x-id"]) == ("Bearer s3cr3t-key", f"{7:032x}")
    assert "x-evil" not in request.headers
    assert urlsplit(request.path).path == "/v1/app-1"
    assert parse_qs(urlsplit(request.path).query) == {"who": [EVIL], "at": [str(int(AT.timestamp()))]}


@settings(max_examples=60, deadline=None)
@given(name=st.text(), text=st.text())
def test_whatever_a_value_is_the_request_keeps_its_form(name, text):
    values = {"recipient_name": name, "text": text, "recipient": "+4930"}
    body = {"to": "{recipient}", "name": "{recipient_name}", "text": "<{text}>"}
    request = build_request(RequestDescription(url="https://x.example", body=body), values)
    expected = {"to": "+4930", "name": name, "text": f"<{text}>"}
    assert json.loads(request.body) == expected
    form = build_request(RequestDescription(url="https://x.example", body=body, format="form"), values)
    fields = parse_qs(form.body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict")
    assert fields == {key: [value] for key, value in expected.items()}


def test_a_form_is_signed_over_sorted_encoded_parts_and_has_a_password(server):
    content = {
        "request": {
            "format": "form",
            "body": {"To": "{recipient_digits}", "Body": "{text}", "Ok": True},
            "query": {"z": "a b*~", "Nonce": "{nonce}"},
            "user": "{secret.APP_ID}",
            "password": "{secret.API_KEY}",
        },
        "signature": {
            "secret": "APP_SECRET",
            "text": "{method}&{path}&{query}&{form}&{timestamp}&{body_sha256}",
            "query": "Signature",
            "encoding": "base64",
        },
        "timestamp": "iso",
    }
    [answer] = hand_over(channel("sms", f"{server.url}/send", content), message(text="1+1 & 2"))
    assert answer.outcome == Outcome.SENT
    [request] = server.requests
    path, query = urlsplit(request.path).path, urlsplit(request.path).query
    assert request.body == b"Body=1%2B1%20%26%202&Ok=true&To=4930123456"
    sent = dict(pair.split("=", 1) for pair in query.split("&"))
    signed_query = f"Nonce={sent['Nonce']}&z=a%20b%2A~"
    parts = (
        "POST",
        path,
        signed_query,
        request.body.decode(),
        "2024-03-01T09:30:00Z",
        hashlib.sha256(request.body).hexdigest(),
    )
    expected = base64.b64encode(hmac.new(b"s3cr3t-app", "&".join(parts).encode(), hashlib.sha256).digest()).decode()
    assert parse_qs(query)["Signature"] == [expected]
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"app-1:s3cr3t-key").decode()


CODES = {
    "code_field": "result.0.code",
    "success_codes": [0],
    "no_such_address": ["unknown_number"],
    "rejected": [13],
    "deferred": ["busy"],
    "id_field": "id",
}


def coded(code: object, status: int = 200, **more) -> Answer:
    return Answer(status, json.dumps({"result": [{"code": code, "words": "+4930123456 s3cr3t-key"}]} | more).encode())


@pytest.mark.parametrize(
    ("answer", "outcome", "if_idempotent"),
    [
        (coded(0, id="m-1"), "sent", "sent"),
        (coded(0, late_id="x"), "sent", "sent"),
        (coded("unknown_number", 400), "rejected", "rejected"),
        (coded(13), "rejected", "rejected"),
        (coded("busy"), "deferred", "deferred"),
        (coded("a new code"), "unknown", "deferred"),
        (Answer(200, b"OK"), "unknown", "deferred"),
        (Answer(200, b"[" * 9_999), "unknown", "deferred"),
        (Answer(422, b"{}"), "rejected", "rejected"),
        (Answer(429), "deferred", "deferred"),
        (Answer(408), "deferred", "deferred"),
        (Answer(503), "deferred", "deferred"),
        (Answer(500), "unknown", "deferred"),
        (Answer(200, b'{"result": [{"code": 0}]}', late_seconds=0.1), "sent", "sent"),
        (Answer(200, b'{"result": [{"code": 0}]}', late_seconds=0.6), "unknown", "deferred"),
        (Answer(raw=b""), "unknown", "deferred"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "unknown", "deferred"),
        (Answer(raw=b"220 smtp\r\n"), "unknown", "deferred"),
    ],
)
def test_what_answers_mean(server, answer, outcome, if_idempotent):
    server.answer = lambda _: answer
    content = {"request": {"body": {"to": "{recipient}", "id": "{message_id}"}}, "answer": CODES}
    for is_idempotent, expected in ((False, outcome), (True, if_idempotent)):
        [result] = hand_over(channel("sms", server.url, content | {"is_idempotent": is_idempotent}), message())
        assert result.outcome == expected
        assert result.is_gone is (b"unknown_number" in answer.body)
        assert "4930123456" not in result.detail
        assert "s3cr3t" not in result.detail
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_what_no_message_can_change_stops_the_channel(server, status):
    server.answer = lambda _: Answer(status, b'{"error": "s3cr3t-key"}', {"Location": "http://127.0.0.1:1/"})
    with pytest.raises(ChannelUnavailable, match=f"HTTP {status}") as caught:
        hand_over(channel("sms", server.url, PLAIN), message())
    assert "s3cr3t" not in f"{caught.value!r} {caught.value}"
    assert len(server.requests) == 1


def test_an_id_that_names_the_recipient_or_a_secret_is_not_shown(server):
    for number, text in enumerate(("m-1", "4930123456", "s3cr3t-key")):
        server.answer = lambda _, text=text: Answer(200, json.dumps({"id": text}).encode())
        [answer] = hand_over(channel("sms", server.url, PLAIN | {"answer": {"id_field": "id"}}), message())
        assert answer.detail == ("HTTP 200 id m-1" if number == 0 else "HTTP 200")


def test_a_code_that_is_a_secret_or_the_recipient_is_not_shown(server):
    described = PLAIN | {"answer": {"code_field": "code"}}
    for text in ("s3cr3t-key", "Xs3cr3t-key", "oABC-7_x"):
        server.answer = lambda _, text=text: Answer(400, json.dumps({"code": text}).encode())
        [answer] = hand_over(channel("wechat", server.url, described), open_id())
        assert (answer.outcome, answer.detail) == (Outcome.REJECTED, "HTTP 400")
        server.answer = lambda _, text=text: Answer(403, json.dumps({"code": text}).encode())
        with pytest.raises(ChannelUnavailable) as caught:
            hand_over(channel("wechat", server.url, described), open_id())
        assert text not in f"{caught.value!r} {caught.value}"


def test_numbers_become_international_or_are_rejected_before_anything_is_sent(server):
    one = channel("sms", server.url, PLAIN | {"country_code": "49"})
    numbers = ["030 123456", "0043 1 234567", "+1 (212) 555-0100", "110", "+0123456789"]
    answers = hand_over(one, *(message(n, recipient=number) for n, number in enumerate(numbers)))
    assert sorted(json.loads(request.body)["to"] for request in server.requests) == [
        "+12125550100",
        "+431234567",
        "+4930123456",
    ]
    assert sum(one.outcome == Outcome.REJECTED for one in answers) == 2
    assert not any("110" in one.detail or one.is_gone for one in answers)
    [answer] = hand_over(channel("sms", server.url, PLAIN), message(recipient="030 123456"))
    assert (answer.outcome, "country_code" in answer.detail) == (Outcome.REJECTED, True)


def wechat(server, clock=lambda: AT, **answer) -> ProviderChannel:
    content = {
        "request": {
            "query": {"access_token": "{token}"},
            "body": {
                "touser": "{recipient}",
                "data": {"title": {"value": "{parameters.title}"}},
                "url": "{unsubscribe_url}",
            },
        },
        "token": {
            "url": f"{server.url}/token",
            "method": "GET",
            "query": {"appid": "{secret.APP_ID}", "secret": "{secret.APP_SECRET}"},
        },
        "answer": {"code_field": "errcode", "success_codes": [0], "token_expired": [42001], "no_such_address": [40003]},
    }
    return channel("wechat", f"{server.url}/send", content, clock, **answer)


@pytest.fixture
def wechat_server(server):
    """A server that knows one token at a time."""
    server.tokens, server.valid = [], ""

    def answer(request):
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        if request.path.startswith("/token"):
            if query.get("secret") != "s3cr3t-app":
                return Answer(200, b'{"errcode": 40125, "errmsg": "s3cr3t"}')
            server.valid = f"token-{id(server)}-{len(server.tokens)}"
            server.tokens.append(server.valid)
            return Answer(200, json.dumps({"access_token": server.valid, "expires_in": 7200}).encode())
        return Answer(200, json.dumps({"errcode": 0 if query["access_token"] == server.valid else 42001}).encode())

    server.answer = answer
    return server


def open_id(number: int = 7, text: str = "title: Hello 李雷\nsomething else") -> OutgoingMessage:
    return message(number, recipient=f"oABC-{number}_x", text=text)


def test_a_token_is_fetched_once_renewed_before_it_ends_and_after_it_was_ended(wechat_server, caplog):
    caplog.set_level(logging.DEBUG)
    clock = [AT]
    one = wechat(wechat_server, lambda: clock[0])
    assert [a.outcome for a in hand_over(one, *(open_id(n) for n in range(5)))] == ["sent"] * 5
    assert len(wechat_server.tokens) == 1
    hand_over(wechat(wechat_server, lambda: clock[0]), open_id())
    assert len(wechat_server.tokens) == 1
    clock[0] += timedelta(seconds=7200 - 59)
    assert hand_over(one, open_id())[0].outcome == Outcome.SENT
    assert len(wechat_server.tokens) == 2
    wechat_server.valid = "of somebody else"
    assert [a.outcome for a in hand_over(one, open_id(1), open_id(2))] == ["sent"] * 2
    assert len(wechat_server.tokens) == 3
    sent = [json.loads(request.body) for request in wechat_server.requests if request.path.startswith("/send")]
    link = "https://shop.example/u/TOKEN"
    assert sent[-1]["data"] == {"title": {"value": "Hello 李雷"}}
    assert {content["url"] for content in sent} == {link}
    assert "s3cr3t" not in caplog.text
    assert "token-" not in caplog.text


def test_a_wrong_secret_stops_the_channel_and_is_not_shown(wechat_server, monkeypatch):
    monkeypatch.setitem(SECRETS, "APP_SECRET", "s3cr3t-wrong")
    with pytest.raises(ChannelUnavailable, match="issues no token") as caught:
        hand_over(wechat(wechat_server), open_id())
    assert "s3cr3t" not in str(caught.value)
    assert len(wechat_server.requests) == 1


def test_a_template_message_needs_each_parameter_once(wechat_server):
    texts = ["no parameter", "title: a\ntitle: b", "title: {parameters.title} {token} https://x.example/?a=1:2"]
    answers = hand_over(wechat(wechat_server), *(open_id(n, text) for n, text in enumerate(texts)))
    by_id = {one.message_id: one for one in answers}
    assert [by_id[f"{n:032x}"].outcome for n in range(3)] == ["rejected", "rejected", "sent"]
    assert "title" in by_id[f"{0:032x}"].detail
    [request] = [one for one in wechat_server.requests if one.path.startswith("/send")]
    assert json.loads(request.body)["data"]["title"]["value"] == texts[2].removeprefix("title: ")
    [answer] = hand_over(wechat(wechat_server), message(recipient="o/../x", text=texts[2]))
    assert (answer.outcome, answer.detail) == (Outcome.REJECTED, "not a WeChat open id")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"request": {"url": "https://x.example", "body": {"to": "{recpient}"}}}, "recpient"),
        ({"request": {"url": "https://x.example/{recipient}"}}, "where logs would keep it"),
        ({"request": {"url": "https://x.example", "headers": {"X": "{text}"}}}, "where logs would keep it"),
        ({"request": {"url": "https://x.example", "headers": {"X": "a\r\nY: b"}}}, "one line of ASCII"),
        ({"request": {"url": "https://{secret.HOST}.example"}}, "host without placeholders"),
        ({"request": {"url": "https://x.example", "format": "form", "body": {"a": {"b": "c"}}}}, "a form"),
        ({"request": {"url": "https://x.example", "query": {"t": "{token}"}}}, r"\[token\]"),
        ({"is_idempotent": True}, "message_id"),
        ({"answer": {"code_field": "c", "rejected": [1], "deferred": ["1"]}}, "two lists"),
        ({"answer": {"rejected": [1]}}, "code_field"),
        ({"signature": {"secret": "K", "text": "{all}", "header": "X"}}, "all"),
    ],
)
def test_a_wrong_description_is_refused_in_plain_words(change, words):
    with pytest.raises(ValueError, match=words):
        ProviderDescription.model_validate({"request": {"url": "https://x.example"}} | change)


def test_the_examples_are_valid_and_name_their_secrets(tmp_path):
    for name in DESCRIBED:
        (tmp_path / name).write_text(CHANNELS[name].provider_example, encoding="utf-8")
        section = tomllib.loads(CHANNELS[name].example)["channels"][name]
        assert set(section["secret_files"]) == ProviderDescription.load(tmp_path / name).secret_names != set()
    (tmp_path / "bad").write_text("[request]\nurl = 1\n[anser]\n", encoding="utf-8")
    with pytest.raises(ChannelUnavailable, match="anser"):
        ProviderDescription.load(tmp_path / "bad")
