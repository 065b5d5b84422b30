"""Addresses that must not be sent to: by blind index, so that the list outlives the erasure of their owners.

Topics are in lower case, as purposes of consent are.
"""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from patron.schema.outreach.channels import CHANNELS
from patron.storage.outreach.campaign_tables import SUPPRESSIONS
from patron.storage.store.store import Store, upsert

UNSUBSCRIBED = "unsubscribed"
SOFT_BOUNCES = "soft_bounces"
HARD_BOUNCE = "hard_bounce"
COMPLAINT = "complaint"
STRENGTH = {UNSUBSCRIBED: 0, SOFT_BOUNCES: 1, HARD_BOUNCE: 2, COMPLAINT: 3}
"""A stronger reason replaces a weaker one; only the weakest is lifted when its owner subscribes again."""
ALL_TOPICS = ""
BATCH_SIZE = 500


def channels_alike(channel: str) -> tuple[str, ...]:
    """Channels by which messages arrive in the same way, itself among them: who left one has left the others.

    A mail system sends the files, so that they are e-mail.
    """
    arrives_by = {name: described.arrives_by or name for name, described in CHANNELS.items()}
    return tuple(name for name, way in arrives_by.items() if way == arrives_by.get(channel)) or (channel,)


def suppressed(store: Store, contacts: Collection[str], channel: str, topic: str) -> set[str]:
    """Which of some contacts must not be sent a topic on a channel."""
    with store.begin() as connection:
        return suppressed_contacts(connection, contacts, channel, topic)


def suppressed_contacts(connection: sa.Connection, contacts: Collection[str], channel: str, topic: str) -> set[str]:
    """The same within a transaction."""
    blocked: set[str] = set()
    listed, of = sorted(set(contacts)), SUPPRESSIONS.c
    for start in range(0, len(listed), BATCH_SIZE):
        chosen = sa.select(of.contact).where(of.contact.in_(listed[start : start + BATCH_SIZE]))
        chosen = chosen.where(of.channel.in_(channels_alike(channel)), of.topic.in_((topic.lower(), ALL_TOPICS)))
        blocked |= set(connection.scalars(chosen))
    return blocked


def suppressed_everywhere(store: Store, contacts: Collection[str]) -> set[str]:
    """Which of some contacts must not be sent any topic on some channel: they bounced, complained, or left all."""
    blocked: set[str] = set()
    listed, of = sorted(set(contacts)), SUPPRESSIONS.c
    with store.begin() as connection:
        for start in range(0, len(listed), BATCH_SIZE):
            chosen = sa.select(of.contact).where(of.contact.in_(listed[start : start + BATCH_SIZE]))
            blocked |= set(connection.scalars(chosen.where(of.topic == ALL_TOPICS)))
    return blocked


def suppress(connection: sa.Connection, contact: str, channel: str, topic: str, reason: str, at: datetime) -> None:
    """Send a contact nothing more of a topic on a channel (ALL_TOPICS: nothing at all there)."""
    of, topic = SUPPRESSIONS.c, topic.lower()
    place = (of.contact == contact, of.channel == channel, of.topic == topic)
    known = connection.scalar(sa.select(of.reason).where(*place))
    if known is None or STRENGTH[reason] > STRENGTH.get(known, 0):
        row = {"contact": contact, "channel": channel, "topic": topic, "reason": reason, "suppressed_at": at}
        upsert(connection, SUPPRESSIONS, [row], update=("reason", "suppressed_at"))


def lift(connection: sa.Connection, contact: str, channel: str, topic: str) -> None:
    """Send a contact a topic again that its owner unsubscribed; never after a bounce or complaint."""
    of = SUPPRESSIONS.c
    place = (of.contact == contact, of.channel.in_(channels_alike(channel)), of.topic == topic.lower())
    connection.execute(sa.delete(SUPPRESSIONS).where(*place, of.reason == UNSUBSCRIBED))


def reasons_of(store: Store, contact: str, channel: str) -> dict[str, str]:
    """Why a contact is not sent to on a channel, by topic."""
    of = SUPPRESSIONS.c
    chosen = sa.select(of.topic, of.reason).where(of.contact == contact, of.channel.in_(channels_alike(channel)))
    with store.begin() as connection:
        rows = connection.execute(chosen).all()
    return {row.topic: row.reason for row in sorted(rows, key=lambda row: STRENGTH[row.reason])}
