"""Channels looked at and tried: what is configured, what is missing, and one message to oneself."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from html import escape
from typing import Protocol

from patron.commands.outreach.channels.provider_checks import price_text, sample_text
from patron.engage.channels import channel_of
from patron.engage.channels.channel import Handover, OutgoingMessage
from patron.engage.channels.email import EmailChannel
from patron.engage.channels.http_provider import ProviderChannel
from patron.engage.channels.web_push import WebPushChannel
from patron.engage.channels.webhook import WebhookChannel
from patron.engage.recipients import contact_of
from patron.engage.templates.message_links import message_links
from patron.engage.templates.message_template import UNSUBSCRIBE_URL
from patron.govern.master_key import derive_keys
from patron.govern.outreach.unsubscribe_tokens import Subscription, token_of
from patron.govern.vault import Vault
from patron.schema.errors import ChannelUnavailable
from patron.storage.outreach.provider_settings import ProviderSettings
from patron.storage.shop import Shop

TEST_TOPIC = "offers"
NOT_PUBLIC = "public_url of [channels.email] is of this machine: customers elsewhere cannot unsubscribe by its links."


@dataclass(frozen=True)
class ChannelState:
    """Whether a channel can be used."""

    name: str
    is_configured: bool
    is_reachable: bool | None
    """None where it was not tried, as something is missing, or as each customer has a server of their own."""
    is_signed: bool
    """Whether messages are signed: by DKIM, a secret, or a key."""
    server: str
    sender: str
    problems: tuple[str, ...]
    """What is missing, and what to do."""


def check_channels(shop: Shop, *, clock_at: datetime) -> list[ChannelState]:
    """State of every channel that has settings; connects to its provider, and sends nothing."""
    return [check(shop, clock_at) for check in CHECKS.values()]


def set_up_problems(shop: Shop, names: Iterable[str], *, at: datetime) -> tuple[str, ...]:
    """Why nothing can be sent by some of these channels, and what to do; connects to nobody."""
    problems = []
    for name in names:
        try:
            channel_of(shop, name, clock=lambda: at)
        except ChannelUnavailable as error:
            problems.append(str(error))
    return tuple(problems)


def _check_email(shop: Shop, at: datetime) -> ChannelState:
    settings = shop.settings.channels.email
    is_reachable, problems = _reach(lambda: EmailChannel.of(shop, clock=lambda: at))
    if settings.is_configured:
        if not settings.dkim_key_file:
            problems.append("Messages are not signed: most mailboxes refuse them. Make a key: patron channels key.")
        if not settings.bounce_domain:
            problems.append("No bounce_domain: bounces go to the sender's mailbox; `patron channels bounces` reads it.")
        if settings.public_url.startswith("http:"):
            problems.append(NOT_PUBLIC)
    server = f"{settings.host}:{settings.port}" if settings.is_configured else ""
    is_signed = bool(settings.dkim_key_file) and not any("DKIM key" in one for one in problems)
    return ChannelState(
        *("email", settings.is_configured, is_reachable, is_signed, server, settings.from_address),
        tuple(problems),
    )


def _check_webhook(shop: Shop, at: datetime) -> ChannelState:
    settings = shop.settings.channels.webhook
    is_reachable, problems = _reach(lambda: WebhookChannel.of(shop, clock=lambda: at))
    if settings.is_configured and not shop.settings.channels.email.public_url.startswith("https:"):
        problems.append(NOT_PUBLIC)
    is_signed = is_reachable is not None
    return ChannelState("webhook", settings.is_configured, is_reachable, is_signed, settings.url, "", tuple(problems))


def _check_web_push(shop: Shop, at: datetime) -> ChannelState:
    settings = shop.settings.channels.web_push
    problems: list[str] = []
    try:
        WebPushChannel.of(shop, clock=lambda: at)
    except ChannelUnavailable as error:
        problems.append(str(error))
    is_signed = not problems
    if settings.is_configured and not shop.settings.channels.email.public_url.startswith("https:"):
        problems.append(NOT_PUBLIC)
    return ChannelState("web_push", settings.is_configured, None, is_signed, "", settings.contact, tuple(problems))


def _check_provider(name: str, shop: Shop, at: datetime) -> ChannelState:
    settings: ProviderSettings = getattr(shop.settings.channels, name)
    is_reachable, problems = _reach(lambda: ProviderChannel.of(name, shop, clock=lambda: at))
    if settings.is_configured and not shop.settings.channels.email.public_url.startswith("https:"):
        problems.append(NOT_PUBLIC)
    is_signed = is_reachable is not None
    file = settings.provider_file
    return ChannelState(name, settings.is_configured, is_reachable, is_signed, file, "", tuple(problems))


class _Reachable(Protocol):
    async def require_reachable(self) -> None: ...


def _reach(make: Callable[[], _Reachable]) -> tuple[bool | None, list[str]]:
    """Whether the provider of a channel answers (None: the channel cannot be made), and what is wrong."""
    is_reachable = None
    try:
        channel = make()
        is_reachable = False
        asyncio.run(channel.require_reachable())
    except ChannelUnavailable as error:
        return is_reachable, [str(error)]
    return True, []


CHECKS: Mapping[str, Callable[[Shop, datetime], ChannelState]] = {
    "email": _check_email,
    "webhook": _check_webhook,
    "web_push": _check_web_push,
    "sms": partial(_check_provider, "sms"),
    "wechat": partial(_check_provider, "wechat"),
}
"""How each channel with settings is looked at."""


def send_test(shop: Shop, address: str, *, now: datetime, channel: str = "email") -> Handover:
    """Send one message to an address, signed and with links that work. Raises ChannelUnavailable."""
    way = channel_of(shop, channel, clock=lambda: now)
    country_code = way.provider.country_code if isinstance(way, ProviderChannel) else ""
    contact = contact_of(Vault.open(shop), way.address_kind, address, country_code)
    keys, name = derive_keys(shop.master_key()), shop.settings.shop.name
    token = token_of(keys, Subscription("", contact, channel, TEST_TOPIC, locale=shop.settings.shop.locale))
    url = message_links(shop.settings, token)[UNSUBSCRIBE_URL]
    words = "can send e-mail" if channel == "email" else f"can send messages by {channel}"
    text = sample_text(way, f"This message shows that {name} {words}.", url)
    html = f'<p>This message shows that {escape(name)} {words}.</p><p><a href="{url}">Unsubscribe</a></p>\n'
    message = OutgoingMessage(secrets.token_hex(16), address, "", f"Test of {name}", text, html, TEST_TOPIC, token)

    async def hand_over() -> Handover:
        return [one async for one in way.hand_over([message])].pop()

    answer, price = asyncio.run(hand_over()), price_text(way, text, shop.settings.shop.currency or "")
    return replace(answer, detail=f"{answer.detail}; {price}") if price else answer
