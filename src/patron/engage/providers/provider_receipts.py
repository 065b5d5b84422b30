"""Webhooks of providers of e-mail in the one vocabulary of receipts: SendGrid, Mailgun, Amazon SES, and our own."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from patron.engage.providers.receipts import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    KINDS,
    MAX_DETAIL_LENGTH,
    MESSAGE_ID,
    OPENED,
    REJECTED,
    UNSUBSCRIBED,
    Receipt,
    is_permanent,
    message_id_in,
    status_in,
)
from patron.schema.common_sentences import RECEIPT_COUNT, SEND_FEWER, USE_ONE_OF
from patron.schema.errors import BadRequest
from patron.schema.json_texts import parse_json
from patron.schema.sentences import Sentence

PROVIDER_UNKNOWN = Sentence("provider_unknown", "the provider {name!r} is not known")
SEE_SEND_EMAIL = Sentence("see_send_email", "See docs/how-to/send-email.md.")

MAX_RECEIPTS = 10_000
YEARS = range(2000, 2200)
"""Of receipts; further off, days cannot be added or taken away."""
SENDGRID = {
    "delivered": DELIVERED,
    "deferred": DEFERRED,
    "bounce": BOUNCED,
    "blocked": BOUNCED,
    "dropped": REJECTED,
    "spamreport": COMPLAINED,
    "open": OPENED,
    "click": CLICKED,
    "unsubscribe": UNSUBSCRIBED,
    "group_unsubscribe": UNSUBSCRIBED,
}
MAILGUN = {
    "delivered": DELIVERED,
    "failed": BOUNCED,
    "rejected": REJECTED,
    "complained": COMPLAINED,
    "opened": OPENED,
    "clicked": CLICKED,
    "unsubscribed": UNSUBSCRIBED,
}
SES = {
    "delivery": DELIVERED,
    "deliverydelay": DEFERRED,
    "bounce": BOUNCED,
    "reject": REJECTED,
    "complaint": COMPLAINED,
    "open": OPENED,
    "click": CLICKED,
}
Content = Any
Fields = Mapping[str, Any]


def receipts_of(provider: str, content: Content) -> list[Receipt]:
    """Receipts in the body of a webhook; what is about no message of ours is left out. Raises BadRequest."""
    read = PROVIDERS.get(provider)
    if read is None:
        what = PROVIDER_UNKNOWN(name=provider[:40])
        raise BadRequest(422, what, where="provider", todo=USE_ONE_OF(names=", ".join(PROVIDERS)))
    try:
        rows = list(read(content))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError) as error:
        what = f"the body is not what {provider} sends ({type(error).__name__}: {str(error)[:80]})"
        raise BadRequest(422, what, where="body", todo=SEE_SEND_EMAIL) from error
    if len(rows) > MAX_RECEIPTS:
        raise BadRequest(413, RECEIPT_COUNT(count=MAX_RECEIPTS), where="body", todo=SEND_FEWER)
    return [row for row in rows if row is not None]


def _patron(content: Content) -> Iterator[Receipt | None]:
    for row in content["receipts"]:
        at = datetime.fromisoformat(row["occurred_at"])
        if row["kind"] not in KINDS:
            raise ValueError(f"kind is not one of {', '.join(KINDS)}")
        if at.tzinfo is None:
            raise ValueError("occurred_at has no time zone")
        if at.year not in YEARS:
            raise ValueError("occurred_at is no time that a message could have")
        if not MESSAGE_ID.fullmatch(row["message_id"]):
            raise ValueError("message_id is not 32 hexadecimal digits")
        if not isinstance(row.get("is_permanent", False), bool):
            raise TypeError("is_permanent is not true or false")
        detail = status_in(str(row.get("detail", "")))
        yield Receipt(
            row["message_id"], row["kind"], occurred_at=at, is_permanent=row.get("is_permanent", False), detail=detail
        )


def _sendgrid(content: Content) -> Iterator[Receipt | None]:
    for row in content:
        kind = SENDGRID.get("blocked" if row.get("type") == "blocked" else row["event"])
        status = status_in(str(row.get("status") or row.get("reason") or ""))
        is_hard = kind == BOUNCED and row.get("type") != "blocked" and (not status or is_permanent(status))
        yield _receipt(row.get("smtp-id", ""), kind, row["timestamp"], is_hard, status)


def _mailgun(content: Content) -> Iterator[Receipt | None]:
    data = content["event-data"]
    status = status_in(json.dumps(data.get("delivery-status", {})))
    kind, is_hard = MAILGUN.get(data["event"]), data.get("severity") == "permanent"
    if kind == BOUNCED and not is_hard:
        kind = BOUNCED if data.get("reason") == "bounce" else DEFERRED
    yield _receipt(data["message"]["headers"]["message-id"], kind, data["timestamp"], is_hard, status)


def _ses(content: Content) -> Iterator[Receipt | None]:
    event = parse_json(content["Message"]) if "Message" in content else content
    kind = SES.get(str(event.get("eventType") or event["notificationType"]).lower())
    details = event.get("bounce") or event.get("complaint") or {}
    headers = event["mail"].get("commonHeaders", {})
    status = status_in(json.dumps(details))
    is_hard = kind == BOUNCED and details.get("bounceType") == "Permanent"
    at = details.get("timestamp") or event["mail"]["timestamp"]
    yield _receipt(headers.get("messageId", ""), kind, datetime.fromisoformat(at).timestamp(), is_hard, status)


def _receipt(header: str, kind: str | None, timestamp: float, is_hard: bool, status: str) -> Receipt | None:  # noqa: FBT001 - fields of a row
    message_id = message_id_in(header)
    if not message_id or kind is None:
        return None
    at = datetime.fromtimestamp(timestamp, UTC)
    if at.year not in YEARS:
        raise ValueError("the timestamp is no time that a message could have")
    return Receipt(message_id, kind, occurred_at=at, is_permanent=is_hard, detail=status[:MAX_DETAIL_LENGTH])


PROVIDERS: Mapping[str, Callable[[Content], Iterator[Receipt | None]]] = {
    "patron": _patron,
    "sendgrid": _sendgrid,
    "mailgun": _mailgun,
    "ses": _ses,
}
