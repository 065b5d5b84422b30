"""What every channel does with messages that it is given: each has one answer, and none is taken before its turn."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from http_server import Answer, http_server
from mail_server import mail_server
from patron.engage.channels import MAKERS
from patron.engage.channels.channel import Channel, Outcome, OutgoingMessage
from patron.engage.channels.email import EmailChannel
from patron.engage.channels.file import MESSAGES_OF_A_FILE, FileChannel
from patron.engage.channels.http_provider import ProviderChannel
from patron.engage.channels.web_push import WebPushChannel, public_push_key
from patron.engage.channels.webhook import WebhookChannel
from patron.engage.providers.provider_description import ProviderDescription
from patron.engage.providers.standard_webhooks import keys_of, new_secret
from patron.govern.vault import PREFIXES
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.translations import words
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels import ADDRESS_KINDS, CHANNELS, CONFIGURABLE, DESCRIBED
from patron.schema.outreach.channels.channel_description import PHONE_NUMBER
from patron.schema.privacy.personal_keys import kind_of_property
from patron.storage.offers.offer_policy import Offer
from patron.storage.outreach.channel_section import ChannelSection
from patron.storage.outreach.channel_settings import ChannelsSettings
from patron.storage.outreach.email_settings import EmailSettings
from patron.storage.outreach.http_channel_settings import WebhookSettings, WebPushSettings
from patron.storage.outreach.provider_settings import ProviderSettings

AT = datetime(2024, 3, 1, tzinfo=UTC)
MAX_AT_ONCE = 4
NOBODY = 1
"""Port that nothing listens on."""
KEY = generate_private_key(SECP256R1())
AUTH = bytes(16)


@dataclass
class Trial:
    """A channel whose provider is on this machine."""

    channel: Channel
    recipient: Callable[[int], str]
    """Address of a customer, of the kind that the channel needs."""
    received: Callable[[], list[tuple[str, str]]]
    """Id of each message that the provider took, and all that it says, as often as it came."""
    without_provider: Channel | None
    """The channel when nobody is there; None where each customer has a provider of their own."""
    most_ahead: int = MAX_AT_ONCE


@contextmanager
def email(_folder: Path) -> Iterator[Trial]:
    """E-mail to a server on this machine."""

    def channel(port: int) -> Channel:
        settings = EmailSettings(
            host="127.0.0.1",
            port=port,
            security="none",
            from_address="shop@shop.example",
            public_url="http://127.0.0.1:8321",
            connections=MAX_AT_ONCE,
        )
        return EmailChannel(settings, "Shop", lambda: AT)

    with mail_server() as server:

        def received() -> list[tuple[str, str]]:
            mails = [message_from_bytes(one) for one in server.messages]
            return [(mail["Message-ID"].strip("<").partition("@")[0], mail["List-Unsubscribe"]) for mail in mails]

        yield Trial(channel(server.port), "a{}@x.example".format, received, channel(NOBODY))


@contextmanager
def file(folder: Path) -> Iterator[Trial]:
    """Files that a mail system takes."""
    (folder / "a file").write_text("no folder")

    def received() -> list[tuple[str, str]]:
        lines = [line for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
        return [(json.loads(line)["message_id"], line) for line in lines]

    nobody = FileChannel(folder / "a file" / "messages")
    yield Trial(FileChannel(folder), "a{}@x.example".format, received, nobody, most_ahead=MESSAGES_OF_A_FILE)


@contextmanager
def webhook(_folder: Path) -> Iterator[Trial]:
    """Requests to a receiver on this machine."""
    keys = keys_of(new_secret())

    def channel(url: str) -> Channel:
        settings = WebhookSettings(url=url, local_hosts=("127.0.0.1",), connections=MAX_AT_ONCE)
        return WebhookChannel(settings, keys, lambda: AT, "http://127.0.0.1:8321/u/{}".format)

    with http_server() as server:

        def received() -> list[tuple[str, str]]:
            return [(request.headers["webhook-id"], request.body.decode()) for request in server.requests]

        yield Trial(channel(server.url), "u{}".format, received, channel(f"http://127.0.0.1:{NOBODY}"))


@contextmanager
def web_push(_folder: Path) -> Iterator[Trial]:
    """Notifications to a push service on this machine."""
    settings = WebPushSettings(
        key_file="push.pem", contact="mailto:it@shop.example", local_hosts=("127.0.0.1",), connections=MAX_AT_ONCE
    )
    with http_server() as server:
        server.answer = lambda _: Answer(201)

        def received() -> list[tuple[str, str]]:
            texts = [http_ece.decrypt(request.body, private_key=KEY, auth_secret=AUTH) for request in server.requests]
            return [(json.loads(text)["message_id"], text.decode()) for text in texts]

        def subscription(number: int) -> str:
            keys = {"p256dh": public_push_key(KEY), "auth": urlsafe_b64encode(AUTH).decode()}
            return json.dumps({"endpoint": f"{server.url}/{number}", "keys": keys})

        channel = WebPushChannel(settings, KEY, lambda: AT, "http://127.0.0.1:8321/u/{}".format)
        yield Trial(channel, subscription, received, None)


def provider(name: str) -> Callable[[Path], AbstractContextManager[Trial]]:
    """Requests to a described provider on this machine."""

    def channel(url: str) -> Channel:
        settings = ProviderSettings(provider_file="x.toml", local_hosts=("127.0.0.1",), connections=MAX_AT_ONCE)
        body = {"to": "{recipient}", "id": "{message_id}", "text": "{text} {unsubscribe_url}"}
        described = ProviderDescription.model_validate({"request": {"url": url, "body": body}})
        return ProviderChannel(CHANNELS[name], settings, described, {}, lambda: AT, "http://127.0.0.1:8321/u/{}".format)

    @contextmanager
    def trial(_folder: Path) -> Iterator[Trial]:
        with http_server() as server:

            def received() -> list[tuple[str, str]]:
                return [(json.loads(request.body)["id"], request.body.decode()) for request in server.requests]

            recipient = "+49301{:07}" if CHANNELS[name].address_kind == PHONE_NUMBER else "1234{:07}"
            yield Trial(channel(server.url), recipient.format, received, channel(f"http://127.0.0.1:{NOBODY}"))

    return trial


TRIALS = {name: provider(name) for name in DESCRIBED}
TRIALS |= {"email": email, "file": file, "webhook": webhook, "web_push": web_push}
"""How each channel is made for the tests; a new one with a protocol of its own is added here."""


@pytest.fixture(params=TRIALS)
def trial(request, tmp_path):
    with TRIALS[request.param](tmp_path) as one:
        assert (one.channel.name, one.channel.address_kind) == (request.param, CHANNELS[request.param].address_kind)
        yield one


def test_every_channel_is_tried():
    assert set(TRIALS) == set(CHANNELS) == set(MAKERS)


def test_an_offer_may_be_for_any_channel():
    offer = Offer.model_validate(
        {"id": "tea", "kind": "reminder", "assumed_purchase_uplift": 0, "channels": [*CHANNELS]}
    )
    assert offer.channels == tuple(CHANNELS)


def test_every_channel_has_its_place_in_settings_vault_and_texts():
    sections = ChannelsSettings()
    assert {*CONFIGURABLE, "receipts"} == set(ChannelsSettings.model_fields)
    assert all(isinstance(sections.section(name), ChannelSection) for name in CONFIGURABLE)
    prefixes = [PREFIXES[kind.name] for kind in ADDRESS_KINDS]
    assert len({*PREFIXES.values()}) == len(PREFIXES)
    assert prefixes == [kind.vault_letter for kind in ADDRESS_KINDS]
    assert {kind_of_property(kind.name) for kind in ADDRESS_KINDS} == {"identifying"}
    for locale in LOCALES:
        texts = words(locale).texts
        assert [name for name in CHANNELS if f"channel.{name}" not in texts] == []
        assert [name for name in CONFIGURABLE if f"processing_recipient.{name}" not in texts] == []


def message(trial: Trial, number: int) -> OutgoingMessage:
    texts = ("Hi", "Hello", "<p>Hello</p>", "offers", f"TOKEN{number}")
    return OutgoingMessage(f"{number:032x}", trial.recipient(number), "Ann", *texts)


async def answers_of(channel: Channel, messages) -> list:
    return [answer async for answer in channel.hand_over(messages)]


def test_each_message_has_one_answer_and_arrives_once(trial):
    answers = asyncio.run(answers_of(trial.channel, [message(trial, n) for n in range(40)]))
    ids = [f"{n:032x}" for n in range(40)]
    assert sorted(answer.message_id for answer in answers) == ids
    assert {answer.outcome for answer in answers} == {Outcome.SENT}
    received = dict(trial.received())
    assert sorted(one for one, _ in trial.received()) == ids
    assert all(f"TOKEN{n}" in received[f"{n:032x}"] for n in range(40))


def test_no_message_is_a_message_too_few(trial):
    assert asyncio.run(answers_of(trial.channel, [])) == []


def test_messages_are_taken_when_they_can_be_sent(trial):
    ahead = []
    count = 2 * MESSAGES_OF_A_FILE if trial.most_ahead > 40 else 40

    async def follow():
        taken = answered = 0

        def messages():
            nonlocal taken
            for number in range(count):
                taken += 1
                ahead.append(taken - answered)
                yield message(trial, number)

        async for _ in trial.channel.hand_over(messages()):
            answered += 1
            await asyncio.sleep(0)

    asyncio.run(follow())
    assert len(ahead) == count
    assert max(ahead) <= trial.most_ahead


def test_who_stops_listening_leaves_nothing_running(trial):
    taken = []

    def messages():
        for number in range(10_000):
            taken.append(number)
            yield message(trial, number)

    async def stop_early():
        handing_over = trial.channel.hand_over(messages())
        async for _ in handing_over:
            break
        await handing_over.aclose()
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert asyncio.run(stop_early()) == []
    assert len(taken) < 1_000


def test_where_nobody_is_there_the_channel_is_unavailable(trial):
    if trial.without_provider is None:
        [answer] = asyncio.run(answers_of(trial.channel, [replaced(message(trial, 1))]))
        assert answer.outcome is Outcome.DEFERRED
        return
    answers = []

    async def collect():
        async for one in trial.without_provider.hand_over(message(trial, n) for n in range(3)):
            answers.append(one)  # noqa: PERF401 - what came before an error counts

    with pytest.raises(ChannelUnavailable):
        asyncio.run(collect())
    assert answers == []
    assert trial.received() == []


def replaced(one: OutgoingMessage) -> OutgoingMessage:
    """A message for somebody whose provider is not there."""
    content = json.loads(one.recipient) | {"endpoint": f"http://127.0.0.1:{NOBODY}/1"}
    return OutgoingMessage(**(vars(one) | {"recipient": json.dumps(content)}))


def test_an_error_of_the_caller_loses_no_answer(trial):
    def messages():
        yield message(trial, 1)
        yield message(trial, 2)
        raise KeyError("store")

    answers = []

    async def collect():
        async for answer in trial.channel.hand_over(messages()):
            answers.append(answer.message_id)  # noqa: PERF401 - what came before an error counts

    with pytest.raises(KeyError):
        asyncio.run(collect())
    assert sorted(answers) == sorted(one for one, _ in trial.received())
