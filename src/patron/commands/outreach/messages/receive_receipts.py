"""Keep what became of messages, and send nothing more to addresses that do not exist or whose owners complained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.commands.outreach.messages.subscriptions import unsubscribe
from patron.engage.channels.webhook import webhook_keys
from patron.engage.message_queue import REPORTED
from patron.engage.providers.provider_answer import receipts_in
from patron.engage.providers.provider_description import ProviderDescription
from patron.engage.providers.provider_receipts import MAX_RECEIPTS, receipts_of
from patron.engage.providers.receipts import BOUNCED, UNSUBSCRIBED, Receipt, suppression_reason
from patron.engage.providers.standard_webhooks import SIGNATURE, is_signed
from patron.govern.outreach.suppression_list import ALL_TOPICS, SOFT_BOUNCES, suppress
from patron.govern.outreach.unsubscribe_tokens import Subscription
from patron.schema.common_sentences import RECEIPT_COUNT, SEND_FEWER
from patron.schema.errors import BadRequest, ChannelUnavailable
from patron.schema.outreach.channels import DESCRIBED
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.outreach.sending_hold import current_hold
from patron.storage.shop import Shop
from patron.storage.store.store import upsert

DESCRIBE_RECEIPTS = Sentence(
    "describe_receipts", "Describe them in [receipts] of the provider_file of [channels.{channel}]."
)
RECEIPTS_UNSIGNED = Sentence(
    "receipts_unsigned", "the receipts are not signed by a secret of [channels.receipts] within the last 5 minutes"
)
STANDARD_HEADERS = Sentence(
    "standard_headers", "Send the three headers of Standard Webhooks, webhook-id and others, and check the clock."
)
RECEIPTS_NOT_DESCRIBED = Sentence("receipts_not_described", "receipts of {channel} are not described")
BODY_NOT_AS_DESCRIBED = Sentence("body_not_as_described", "the body is not what the description says ({cause})")

TOGETHER = 500
SIGNED_PROVIDER = "patron"
MAX_SOFT_BOUNCES, WITHIN_DAYS = 3, 14


@dataclass(frozen=True)
class ReceiptCounts:
    """What receipts changed."""

    recorded: int
    """Receipts that were new."""
    repeated: int
    """Receipts that were known."""
    unknown: int
    """Receipts that name no message of ours: they change nothing."""
    suppressed: int
    """Addresses that are sent nothing more."""


def receive_receipts(shop: Shop, receipts: Iterable[Receipt], *, now: datetime) -> ReceiptCounts:
    """Record receipts, and suppress addresses: hard bounces and complaints at once, soft ones after several.

    A receipt that names no message that we wrote changes nothing: nobody can silence a customer by a forged one. Those
    of a message that somebody reports as sent are kept until it is known whose it is, and so are all while sending is
    held, when nobody has reported any yet.
    """
    rows = list(
        dict.fromkeys(replace(receipt, occurred_at=receipt.occurred_at.astimezone(UTC)) for receipt in receipts)
    )
    counts = [0, 0, 0, 0]
    for start in range(0, len(rows), TOGETHER):
        part = rows[start : start + TOGETHER]
        for n, count in enumerate(_receive(shop, part, now)):
            counts[n] += count
    return ReceiptCounts(*counts)


def receive_webhook(shop: Shop, provider: str, content: Any, *, now: datetime) -> ReceiptCounts:
    """Receive what a provider's webhook brings, in the provider's own format. Raises BadRequest."""
    read = _receipts_described if provider in DESCRIBED else lambda _, name, body: receipts_of(name, body)
    return receive_receipts(shop, read(shop, provider, content), now=now)


def _receipts_described(shop: Shop, channel: str, content: Any) -> list[Receipt]:
    """Receipts as the description of a channel's provider says. Raises BadRequest."""
    settings = shop.settings.channels.provider(channel)
    todo = DESCRIBE_RECEIPTS(channel=channel)
    try:
        described = ProviderDescription.load(shop.folder / settings.provider_file) if settings.is_configured else None
    except ChannelUnavailable as error:
        raise BadRequest(422, error.what, where=error.where, todo=error.todo) from error
    if described is None or described.receipts is None:
        raise BadRequest(422, RECEIPTS_NOT_DESCRIBED(channel=channel), where="provider", todo=todo)
    try:
        zone = ZoneInfo(shop.settings.shop.time_zone)
        receipts = list(islice(receipts_in(described.receipts, content, zone), MAX_RECEIPTS + 1))
    except (ValueError, OverflowError, OSError) as error:
        what = BODY_NOT_AS_DESCRIBED(cause=str(error)[:80])
        raise BadRequest(422, what, where="body", todo=todo) from error
    if len(receipts) > MAX_RECEIPTS:
        raise BadRequest(413, RECEIPT_COUNT(count=MAX_RECEIPTS), where="body", todo=SEND_FEWER)
    return receipts


def require_signature(shop: Shop, provider: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Raise BadRequest for unsigned receipts where [channels.receipts] names the secrets that must have signed them.

    Others than `patron` sign in ways of their own, which are not checked: their webhooks need a key and no more.
    """
    secret_file = shop.settings.channels.receipts.secret_file
    if not secret_file or provider != SIGNED_PROVIDER:
        return
    if not is_signed(webhook_keys(secret_file, shop.folder), headers, body, now=now):
        what = RECEIPTS_UNSIGNED
        todo = STANDARD_HEADERS
        raise BadRequest(401, what, where=SIGNATURE, todo=todo)


def _receive(shop: Shop, receipts: Sequence[Receipt], now: datetime) -> tuple[int, int, int, int]:
    ids, is_held = sorted({receipt.message_id for receipt in receipts}), current_hold(shop.store) is not None
    leaving: list[tuple[Receipt, sa.RowMapping]] = []
    with shop.store.begin() as connection:
        chosen = sa.select(MESSAGES).where(MESSAGES.c.message_id.in_(ids))
        messages = {row["message_id"]: row for row in connection.execute(chosen).mappings()}
        of = RECEIPTS.c
        known = {
            (row.message_id, row.kind, utc(row.occurred_at))
            for row in connection.execute(sa.select(RECEIPTS).where(of.message_id.in_(ids)))
        }
        reported = {message_id for message_id, kind, _ in known if kind == REPORTED}
        ours = [one for one in receipts if is_held or one.message_id in messages or one.message_id in reported]
        new = [our for our in ours if (our.message_id, our.kind, our.occurred_at) not in known]
        upsert(connection, RECEIPTS, [vars(one) for one in new])
        suppressed = set()
        for one in new:
            if (message := messages.get(one.message_id)) is None:
                continue  # why: `message_queue` applies it once the message is written
            reason = _reason(shop, connection, one, message["contact"])
            if reason and message["contact"]:
                suppress(connection, message["contact"], message["channel"], ALL_TOPICS, reason, now)
                suppressed.add(message["contact"])
            if one.kind == UNSUBSCRIBED:
                leaving.append((one, message))
    for one, message in leaving:
        if message["contact"]:
            subscription = Subscription(
                message["token"] or "",
                message["contact"],
                channel=message["channel"],
                topic=message["topic"],
                message_id=one.message_id,
            )
            unsubscribe(shop, subscription, now=now)
    return len(new), len(ours) - len(new), len(receipts) - len(ours), len(suppressed)


def _reason(shop: Shop, connection: sa.Connection, receipt: Receipt, contact: str | None) -> str:
    """Why the address of a message is sent nothing more; empty where it is."""
    if reason := suppression_reason(receipt.kind, is_permanent=receipt.is_permanent):
        return reason
    if receipt.kind != BOUNCED:
        return ""
    most, within_days = _soft_bounce_rule(shop)
    since = receipt.occurred_at - timedelta(days=within_days)
    bounced = (
        sa.select(sa.func.count())
        .select_from(RECEIPTS.join(MESSAGES, MESSAGES.c.message_id == RECEIPTS.c.message_id))
        .where(MESSAGES.c.contact == contact, RECEIPTS.c.kind == BOUNCED, RECEIPTS.c.occurred_at > since)
    )
    return SOFT_BOUNCES if (connection.scalar(bounced) or 0) > most else ""


def _soft_bounce_rule(shop: Shop) -> tuple[int, int]:
    """How many soft bounces in how many days an address may have, as policy.toml says."""
    rule = getattr(getattr(shop.policy, "messages", None), "soft_bounces", None)
    return (rule.most, rule.within_days) if rule is not None else (MAX_SOFT_BOUNCES, WITHIN_DAYS)
