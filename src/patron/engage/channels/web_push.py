"""Notifications in browsers (Web Push): encrypted for one browser (RFC 8291), signed by the shop's key (RFC 8292).

The address is the subscription that a browser made for the shop's page: an endpoint at the push service of its maker,
and two keys. It came in with an event that anybody can send, so that only the guarded client goes there. A push service
takes a message or does not; whether it took one whose answer was lost is unknown, as with e-mail. There is no one
server: an endpoint that cannot be reached defers its own message and no other.
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import http_ece
import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from py_vapid import Vapid02, VapidException

from patron.engage.channels.channel import Handover, Outcome, OutgoingMessage
from patron.engage.channels.guarded_http import NOT_SENT, GuardedClient, address, retry_after_seconds
from patron.engage.channels.waiting_messages import WaitingMessages, send_each
from patron.engage.templates.message_links import message_links
from patron.engage.templates.message_template import UNSUBSCRIBE_URL
from patron.schema.common_sentences import CHANNEL_EXAMPLE_OF
from patron.schema.errors import ChannelUnavailable
from patron.schema.outreach.channels.channel_description import AddressKind
from patron.schema.outreach.channels.web_push import WEB_PUSH
from patron.schema.sentences import Sentence
from patron.storage.outreach.http_channel_settings import WebPushSettings
from patron.storage.shop import Shop

PUSH_KEY_CURVE = Sentence("push_key_curve", "the key is not one of the curve P-256")
PUSH_NOT_CONFIGURED = Sentence("push_not_configured", "no key and contact are configured")
PUSH_KEY_UNREADABLE = Sentence("push_key_unreadable", "the key cannot be read ({cause})")

Clock = Callable[[], datetime]
NAME = WEB_PUSH.name
POINT_BYTES, AUTH_BYTES = 65, 16
MAX_BYTES = 3_900
"""Of a message before it is encrypted: push services take 4,096 bytes after it."""
MAX_SUBSCRIPTION_LENGTH = 4_000
TOKEN_LIFE = timedelta(hours=12)
LINK = re.compile(r"https?://[^\s<>()\"]+")
EMPTY_BRACKETS = re.compile(r"\(\s*\)|<\s*>")
GONE = frozenset({404, 410})
LATER = frozenset({408, 425, 429})
"""Statuses of 4xx that say nothing against the message."""
TODO = Sentence("make_push_key", "`patron channels push-key` makes one.")


@dataclass(frozen=True)
class PushSubscription:
    """What a browser gives a page that may notify: where to send, and keys that only the browser can open."""

    endpoint: str
    public_key: bytes
    """Point of the curve P-256."""
    auth: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the JSON of a PushSubscription. Raises ValueError for what is none."""
        if len(text) > MAX_SUBSCRIPTION_LENGTH:
            raise ValueError("too long")
        try:
            content = json.loads(text)
            endpoint, keys = content["endpoint"], content["keys"]
            one = cls(endpoint, _decoded(keys["p256dh"]), _decoded(keys["auth"]))
        except (KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            raise ValueError("not a subscription") from error
        if not isinstance(endpoint, str) or len(one.public_key) != POINT_BYTES or len(one.auth) != AUTH_BYTES:
            raise ValueError("not a subscription")
        return one


@dataclass(frozen=True)
class WebPushChannel:
    """The way to browsers whose owners allowed notifications."""

    settings: WebPushSettings
    key: EllipticCurvePrivateKey = field(repr=False)
    clock: Clock = field(repr=False)
    """When a request is signed."""
    unsubscribe_url: Callable[[str], str] = field(repr=False)
    """Address that ends a topic, by the token of a message."""
    name: str = NAME
    address_kind: AddressKind = WEB_PUSH.address_kind

    @classmethod
    def of(cls, shop: Shop, *, clock: Clock) -> Self:
        """The channel as [channels.web_push] says. Raises ChannelUnavailable."""
        settings = shop.settings.channels.web_push
        if not settings.is_configured:
            raise ChannelUnavailable(PUSH_NOT_CONFIGURED, where=NAME, todo=CHANNEL_EXAMPLE_OF(channel=NAME))
        key = load_push_key(shop.folder / settings.key_file)
        return cls(settings, key, clock, lambda token: message_links(shop.settings, token)[UNSUBSCRIBE_URL])

    async def hand_over(self, messages: Iterable[OutgoingMessage]) -> AsyncIterator[Handover]:
        """Send each message to the push service of its browser; see the protocol."""
        settings = self.settings
        waiting = WaitingMessages(iter(messages), settings.messages_per_second)
        client = GuardedClient(
            local_hosts=settings.local_hosts,
            timeout_seconds=settings.timeout_seconds,
            connections=settings.connections,
        )
        async with client:
            sending = send_each(waiting, lambda one: self._send(client, waiting, one), connections=settings.connections)
            async with aclosing(sending) as answers:
                async for answer in answers:
                    yield answer

    async def _send(self, client: GuardedClient, waiting: WaitingMessages, message: OutgoingMessage) -> Handover:
        def outcome(what: Outcome, detail: str, *, is_gone: bool = False) -> Handover:
            return Handover(message.message_id, what, detail, is_gone=is_gone)

        try:
            subscription = PushSubscription.parse(message.recipient)
            body = self.body(message, subscription)
            headers = self.headers(message, subscription)
        except (ValueError, httpx.UnsupportedProtocol, VapidException, http_ece.ECEException):
            return outcome(Outcome.REJECTED, "not a valid subscription")
        try:
            response = await client.post(subscription.endpoint, content=body, headers=headers)
        except httpx.UnsupportedProtocol:
            return outcome(Outcome.REJECTED, "not an address that is allowed")
        except NOT_SENT as error:
            return outcome(Outcome.DEFERRED, f"the push service cannot be reached ({error})")
        except httpx.HTTPError as error:
            return outcome(Outcome.UNKNOWN, f"no answer ({type(error).__name__})")
        status = response.status_code
        if status in LATER or status >= 500:
            waiting.pause(retry_after_seconds(response))
            return outcome(Outcome.DEFERRED, f"HTTP {status}")
        result = Outcome.SENT if 200 <= status < 300 else Outcome.REJECTED
        return outcome(result, f"HTTP {status}", is_gone=status in GONE)

    def body(self, message: OutgoingMessage, subscription: PushSubscription) -> bytes:
        """A message that only the subscription's browser can read. Raises ValueError for keys that are none."""
        return http_ece.encrypt(
            self.content(message),
            private_key=generate_private_key(SECP256R1()),
            dh=subscription.public_key,
            auth_secret=subscription.auth,
            version="aes128gcm",
        )

    def headers(self, message: OutgoingMessage, subscription: PushSubscription) -> dict[str, str]:
        """Who sends, and how long the push service keeps the message. Raises VapidException, UnsupportedProtocol."""
        url = address(subscription.endpoint)
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        expires = int((self.clock() + TOKEN_LIFE).timestamp())
        claims = {"aud": origin, "exp": expires, "sub": self.settings.contact}
        return {
            **Vapid02(self.key).sign(claims),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(self.settings.time_to_live_seconds),
            "Urgency": "normal",
            "Topic": message.message_id,  # why: sent again, it replaces itself where no device has it yet
        }

    def content(self, message: OutgoingMessage) -> bytes:
        """What the page's service worker gets, JSON: the text without links, and the first of them to open."""
        text = _without_unsubscription(message)
        link = LINK.search(text)
        content = {
            "title": message.subject,
            "body": _without_links(text),
            "url": link[0].rstrip(".,;:!?") if link else self.settings.click_url,
            "topic": message.topic,
            "message_id": message.message_id,
            "unsubscribe_url": self.unsubscribe_url(message.unsubscribe_token),
        }
        excess = len(_json(content)) - MAX_BYTES
        if excess > 0:
            kept = content["body"].encode()[: max(0, len(content["body"].encode()) - excess - len("…".encode()))]
            content["body"] = kept.decode(errors="ignore").rstrip() + "…"
        packed = _json(content)
        if len(packed) > MAX_BYTES:
            raise ValueError("the subject or link is too long")
        return packed


def load_push_key(file: Path) -> EllipticCurvePrivateKey:
    """Read the key that proves who sends. Raises ChannelUnavailable."""
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a private key in PEM"
        raise ChannelUnavailable(PUSH_KEY_UNREADABLE(cause=reason), where=str(file), todo=TODO) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ChannelUnavailable(PUSH_KEY_CURVE, where=str(file), todo=TODO)
    return key


def new_push_key() -> bytes:
    """A new private key, PEM."""
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_push_key(key: EllipticCurvePrivateKey) -> str:
    """The public key as a page subscribes with it (applicationServerKey)."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).decode().rstrip("=")


def _without_unsubscription(message: OutgoingMessage) -> str:
    """The text without the lines that let people unsubscribe: the notification has a field for it."""
    lines = message.text.splitlines()
    kept = [line for line in lines if message.unsubscribe_token not in line]
    if any(line.strip() for line in kept):
        return "\n".join(kept)
    words = message.text.split(" ")
    return " ".join(word for word in words if message.unsubscribe_token not in word)


def _without_links(text: str) -> str:
    lines = (EMPTY_BRACKETS.sub("", LINK.sub("", line)).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _json(content: dict[str, str]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
