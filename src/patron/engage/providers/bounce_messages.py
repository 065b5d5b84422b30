"""What messages that come back say: bounces (DSN, RFC 3464, and others), complaints (ARF, RFC 5965), unsubscriptions.

Anybody can write to the address of bounces. So a message counts only where it names one of ours, by the address that it
was sent to (VERP) or by the Message-ID of what it returns; these ids cannot be guessed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime

from flufl.bounce import all_failures

from patron.engage.providers.receipts import (
    BOUNCED,
    COMPLAINED,
    DEFERRED,
    Receipt,
    is_permanent,
    message_id_in,
    status_in,
)

VERP = re.compile(r"bounces\+([0-9a-f]{32})@")
UNSUBSCRIBE = re.compile(r"\s*unsubscribe\s+([A-Za-z0-9_-]{20,1000})\s*", re.IGNORECASE)
SENT_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
RETURNED = ("Message-ID", "Original-Message-ID", "X-Original-Message-ID")
IN_TEXT = re.compile(r"(?im)^message-id:\s*(<[0-9a-f]{32}@[^\s<>]+>)")


@dataclass(frozen=True)
class ReturnedMessage:
    """What a message that came back says: a receipt, or the token of somebody who wants to leave; or neither."""

    receipt: Receipt | None = None
    unsubscribe_token: str = ""


def read_returned(content: bytes, *, now: datetime) -> ReturnedMessage:
    """Read one message; `now` is when it came where it has no date."""
    message = message_from_bytes(content)
    token = UNSUBSCRIBE.fullmatch(str(message.get("Subject", "")))
    if token:
        return ReturnedMessage(unsubscribe_token=token[1])
    message_id = _message_id(message)
    if not message_id:
        return ReturnedMessage()
    at = _date(message, now)
    feedback = _feedback_type(message)
    if feedback is not None:
        is_complaint = feedback in {"abuse", "fraud"}
        return ReturnedMessage(Receipt(message_id, COMPLAINED, at, detail=feedback) if is_complaint else None)
    temporary, permanent = _failures(message)
    status = _status(message)
    if permanent or status.startswith("5"):
        return ReturnedMessage(
            Receipt(message_id, BOUNCED, occurred_at=at, is_permanent=is_permanent(status or "5.1.1"), detail=status)
        )
    if temporary or status.startswith("4"):
        kind = DEFERRED if _action(message) == "delayed" else BOUNCED
        return ReturnedMessage(Receipt(message_id, kind, at, is_permanent=False, detail=status))
    return ReturnedMessage()


def _failures(message: Message) -> tuple[bool, bool]:
    """Whether a bounce names addresses that failed for now, and for good."""
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # noqa: BLE001 - its detectors fail on headers that are no text, which anybody may send
        return False, False
    return bool(temporary), bool(permanent)


def _message_id(message: Message) -> str:
    """Our id of the message that came back; empty where none is named."""
    for name in SENT_TO:
        for value in message.get_all(name, []):
            if match := VERP.search(str(value)):
                return match[1]
    for part in list(message.walk())[1:]:
        for name in RETURNED:
            if returned_id := message_id_in(str(part.get(name, ""))):
                return returned_id
        if part.get_content_type() in {"text/rfc822-headers", "message/rfc822-headers"}:
            match = IN_TEXT.search(_text(part))
            if match:
                return message_id_in(match[1])
    return ""


def _delivery_status(message: Message) -> Iterator[Message]:
    """Groups of fields of a DSN."""
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            payload = part.get_payload()
            yield from (one for one in payload if isinstance(one, Message)) if isinstance(payload, list) else ()


def _status(message: Message) -> str:
    for fields in _delivery_status(message):
        if status := status_in(str(fields.get("Status", ""))):
            return status
    return ""


def _action(message: Message) -> str:
    actions = (str(fields.get("Action", "")).strip().lower() for fields in _delivery_status(message))
    return next((action for action in actions if action), "")


def _feedback_type(message: Message) -> str | None:
    """Feedback-Type of a complaint; None for another message."""
    for part in message.walk():
        if part.get_content_type() == "message/feedback-report":
            payload = part.get_payload()
            inner = payload[0] if isinstance(payload, list) and payload else part
            fields = inner if isinstance(inner, Message) else part
            text = str(fields.get("Feedback-Type") or "") or _field_in_text(_text(part), "feedback-type")
            return text.strip().lower()
    return None


def _field_in_text(text: str, name: str) -> str:
    match = re.search(rf"(?im)^{name}:\s*(\S+)", text)
    return match[1] if match else ""


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("ascii", "replace") if isinstance(payload, bytes) else str(part)


def _date(message: Message, now: datetime) -> datetime:
    """When it was written, or else when what it returns was, so that each reading agrees; never later than now."""
    for part in message.walk():
        try:
            at = parsedate_to_datetime(str(part["Date"]))
        except (TypeError, ValueError, OverflowError):
            continue
        return min(at if at.tzinfo else at.replace(tzinfo=UTC), now)
    return now
