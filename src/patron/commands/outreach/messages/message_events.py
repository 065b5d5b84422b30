"""Events of a campaign's messages: what was sent, and what its receipts say, in the lake like any other event."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.collect.loader import load_events
from patron.govern.vault import Vault
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.outreach.message_states import MessageState
from patron.schema.table_definition import TIME
from patron.storage.engine import literal, timestamp
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.shop import Shop

SOURCE = "patron"
"""Source of the events that Patron itself makes."""
TOGETHER = 5_000
SENT, OFFER = "Message Sent", "Offer Assigned"
EVENT_OF_RECEIPT = {
    "delivered": "Message Delivered",
    "bounced": "Message Bounced",
    "complained": "Message Complained",
    "opened": "Message Opened",
    "clicked": "Message Clicked",
    "unsubscribed": "Message Unsubscribed",
}
"""Receipts that become events; the others are of the way to the provider."""


def load_message_events(shop: Shop, campaign: str, *, now: datetime, since: datetime | None = None) -> int:
    """Store events of the sent messages and receipts of a campaign or journey that the lake lacks; returns how many.

    With `since` only what was sent, or happened to messages, from then on. Their ids come from the messages', so that
    nothing is stored twice. Raises NoSpace, WorkspaceBusy.
    """
    known = _known_ids(shop, campaign, since)
    with shop.store.begin() as connection:
        sent = sa.select(MESSAGES).where(MESSAGES.c.campaign == campaign, MESSAGES.c.state == MessageState.SENT)
        sent = sent.where(MESSAGES.c.sent_at >= since.astimezone(UTC)) if since else sent
        rows = [dict(row) for row in connection.execute(sent).mappings() if sent_id(row["message_id"]) not in known]
        receipts = _receipts(connection, campaign, known, since)
    count = 0
    for some in _parts(rows):
        count += _load(shop, [event for row in some for event in _sent_events(shop, row)], now)
    for some in _parts(receipts):
        count += _load(shop, [_receipt_event(row) for row in some], now)
    return count


def sent_id(message_id: str) -> str:
    """Id of the event that a message was sent."""
    return f"message-{message_id}"


def _known_ids(shop: Shop, campaign: str, since: datetime | None) -> set[str]:
    of_campaign = f"source = {literal(SOURCE)} and campaign_id = {literal(campaign)}"
    if since:
        of_campaign += f" and month >= '{since.astimezone(UTC):%Y-%m}' and occurred_at >= {timestamp(since)}"
    return set(shop.newest_snapshot().query(f"select event_id from events where {of_campaign}")["event_id"].to_pylist())


def _receipts(
    connection: sa.Connection, campaign: str, known: set[str], since: datetime | None
) -> list[dict[str, Any]]:
    kinds = RECEIPTS.c.kind.in_(tuple(EVENT_OF_RECEIPT))
    columns = (RECEIPTS, MESSAGES.c.campaign, MESSAGES.c.channel, MESSAGES.c.topic, MESSAGES.c.token, MESSAGES.c.offer)
    joined = sa.join(RECEIPTS, MESSAGES, RECEIPTS.c.message_id == MESSAGES.c.message_id)
    chosen = sa.select(*columns).select_from(joined).where(MESSAGES.c.campaign == campaign, kinds)
    chosen = chosen.where(RECEIPTS.c.occurred_at >= since.astimezone(UTC)) if since else chosen
    rows = [dict(row) for row in connection.execute(chosen).mappings()]
    return [row for row in rows if _receipt_id(row) not in known]


def _receipt_id(row: Mapping[str, Any]) -> str:
    return f"receipt-{row['message_id']}-{row['kind']}-{utc(row['occurred_at']).timestamp():.6f}"


def _sent_events(shop: Shop, row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    offer = next((one for one in shop.policy.offers if one.id == row["offer"]), None)
    days = {"valid_days": offer.valid_days} if offer else {}
    base = {**_base(row), "occurred_at": utc(row["sent_at"])}
    yield {**base, "event_id": sent_id(row["message_id"]), "name": SENT, "properties": _properties(row) | days}
    if row["offer"]:
        share = {"discount_share": offer.discount_share} if offer else {}
        properties = {"offer_id": row["offer"], **days, **share}
        yield {**base, "event_id": f"message-offer-{row['message_id']}", "name": OFFER, "properties": properties}


def _receipt_event(row: Mapping[str, Any]) -> dict[str, Any]:
    fault = {"is_permanent": str(row["is_permanent"]).lower()} if row["kind"] == "bounced" else {}
    ids = {"event_id": _receipt_id(row), "name": EVENT_OF_RECEIPT[row["kind"]]}
    return {**_base(row), **ids, "occurred_at": utc(row["occurred_at"]), "properties": _properties(row) | fault}


def _base(row: Mapping[str, Any]) -> dict[str, Any]:
    coupon = {"coupon": row["offer"]} if row["offer"] else {}
    return {"token": row["token"], "campaign_id": row["campaign"], "channel": row["channel"], **coupon}


def _properties(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"message_id": row["message_id"], "campaign_type": row["topic"]}


def _load(shop: Shop, events: list[dict[str, Any]], now: datetime) -> int:
    """Store events of people who are still known; returns how many are new."""
    tokens = sorted({event["token"] for event in events if event["token"]})
    user_ids = dict(zip(tokens, Vault.open(shop).reveal(tokens), strict=True))
    rows = [event | {"user_id": user_ids[event["token"]]} for event in events if user_ids.get(event["token"])]
    if not rows:
        return 0
    for one in rows:
        one["properties"] = json.dumps(one["properties"], sort_keys=True)
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], TIME if field.type == TIME else field.type)
        for field in RAW_EVENTS
    }
    table = pa.table(columns, schema=RAW_EVENTS)
    return load_events(shop, table, source=SOURCE, known="received", received_at=now.astimezone(UTC)).stored


def _parts(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    return (rows[start : start + TOGETHER] for start in range(0, len(rows), TOGETHER))
