"""What every channel does with messages that it is given: each has one answer, and none is taken before its turn."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from mail_server import mail_server
from patron.engage.channels.channel import Channel, Outcome, OutgoingMessage
from patron.engage.channels.email import EmailChannel
from patron.storage.channel_settings import EmailSettings

AT = datetime(2024, 3, 1, tzinfo=UTC)
MOST_AT_ONCE = 4


@contextmanager
def email() -> Iterator[Channel]:
    """E-mail to a server on this machine."""
    with mail_server() as server:
        settings = EmailSettings(
            host="127.0.0.1",
            port=server.port,
            security="none",
            from_address="shop@shop.example",
            public_url="http://127.0.0.1:8321",
            connections=MOST_AT_ONCE,
        )
        yield EmailChannel(settings, "Shop", lambda: AT)


CHANNELS = {"email": email}
"""How each channel is made for the tests; a new one is added here."""


@pytest.fixture(params=CHANNELS)
def channel(request):
    with CHANNELS[request.param]() as one:
        assert one.name == request.param
        yield one


def message(number: int) -> OutgoingMessage:
    address, token = f"a{number}@x.example", "TOKEN"
    return OutgoingMessage(f"{number:032x}", address, "Ann", "Hi", "Hello", "<p>Hello</p>", "offers", token)


async def answers_of(channel: Channel, messages) -> list:
    return [answer async for answer in channel.hand_over(messages)]


def test_each_message_has_one_answer(channel):
    answers = asyncio.run(answers_of(channel, [message(n) for n in range(40)]))
    assert sorted(one.message_id for one in answers) == [f"{n:032x}" for n in range(40)]
    assert {one.outcome for one in answers} == {Outcome.SENT}


def test_no_message_is_a_message_too_few(channel):
    assert asyncio.run(answers_of(channel, [])) == []


def test_messages_are_taken_when_they_can_be_sent(channel):
    ahead = []

    async def follow():
        taken = answered = 0

        def messages():
            nonlocal taken
            for number in range(40):
                taken += 1
                ahead.append(taken - answered)
                yield message(number)

        async for _ in channel.hand_over(messages()):
            answered += 1
            await asyncio.sleep(0)

    asyncio.run(follow())
    assert len(ahead) == 40
    assert max(ahead) <= 3 * MOST_AT_ONCE


def test_who_stops_listening_leaves_nothing_running(channel):
    taken = []

    def messages():
        for number in range(10_000):
            taken.append(number)
            yield message(number)

    async def stop_early():
        handing_over = channel.hand_over(messages())
        async for _ in handing_over:
            break
        await handing_over.aclose()
        return [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]

    assert asyncio.run(stop_early()) == []
    assert len(taken) < 1_000
