"""Messages of a campaign in the store: who is due, who is handed over, and what became of each.

A message is `sending` in the store before the channel gets it, with what it says sealed in the same transaction. A
sender that is killed therefore leaves the few messages of its last group as `sending`. Its journal says which of them
the channel got; those that it got and had not answered become `unknown` and are not sent again.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from patron.engage.providers.receipts import suppression_reason
from patron.govern.outreach.suppression_list import ALL_TOPICS, UNSUBSCRIBED, suppress
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED, MessageState
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES, RECEIPTS
from patron.storage.store.store import insert_into, upsert

ID_LENGTH = 32
REPORTED = "reported"
"""Receipt of a message that a person reports as sent, such as by the outbox that a restored workspace lacks."""
PROOFS_OF_DELIVERY = ("delivered", "bounced", "complained", "opened", "clicked", "unsubscribed", REPORTED)
"""Receipts of what only a message can bring that the channel took."""
BACK_OFF_MINUTES = (1, 5, 15, 60, 240)
"""How long a message waits that the channel did not take, by attempt; the last one for every further attempt."""
BATCH_SIZE = 500


def message_id_of(campaign: str, customer_id: str, channel: str) -> str:
    """Id of the one message that a campaign sends a customer on a channel."""
    return hashlib.sha256(f"{campaign}/{customer_id}/{channel}".encode()).hexdigest()[:ID_LENGTH]


def journey_message_id(journey: str, entry_id: str, step: str, channel: str) -> str:
    """Id of the one message that a step of a journey sends for an entry on a channel."""
    return hashlib.sha256(f"{journey}/{entry_id}/{step}/{channel}".encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class DueMessage:
    """An assigned customer whose message is due."""

    customer_id: str
    is_holdout: bool
    is_planned: bool
    offer: str
    cost_cents: float
    attempt_count: int
    """Attempts so far."""
    entry_id: str = ""
    """Of a journey: the entry that the message is for."""
    entered_at: datetime | None = None
    """Of a journey: when the customer entered it."""
    reached_at: datetime | None = None
    """Of a journey: since when it is due."""
    token: str = ""
    """User token of a customer whom the last run may not know."""
    product_id: str = ""
    """Product that it is about; empty without one."""


def due_messages(  # noqa: PLR0913 - which part of which messages
    connection: sa.Connection,
    campaign: str,
    channel: str,
    at: datetime,
    *,
    after: str = "",
    most: int,
    is_early: bool = False,
) -> list[DueMessage]:
    """Assigned customers whose message is due and not settled, in order of their ids.

    Where it `is_early`, every message is due that was not tried yet, whatever time the plan has for it.
    """
    plan, message = ASSIGNMENTS.c, MESSAGES.c
    now = at.astimezone(UTC)
    is_new = sa.and_(
        message.message_id.is_(None), sa.or_(sa.literal(is_early), plan.send_at.is_(None), plan.send_at <= now)
    )
    is_again = sa.and_(message.state == MessageState.WAITING, message.next_attempt_at <= now)
    chosen = (
        sa.select(
            *(plan.customer_id, plan.is_holdout, plan.is_planned, plan.offer),
            sa.func.coalesce(plan.expected_cost_cents, 0.0),
            sa.func.coalesce(message.attempt_count, 0),
        )
        .select_from(_with_messages(channel))
        .where(plan.campaign == campaign, plan.customer_id > after, sa.or_(is_new, is_again), ~_had_elsewhere(channel))
        .order_by(plan.customer_id)
        .limit(most)
    )
    return [
        DueMessage(
            row[0], bool(row[1]), is_planned=bool(row[2]), offer=row[3], cost_cents=float(row[4]), attempt_count=row[5]
        )
        for row in connection.execute(chosen)
    ]


def next_due_at(connection: sa.Connection, campaign: str, channel: str) -> datetime | None:
    """When the next message is due that is not settled; None where all are."""
    plan, message = ASSIGNMENTS.c, MESSAGES.c
    new = sa.select(sa.func.count(), sa.func.min(plan.send_at), sa.func.count(plan.send_at))
    is_new = (plan.campaign == campaign, message.message_id.is_(None), ~_had_elsewhere(channel))
    new = new.select_from(_with_messages(channel)).where(*is_new)
    count, first, dated_count = connection.execute(new).one()
    again = sa.select(sa.func.min(message.next_attempt_at))
    again = again.where(message.campaign == campaign, message.state == MessageState.WAITING)
    times = [utc(one) for one in (first, connection.scalar(again)) if one is not None]
    if count > dated_count:
        times.append(datetime.min.replace(tzinfo=UTC))
    return min(times, default=None)


def _with_messages(channel: str) -> sa.FromClause:
    plan, message = ASSIGNMENTS.c, MESSAGES.c
    is_its = (plan.campaign == message.campaign, plan.customer_id == message.customer_id, message.channel == channel)
    return sa.outerjoin(ASSIGNMENTS, MESSAGES, sa.and_(*is_its))


def _had_elsewhere(channel: str) -> sa.ColumnElement[bool]:
    """Whether a customer had the campaign's message on another channel, before its channel was changed."""
    plan, other = ASSIGNMENTS.c, MESSAGES.alias("other_channel").c
    return sa.exists().where(
        other.campaign == plan.campaign,
        other.customer_id == plan.customer_id,
        other.channel != channel,
        other.state.in_(MAY_HAVE_ARRIVED),
    )


def claim(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Mark messages as `sending` unless they are settled or on their way; return the ids of those that are ours."""
    rows = _settle_reported(connection, rows)
    if not rows:
        return set()
    statement = _write_unless_settled(connection, rows).returning(MESSAGES.c.message_id)
    return set(connection.scalars(statement, [dict(row) for row in rows]))


def put_off(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write messages that are skipped or wait; those that are settled or on their way stay as they are."""
    if rows := _settle_reported(connection, rows):
        connection.execute(_write_unless_settled(connection, rows), [dict(row) for row in rows])


def record_reported(connection: sa.Connection, message_ids: Iterable[str], at: datetime) -> None:
    """Record that messages were sent, known here or not: they are never handed over, and are `sent` in their turn."""
    receipt = {"kind": REPORTED, "occurred_at": at.astimezone(UTC), "is_permanent": False, "detail": ""}
    upsert(connection, RECEIPTS, [{"message_id": message_id, **receipt} for message_id in message_ids])


def known_as_sent(connection: sa.Connection, message_ids: Iterable[str]) -> set[str]:
    """Ids among these of messages that are recorded, or were reported, as sent."""
    known = set[str]()
    for some in _parts(sorted(message_ids)):
        sent = sa.select(MESSAGES.c.message_id).where(
            MESSAGES.c.message_id.in_(some), MESSAGES.c.state == MessageState.SENT
        )
        reported = sa.select(RECEIPTS.c.message_id).where(RECEIPTS.c.message_id.in_(some), RECEIPTS.c.kind == REPORTED)
        known |= set(connection.scalars(sent.union(reported)))
    return known


def _settle_reported(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Write messages as `sent` that somebody reported as sent; return the rows of the others."""
    sent_at = dict[str, datetime]()
    for some in _parts(rows):
        chosen = sa.select(RECEIPTS.c.message_id, sa.func.min(RECEIPTS.c.occurred_at)).where(
            RECEIPTS.c.message_id.in_([row["message_id"] for row in some]), RECEIPTS.c.kind == REPORTED
        )
        sent_at |= {row[0]: utc(row[1]) for row in connection.execute(chosen.group_by(RECEIPTS.c.message_id))}
    if not sent_at:
        return rows
    settled = {"state": MessageState.SENT, "reason": "", "next_attempt_at": None}
    sent = [{**row, **settled, "sent_at": sent_at[row["message_id"]]} for row in rows if row["message_id"] in sent_at]
    connection.execute(_write_unless_settled(connection, sent), sent)
    _apply_receipts(connection, sent)
    return [row for row in rows if row["message_id"] not in sent_at]


def _apply_receipts(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Suppress the addresses of messages whose receipts came before their rows.

    Soft bounces, of which several suppress, are counted when the next one comes.
    """
    message_of = {row["message_id"]: row for row in rows if row["contact"]}
    chosen = [sa.select(RECEIPTS).where(RECEIPTS.c.message_id.in_(ids)) for ids in _parts(list(message_of))]
    for receipt in (row for statement in chosen for row in connection.execute(statement).all()):
        message, is_left = message_of[receipt.message_id], receipt.kind == UNSUBSCRIBED
        reason = UNSUBSCRIBED if is_left else suppression_reason(receipt.kind, is_permanent=receipt.is_permanent)
        if reason:
            topic = message["topic"] if is_left else ALL_TOPICS
            suppress(connection, message["contact"], message["channel"], topic, reason, utc(receipt.occurred_at))


def _write_unless_settled(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> Any:
    insert = insert_into(connection, MESSAGES)
    changed = {name: insert.excluded[name] for name in rows[0] if name != "message_id"}
    return insert.on_conflict_do_update(
        index_elements=[MESSAGES.c.message_id], set_=changed, where=MESSAGES.c.state == MessageState.WAITING
    )


def update_messages(connection: sa.Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    """Change messages on their way or of unknown outcome; each change names message_id, and all the same columns."""
    if not changes:
        return
    names = [name for name in changes[0] if name != "message_id"]
    state = MESSAGES.c.state  # why no IN: it cannot be in a statement with many rows of values
    is_open = sa.or_(state == MessageState.SENDING, state == MessageState.UNKNOWN)
    statement = (
        sa.update(MESSAGES)
        .where(MESSAGES.c.message_id == sa.bindparam("of_message"), is_open)
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )
    values = [
        {"of_message": change["message_id"], **{f"new_{name}": change[name] for name in names}} for change in changes
    ]
    connection.execute(statement, values)


def settle_by_receipts(connection: sa.Connection, campaign: str) -> int:
    """Make messages of unknown outcome `sent` that receipts prove were taken; return how many."""
    proofs = sa.select(RECEIPTS.c.message_id).where(RECEIPTS.c.kind.in_(PROOFS_OF_DELIVERY))
    unknown = sa.update(MESSAGES).where(MESSAGES.c.campaign == campaign, MESSAGES.c.state == MessageState.UNKNOWN)
    unknown = unknown.where(MESSAGES.c.message_id.in_(proofs))
    return connection.execute(unknown.values(state=MessageState.SENT, reason="")).rowcount


def sent_times(connection: sa.Connection, customer_ids: Iterable[str], since: datetime) -> dict[str, list[datetime]]:
    """When messages of any campaign and channel went to customers since a time; unknown ones count."""
    table, times = MESSAGES.c, {}
    for some in _parts(list(customer_ids)):
        chosen = sa.select(table.customer_id, table.sent_at).where(
            table.customer_id.in_(some),
            table.state.in_(MAY_HAVE_ARRIVED),
            table.sent_at > since.astimezone(UTC),
        )
        for customer_id, sent_at in connection.execute(chosen):
            times.setdefault(customer_id, []).append(utc(sent_at))
    return times


def contacts_with_message(
    connection: sa.Connection, campaign: str, contacts: Iterable[str]
) -> dict[str, dict[str, datetime]]:
    """Customers who may have had a campaign's message at each of some contacts, and when they had the last one."""
    table, customers = MESSAGES.c, {}
    for some in _parts(sorted(contacts)):
        chosen = (
            sa.select(table.contact, table.customer_id, sa.func.max(table.sent_at))
            .where(table.contact.in_(some), table.campaign == campaign, table.state.in_(MAY_HAVE_ARRIVED))
            .group_by(table.contact, table.customer_id)
        )
        for contact, customer_id, sent_at in connection.execute(chosen):
            customers.setdefault(contact, {})[customer_id] = utc(sent_at)
    return customers


def customers_with_message(connection: sa.Connection, campaign: str, customer_ids: Iterable[str]) -> set[str]:
    """Those of some customers who may have had a campaign's message."""
    table, customers = MESSAGES.c, set[str]()
    for some in _parts(sorted(customer_ids)):
        chosen = sa.select(table.customer_id).where(
            table.customer_id.in_(some), table.campaign == campaign, table.state.in_(MAY_HAVE_ARRIVED)
        )
        customers |= set(connection.scalars(chosen))
    return customers


def counts(connection: sa.Connection, campaign: str) -> dict[tuple[str, str], int]:
    """Messages of a campaign by state and reason."""
    table = MESSAGES.c
    chosen = sa.select(table.state, table.reason, sa.func.count()).where(table.campaign == campaign)
    return {(row[0], row[1]): row[2] for row in connection.execute(chosen.group_by(table.state, table.reason))}


def retry_at(at: datetime, attempt_count: int) -> datetime:
    """When a message is tried again that was not taken in its nth attempt."""
    return at + timedelta(minutes=BACK_OFF_MINUTES[min(attempt_count, len(BACK_OFF_MINUTES)) - 1])


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + BATCH_SIZE] for start in range(0, len(values), BATCH_SIZE))
