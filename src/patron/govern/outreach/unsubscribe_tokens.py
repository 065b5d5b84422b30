"""Tokens of the links in a message: who gets what of which topic, sealed, so that no row is needed to understand one.

A token is AES-SIV of the subscription under a key of its own: nobody can make one or read one, the same message always
has the same one, and it works for as long as the master key does, also after the messages and the customer are erased.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from patron.govern.master_key import Keys

VERSION = b"patron subscription 1"
MAX_LENGTH = 1_000


@dataclass(frozen=True)
class Subscription:
    """A topic that somebody gets on a channel."""

    token: str
    """Of the user."""
    contact: str
    """Token of the address: a blind index."""
    channel: str
    topic: str
    message_id: str = ""
    """Message that the link stands in; empty without one."""
    locale: str = ""
    """Language of the message."""


def token_of(keys: Keys, subscription: Subscription) -> str:
    """Token of a subscription, for a URL."""
    packed = msgspec.msgpack.encode([_short(one) for one in astuple(subscription)])
    return urlsafe_b64encode(AESSIV(keys.unsubscribe).encrypt(packed, [VERSION])).decode().rstrip("=")


def subscription_of(keys: Keys, token: str) -> Subscription | None:
    """The subscription of a token; None for one that we did not make."""
    if not token.isascii() or len(token) > MAX_LENGTH:
        return None
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        parts = msgspec.msgpack.decode(AESSIV(keys.unsubscribe).decrypt(sealed, [VERSION]))
    except (InvalidTag, ValueError, msgspec.DecodeError):
        return None
    return Subscription(*(_long(part) for part in parts))


def _short(text: str) -> list[object] | str:
    """Hexadecimal digits as bytes, after what stands before them: a token of the vault is half as long then."""
    kind, separator, digits = text.rpartition("_")
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return text
    return [kind + separator, packed] if packed.hex() == digits and packed else text


def _long(part: list[object] | str) -> str:
    if isinstance(part, str):
        return part
    kind, packed = part
    return f"{kind}{packed.hex()}"  # type: ignore[union-attr]
