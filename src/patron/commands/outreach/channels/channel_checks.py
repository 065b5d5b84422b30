"""Channels looked at and tried: what is configured, what is missing, and one message to oneself."""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape

from patron.engage.channels import channel_of
from patron.engage.channels.channel import Channel, Handover, OutgoingMessage, ReachableChannel
from patron.engage.channels.http_provider import ProviderChannel
from patron.engage.providers.sms_segments import sms_length
from patron.engage.recipients import contact_of
from patron.engage.templates.message_links import message_links
from patron.engage.templates.message_template import UNSUBSCRIBE_URL
from patron.govern.master_key import derive_keys
from patron.govern.outreach.unsubscribe_tokens import Subscription, token_of
from patron.govern.vault import Vault
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels import CONFIGURABLE
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

TEST_TOPIC = "offers"
NOT_PUBLIC = Sentence(
    "channel_public",
    "public_url of [channels.email] is of this machine: customers elsewhere cannot unsubscribe by its links.",
)


@dataclass(frozen=True)
class ChannelState:
    """Whether a channel can be used."""

    name: str
    is_configured: bool
    is_reachable: bool | None
    """None where it was not tried, as something is missing, or as each customer has a server of their own."""
    is_signed: bool
    """Whether messages are signed, by DKIM, a shared secret or a private key."""
    server: str
    sender: str
    problems: tuple[str, ...]
    """What is missing, and what to do."""


def check_channels(shop: Shop, *, clock_at: datetime) -> list[ChannelState]:
    """State of every channel that has settings; connects to its provider, and sends nothing."""
    return [_check_channel(shop, name, clock_at) for name in CONFIGURABLE]


def set_up_problems(shop: Shop, names: Iterable[str], *, at: datetime) -> tuple[str, ...]:
    """Why nothing can be sent by some of these channels, and what to do; connects to nobody."""
    problems = []
    for name in names:
        try:
            channel_of(shop, name, clock=lambda: at)
        except ChannelUnavailable as error:
            problems.append(error.said)
    return tuple(problems)


def _check_channel(shop: Shop, name: str, at: datetime) -> ChannelState:
    settings, problems = shop.settings.channels.section(name), []
    is_made, is_reachable = False, None
    try:
        channel = channel_of(shop, name, clock=lambda: at)
        is_made = True
        if isinstance(channel, ReachableChannel):
            is_reachable = False
            asyncio.run(channel.require_reachable())
            is_reachable = True
    except ChannelUnavailable as error:
        problems.append(error.said)
    if settings.is_configured:
        problems += settings.advice
        if not shop.settings.channels.email.public_url.startswith("https:"):
            problems.append(NOT_PUBLIC)
    return ChannelState(
        name=name,
        is_configured=settings.is_configured,
        is_reachable=is_reachable,
        is_signed=is_made and settings.is_signed,
        server=settings.server,
        sender=settings.sender,
        problems=tuple(problems),
    )


def send_test(shop: Shop, address: str, *, now: datetime, channel: str = "email") -> Handover:
    """Send one message to an address, signed and with links that work. Raises ChannelUnavailable."""
    way = channel_of(shop, channel, clock=lambda: now)
    country_code = way.provider.country_code if isinstance(way, ProviderChannel) else ""
    contact = contact_of(Vault.open(shop), way.address_kind, address, country_code)
    keys, name = derive_keys(shop.master_key()), shop.settings.shop.name
    token = token_of(keys, Subscription("", contact, channel, TEST_TOPIC, locale=shop.settings.shop.locale))
    url = message_links(shop.settings, token)[UNSUBSCRIBE_URL]
    words = "can send e-mail" if channel == "email" else f"can send messages by {channel}"
    text = _sample_text(way, f"This message shows that {name} {words}.", url)
    html = f'<p>This message shows that {escape(name)} {words}.</p><p><a href="{url}">Unsubscribe</a></p>\n'
    message = OutgoingMessage(
        secrets.token_hex(16),
        address,
        recipient_name="",
        subject=f"Test of {name}",
        text=text,
        html=html,
        topic=TEST_TOPIC,
        unsubscribe_token=token,
    )

    async def hand_over() -> Handover:
        return [one async for one in way.hand_over([message])].pop()

    answer, price = asyncio.run(hand_over()), _price_text(way, text, shop.settings.shop.currency or "")
    return replace(answer, detail=f"{answer.detail}; {price}") if price else answer


def _sample_text(channel: Channel, sentence: str, url: str) -> str:
    """Text of a message to oneself: each parameter of the description on a line, the link in the last one."""
    names = channel.provider.parameter_names if isinstance(channel, ProviderChannel) else ()
    if not names:
        return f"{sentence}\n\nUnsubscribe: {url}\n"
    return "\n".join(f"{name}: {url if name == names[-1] else sentence}" for name in names)


def _price_text(channel: Channel, text: str, currency: str) -> str:
    """Segments of a text message and what they cost; empty for channels that do not count them."""
    if not isinstance(channel, ProviderChannel) or not channel.described.has_segments:
        return ""
    length, price = sms_length(text.strip()), channel.provider.price_per_segment
    segments = f"{length.segments} segment{'s' if length.segments > 1 else ''}"
    cost = f", costs {length.segments * price:g} {currency}".rstrip() if price else ""
    return f"{length.places} characters in {length.encoding}: {segments}{cost}"
