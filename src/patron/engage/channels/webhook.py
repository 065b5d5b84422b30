"""Messages for a system of the shop's, which delivers them: one signed request for each (Standard Webhooks).

The id of the request is the message's, however often it is sent, and receivers must take an id once (the standard says
so). Therefore a request whose answer was lost is deferred and sent again later, where other channels report it as of
unknown outcome: sending it twice does no harm, and not at all does. What no message can change stops the channel: an
address that leads elsewhere, is gone, or refuses whoever asks.
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.guarded_http import NOT_SENT, GuardedClient, retry_after_seconds
from patron.engage.channels.waiting_messages import WaitingMessages, send_each
from patron.engage.providers.standard_webhooks import keys_of, signature_headers
from patron.engage.templates.message_links import message_links
from patron.engage.templates.message_template import UNSUBSCRIBE_URL
from patron.schema.common_sentences import CHANNEL_EXAMPLE_OF, CORRECT_CHANNEL, NOT_REACHED, SECRET_UNREADABLE
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels.channel_description import AddressKind
from patron.schema.outreach.channels.webhook import WEBHOOK
from patron.schema.sentences import Sentence
from patron.storage.outreach.http_channel_settings import WebhookSettings
from patron.storage.shop import Shop

ADDRESS_GONE = Sentence("address_gone", "is gone (HTTP 410): its owner wants no more requests")
REDIRECTS_ELSEWHERE = Sentence(
    "redirects_elsewhere", "redirects elsewhere (HTTP {status}), and redirects are not followed"
)

WEBHOOK_PROBLEM = Sentence("webhook_problem", "the address of the webhook {problem}")
SIGNING_SECRET_MISSING = Sentence("signing_secret_missing", "the secret that signs is missing")

MAKE_WEBHOOK_SECRET = Sentence("make_webhook_secret", "`patron channels webhook-secret` makes a secret.")
NAME_WEBHOOK_SECRET = Sentence(
    "name_webhook_secret",
    "Name a secret_file in [channels.webhook], or set {variable}; `patron channels webhook-secret` makes a secret.",
)
WEBHOOK_NOT_CONFIGURED = Sentence("webhook_not_configured", "no address is configured")

Clock = Callable[[], datetime]
NAME = WEBHOOK.name
SECRET_VARIABLE = "PATRON_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
TYPE = "message.ready"
LATER = frozenset({408, 409, 425, 429})
"""Statuses of 4xx that say nothing against the message."""
REFUSES_SIGNATURE = Sentence("refuses_signature", "refuses the signature (HTTP {status})")
NOT_OURS = {
    401: REFUSES_SIGNATURE,
    403: REFUSES_SIGNATURE,
    404: Sentence("address_missing", "does not exist (HTTP {status})"),
    405: Sentence("takes_no_post", "does not accept POST (HTTP {status})"),
}
TODO = CORRECT_CHANNEL(channel="webhook")


@dataclass(frozen=True)
class WebhookChannel:
    """The way to one address of the shop's."""

    settings: WebhookSettings
    keys: tuple[bytes, ...] = field(repr=False)
    """Keys that sign, all of them."""
    clock: Clock = field(repr=False)
    """When a request is signed."""
    unsubscribe_url: Callable[[str], str] = field(repr=False)
    """Address that ends a topic, by the token of a message."""
    name: str = NAME
    address_kind: AddressKind = WEBHOOK.address_kind

    @classmethod
    def of(cls, shop: Shop, *, clock: Clock) -> Self:
        """The channel as [channels.webhook] says. Raises ChannelUnavailable."""
        settings = shop.settings.channels.webhook
        if not settings.is_configured:
            raise ChannelUnavailable(WEBHOOK_NOT_CONFIGURED, where=NAME, todo=CHANNEL_EXAMPLE_OF(channel=NAME))
        keys = webhook_keys(settings.secret_file, shop.folder)
        return cls(settings, keys, clock, lambda token: message_links(shop.settings, token)[UNSUBSCRIBE_URL])

    async def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Send a request for each message; see the protocol. Raises ChannelUnavailable."""
        waiting = WaitingMessages(iter(messages), self.settings.messages_per_second)
        async with self._client() as client:
            await self._require_reachable(client)
            sending = send_each(
                waiting, lambda one: self._send(client, waiting, one), connections=self.settings.connections
            )
            async with aclosing(sending) as answers:
                async for answer in answers:
                    yield answer

    async def require_reachable(self) -> None:
        """Connect, and send nothing. Raises ChannelUnavailable."""
        async with self._client() as client:
            await self._require_reachable(client)

    async def _require_reachable(self, client: GuardedClient) -> None:
        try:
            await client.require_reachable(self.settings.url)
        except httpx.HTTPError as error:
            raise self._unavailable(NOT_REACHED(cause=error)) from error

    def _client(self) -> GuardedClient:
        settings = self.settings
        return GuardedClient(
            local_hosts=settings.local_hosts,
            timeout_seconds=settings.timeout_seconds,
            connections=settings.connections,
        )

    async def _send(self, client: GuardedClient, waiting: WaitingMessages, message: OutgoingMessage) -> Handover:
        at = self.clock()
        body = self.body(message, at)
        headers = signature_headers(self.keys, message.message_id, at, body)
        try:
            response = await client.post(
                self.settings.url, content=body, headers=headers | {"Content-Type": "application/json"}
            )
        except NOT_SENT as error:
            raise self._unavailable(NOT_REACHED(cause=error)) from error
        except httpx.HTTPError as error:
            return Handover(message.message_id, Outcome.DEFERRED, f"no answer ({type(error).__name__})")
        outcome = self._outcome(response.status_code)
        if outcome is Outcome.DEFERRED:
            waiting.pause(retry_after_seconds(response))
        return Handover(message.message_id, outcome, f"HTTP {response.status_code}")

    def body(self, message: OutgoingMessage, at: datetime) -> bytes:
        """What is sent for a message, JSON."""
        data: dict[str, Any] = {
            "message_id": message.message_id,
            "user_id": message.recipient,
            "name": message.recipient_name,
            "topic": message.topic,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "unsubscribe_url": self.unsubscribe_url(message.unsubscribe_token),
        }
        content = {"type": TYPE, "timestamp": at.isoformat(timespec="seconds"), "data": data}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    def _outcome(self, status: int) -> Outcome:
        """What a status says of a message. Raises ChannelUnavailable where it is about the address."""
        if 200 <= status < 300:
            return Outcome.SENT
        if status == httpx.codes.GONE:
            raise self._unavailable(ADDRESS_GONE)
        if status in NOT_OURS:
            raise self._unavailable(NOT_OURS[status](status=status))
        if 300 <= status < 400:
            raise self._unavailable(REDIRECTS_ELSEWHERE(status=status))
        return Outcome.REJECTED if 400 <= status < 500 and status not in LATER else Outcome.DEFERRED

    def _unavailable(self, what: str) -> ChannelUnavailable:
        return ChannelUnavailable(WEBHOOK_PROBLEM(problem=what), where=NAME, todo=TODO)


def webhook_keys(secret_file: str, folder: Path) -> tuple[bytes, ...]:
    """Keys of the secrets in a file, or in PATRON_WEBHOOK_SECRET. Raises ChannelUnavailable."""
    file = folder / secret_file
    where, todo = (str(file) if secret_file else NAME), MAKE_WEBHOOK_SECRET
    try:
        text = file.read_text(encoding="utf-8") if secret_file else os.environ.get(SECRET_VARIABLE, "")
        if not text and not secret_file:
            todo = NAME_WEBHOOK_SECRET(variable=SECRET_VARIABLE)
            raise ChannelUnavailable(SIGNING_SECRET_MISSING, where=where, todo=todo)
        return keys_of(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ChannelUnavailable(SECRET_UNREADABLE(cause=reason), where=where, todo=todo) from error
