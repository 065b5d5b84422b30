"""Signatures of webhooks, going out and coming in, as Standard Webhooks says (HMAC-SHA256, version v1).

Signed is `id.timestamp.body`. A secret is `whsec_` and base64; while one is replaced there are two, and a message has a
signature by each, so that receivers may change theirs at any time.
"""

import hmac
import secrets as random_secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
SECRET_BYTES = 32
SIZES = range(24, 65)
"""Bytes that a secret may have."""
TOLERANCE_SECONDS = 300
"""How far the time of a message may be from ours, so that nobody can send an old one once more."""
ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"


def new_secret() -> str:
    """A new secret, as both sides keep it."""
    return PREFIX + b64encode(random_secrets.token_bytes(SECRET_BYTES)).decode()


def keys_of(text: str) -> tuple[bytes, ...]:
    """The keys of secrets between spaces or line ends. Raises ValueError, which repeats none of them."""
    keys = []
    for part in text.split():
        try:
            key = b64decode(part.removeprefix(PREFIX), validate=True)
        except ValueError as error:
            raise ValueError(f"a secret is not {PREFIX} and base64") from error
        if len(key) not in SIZES:
            raise ValueError(f"a secret has {len(key)} bytes; {SIZES.start} to {SIZES.stop - 1} are allowed")
        keys.append(key)
    if not keys:
        raise ValueError("there is no secret")
    return tuple(keys)


def signature_headers(keys: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that sign a message; `at` is when this attempt is made."""
    timestamp = str(int(at.timestamp()))
    signatures = (f"v1,{_signature(key, message_id, timestamp, body)}" for key in keys)
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: " ".join(signatures)}


def is_signed(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, *, now: datetime) -> bool:
    """Whether a message was signed by one of the keys, within 5 minutes; names of headers are in small letters."""
    message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len("9999999999")
    if not message_id or not is_number or abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signatures = [part.removeprefix("v1,") for part in headers.get(SIGNATURE, "").split() if part.startswith("v1,")]
    right = [_signature(key, message_id, timestamp, body) for key in keys]
    return any(hmac.compare_digest(signature.encode(), two.encode()) for signature in signatures for two in right)


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return b64encode(hmac.digest(key, content, "sha256")).decode()
