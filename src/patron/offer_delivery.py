"""What becomes of the offers that a run handed over: confirmed as sent, or expired; who calls keeps runs away."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path

import sqlalchemy as sa

from patron.collect.loader import EVENT_SOURCE, load_events
from patron.engage.outbox_offers import (
    OFFERS,
    has_offers,
    hold_back_offers,
    is_sent,
    receipt_time,
    release_offers,
    remove_offers,
)
from patron.engage.run_delivery import OutboxSummary, event_rows, exposed_offers_query, offer_events
from patron.govern.access import audit_log
from patron.govern.vault import Vault
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import WorkspaceBusy
from patron.storage.offers.deliveries import (
    Delivery,
    DeliveryState,
    Evidence,
    deliveries,
    forget_delivery,
    write_delivery,
)
from patron.storage.offers.policy import Channel
from patron.storage.shop import Shop
from patron.storage.workspace.run_files import drop_outbox_files, outbox_digests, run_offers


def reserve_offers(
    connection: sa.Connection, run_id: str, channel: Channel, *, outbox: OutboxSummary, at: datetime
) -> None:
    """Keep that a run handed over offers, confirmed at once where the policy says so, or that sending was held.

    Of a run without offers nothing is kept.
    """
    forget_delivery(connection, run_id)
    if not outbox.files:
        write_delivery(connection, Delivery(run_id, DeliveryState.HELD, changed_at=at))
    elif outbox.offer_count:
        delivery = Delivery(run_id, DeliveryState.RESERVED, at + timedelta(days=channel.confirm_within_days))
        if channel.confirm == "automatic":
            state, evidence = DeliveryState.CONFIRMED, Evidence.POLICY
            delivery = replace(delivery, state=state, evidence=evidence, changed_at=at, sent_at=at)
        write_delivery(connection, delivery)


def settle_deliveries(shop: Shop, *, now: datetime) -> None:
    """Confirm the reserved offers that were sent or taken from the outbox, and let those expire that nobody confirmed.

    Offers that a restored workspace never had in its outbox stay reserved until somebody confirms or withdraws them.
    Cut off anywhere, the next call finishes it.
    """
    for delivery in deliveries(shop.store):
        if delivery.state is DeliveryState.RESERVED:
            _settle(shop, delivery, now)
        elif not delivery.holds:
            remove_offers(_folder(shop, delivery.run_id))


def settle_when_free(shop: Shop, *, now: datetime) -> None:
    """The same by the clock of a server: nothing while another process is at work, or while nothing is reserved."""
    if any(one.state is DeliveryState.RESERVED for one in deliveries(shop.store)):
        with suppress(WorkspaceBusy), shop.run_lock(timeout_seconds=0):
            settle_deliveries(shop, now=now)


def _settle(shop: Shop, delivery: Delivery, now: datetime) -> None:
    folder = _folder(shop, delivery.run_id)
    if _confirm_found(shop, delivery, now) or delivery.reserved_until is None:
        return
    if delivery.reserved_until > now:
        release_offers(folder)  # why: an approval or a withdrawal that was cut off before it counted held them back
        return
    if not has_offers(folder):
        return
    hold_back_offers(folder)
    if is_sent(folder):  # why: the mail system may have read the file just before it was renamed
        release_offers(folder)
        _confirm_found(shop, delivery, now)
        return
    expired = replace(delivery, state=DeliveryState.EXPIRED, changed_at=now)
    with shop.store.begin() as connection:
        write_delivery(connection, expired)
        drop_outbox_files(connection, run_id=delivery.run_id, pattern=OFFERS)
        audit_log.append(shop, connection, AuditAction.OFFERS_EXPIRED, {"run_id": delivery.run_id}, at=now)
    remove_offers(folder)


def _confirm_found(shop: Shop, delivery: Delivery, now: datetime) -> bool:
    """Confirm offers of which a receipt was found, or whose file is gone; whether there was either."""
    folder = _folder(shop, delivery.run_id)
    if is_sent(folder):
        confirm_delivery(shop, delivery, Evidence.RECEIPT, sent_at=min(receipt_time(folder), now), now=now)
        return True
    was_there = any(fnmatch(name, OFFERS) for name in outbox_digests(shop.store, delivery.run_id))
    if was_there and not has_offers(folder):
        confirm_delivery(shop, delivery, Evidence.TAKEN, sent_at=now, now=now)
        return True
    return False


def confirm_delivery(
    shop: Shop, delivery: Delivery, evidence: Evidence, *, sent_at: datetime, now: datetime, by: str = ""
) -> Delivery:
    """Keep that the offers of a run were sent, and store an `Offer Assigned` event for each.

    The events come first: their ids follow from the decisions, so that a second try stores none twice.
    """
    _store_events(shop, delivery.run_id, sent_at.astimezone(UTC), now)
    confirmed = replace(
        delivery,
        state=DeliveryState.CONFIRMED,
        changed_at=now,
        changed_by=by,
        evidence=evidence,
        sent_at=sent_at.astimezone(UTC),
    )
    details = {"run_id": delivery.run_id, "evidence": evidence.value}
    with shop.store.begin() as connection:
        write_delivery(connection, confirmed)
        audit_log.append(shop, connection, AuditAction.OFFERS_CONFIRMED, details, at=now, by=by)
    return confirmed


def _store_events(shop: Shop, run_id: str, sent_at: datetime, now: datetime) -> None:
    rows = shop.newest_snapshot().query(exposed_offers_query(run_id))
    if not rows.num_rows:
        return
    terms: Mapping[str, Mapping[str, object]] = run_offers(shop.store, run_id)
    events = offer_events(event_rows(Vault.open(shop), rows), terms, at=sent_at)
    load_events(shop, events, source=EVENT_SOURCE, known="occurred", received_at=now)


def _folder(shop: Shop, run_id: str) -> Path:
    return shop.folder / "outbox" / run_id
