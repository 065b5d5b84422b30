"""Webhooks that Patron sent, verified as Standard Webhooks says; needs the standard library only."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

TOLERANCE_SECONDS = 300


class InvalidWebhook(Exception):
    """The request was not sent by Patron with this secret, or not lately."""


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> dict[str, Any]:
    """The event of a request: `type`, `timestamp`, `data`. `body` is as it arrived, unparsed. Raises InvalidWebhook."""
    small = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = small.get("webhook-id", ""), small.get("webhook-timestamp", "")
    at = time.time() if now is None else now
    if not timestamp.isascii() or not timestamp.isdigit() or abs(at - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidWebhook("the time is missing, or too far from ours")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    code = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    right = b"v1," + base64.b64encode(code)
    if not any(hmac.compare_digest(right, part.encode()) for part in small.get("webhook-signature", "").split()):
        raise InvalidWebhook("no signature is right")
    return json.loads(body)
