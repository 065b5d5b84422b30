"""The mail digest as rows: who gets it, and what became of the digest of each run and person."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from patron.schema.insight.digest import DigestPart, DigestRhythm
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import USERS
from patron.storage.insight.digest_tables import DIGEST_DELIVERIES, DIGEST_SUBSCRIPTIONS
from patron.storage.models.model_decisions import utc
from patron.storage.store.store import RUNS, Store, upsert
from patron.storage.store.store_metadata import in_utc

WAITING, SENDING, SENT, FAILED, UNKNOWN, SKIPPED = "waiting", "sending", "sent", "failed", "unknown", "skipped"
"""States of a delivery. One whose answer was lost is unknown and never sent again by guess; one is skipped whose
receiver may read nothing of it."""
KEPT_FOR = timedelta(days=90)
"""How long deliveries stay in the log."""
TROUBLE_IS_NEWS_FOR = timedelta(days=7)
RESTORED = Sentence(
    "digest_restored", "the workspace was restored from a backup, which does not know what was sent after it"
)
KILLED = Sentence("digest_killed", "the process ended while the digest was being sent")
NEWER = Sentence("digest_newer", "a newer run has a digest of its own")
FAULTY = Sentence("digest_faulty", "the digest could not be written; the server's log says why")
BROKEN_OFF = Sentence("digest_broken_off", "the digest could not be sent; the server's log says why")
OWN_ANSWERS: dict[str, Sentence] = {one: one for one in (RESTORED, KILLED, NEWER, FAULTY, BROKEN_OFF)}
"""What stands in the place of a server's answer; rows keep the text."""
ACTIVE = "active"
"""State of a user who may sign in."""


@dataclass(frozen=True)
class DigestSubscription:
    """What a person chose to be sent."""

    user_id: str
    parts: tuple[DigestPart, ...]
    rhythm: DigestRhythm
    subscribed_at: datetime
    confirmed_at: datetime | None
    """When the link in the mailbox was used; None before: nothing is sent."""


@dataclass(frozen=True)
class DigestDelivery:
    """The digest of one run for one person."""

    user_id: str
    run_id: str
    run_finished_at: datetime
    state: str
    """waiting, sending, sent, failed, unknown or skipped."""
    attempt_count: int
    attempted_at: datetime | None
    """Last attempt."""
    next_attempt_at: datetime | None
    """None once it is over."""
    answer: str
    """Of the last attempt: what the SMTP server said, or why there was no answer."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that a digest is of."""

    run_id: str
    finished_at: datetime


def digest_subscription(connection: sa.Connection, user_id: str) -> DigestSubscription | None:
    """What a person chose; None for nothing."""
    chosen = sa.select(DIGEST_SUBSCRIPTIONS).where(DIGEST_SUBSCRIPTIONS.c.user_id == user_id)
    row = connection.execute(chosen).mappings().first()
    return _subscription(row) if row else None


def digest_subscriptions(connection: sa.Connection) -> tuple[DigestSubscription, ...]:
    """What everybody chose, the oldest first."""
    table = DIGEST_SUBSCRIPTIONS
    rows = connection.execute(sa.select(table).order_by(table.c.subscribed_at, table.c.user_id)).mappings()
    return tuple(_subscription(row) for row in rows)


def active_subscriptions(connection: sa.Connection) -> tuple[DigestSubscription, ...]:
    """What those chose who are sent it: they may sign in, and their mailbox is theirs."""
    table = DIGEST_SUBSCRIPTIONS
    chosen = sa.select(table).join(USERS, USERS.c.user_id == table.c.user_id)
    chosen = chosen.where(USERS.c.state == ACTIVE, table.c.confirmed_at.is_not(None)).order_by(table.c.user_id)
    return tuple(_subscription(row) for row in connection.execute(chosen).mappings())


def delete_subscription(connection: sa.Connection, user_id: str) -> bool:
    """Send a person no digest any more, also none that waits; returns whether they were subscribed."""
    table = DIGEST_DELIVERIES
    connection.execute(sa.delete(table).where(table.c.user_id == user_id, table.c.state == WAITING))
    deleted = sa.delete(DIGEST_SUBSCRIPTIONS).where(DIGEST_SUBSCRIPTIONS.c.user_id == user_id)
    return bool(connection.execute(deleted).rowcount)


def digest_deliveries(
    connection: sa.Connection, user_id: str, *, limit: int | None = None
) -> tuple[DigestDelivery, ...]:
    """What became of a person's digests, the newest first."""
    table = DIGEST_DELIVERIES
    chosen = sa.select(table).where(table.c.user_id == user_id).order_by(table.c.run_finished_at.desc())
    return tuple(_delivery(row) for row in connection.execute(chosen.limit(limit)).mappings())


def due_digests(connection: sa.Connection, now: datetime) -> tuple[DigestDelivery, ...]:
    """Digests that are to be sent now, the longest due first."""
    table = DIGEST_DELIVERIES
    chosen = sa.select(table).where(table.c.state == WAITING, table.c.next_attempt_at <= now)
    rows = connection.execute(chosen.order_by(table.c.next_attempt_at, table.c.user_id)).mappings()
    return tuple(_delivery(row) for row in rows)


def next_digest_at(store: Store) -> datetime | None:
    """When the next attempt is due; None where none waits."""
    with store.begin() as connection:
        at = connection.scalar(sa.select(sa.func.min(DIGEST_DELIVERIES.c.next_attempt_at)))
    return utc(at) if at else None


def settle_digests(connection: sa.Connection, run: FinishedRun | None) -> None:
    """Let nothing be sent of runs until this one: what became of their digests is unknown, as after a restore."""
    table = DIGEST_DELIVERIES
    open_ = sa.update(table).where(table.c.state.in_([WAITING, SENDING]))
    connection.execute(open_.values(state=UNKNOWN, next_attempt_at=None, answer=RESTORED))
    if run is not None:
        row = {"run_id": run.run_id, "run_finished_at": run.finished_at, "state": UNKNOWN, "attempt_count": 0}
        row |= {"attempted_at": None, "next_attempt_at": None, "answer": RESTORED}
        upsert(
            connection,
            table,
            [{"user_id": subscription.user_id, **row} for subscription in active_subscriptions(connection)],
        )


def undelivered_digests(connection: sa.Connection, now: datetime) -> tuple[DigestDelivery, ...]:
    """The newest digest of each subscriber whom it surely or perhaps did not reach in the last days."""
    table, other = DIGEST_DELIVERIES.c, DIGEST_DELIVERIES.alias().c
    newest = sa.select(sa.func.max(other.run_finished_at)).where(other.user_id == table.user_id).scalar_subquery()
    chosen = (
        sa.select(DIGEST_DELIVERIES)
        .join(DIGEST_SUBSCRIPTIONS, DIGEST_SUBSCRIPTIONS.c.user_id == table.user_id)
        .where(table.run_finished_at == newest, table.run_finished_at >= now - TROUBLE_IS_NEWS_FOR)
        .where(table.state.in_([FAILED, UNKNOWN]))
        .order_by(table.user_id)
    )
    return tuple(_delivery(row) for row in connection.execute(chosen).mappings())


def newest_run(store: Store) -> FinishedRun | None:
    """The run of the latest cutoff, which pages show; None before any."""
    chosen = sa.select(RUNS.c.run_id, RUNS.c.finished_at).order_by(RUNS.c.as_of.desc()).limit(1)
    with store.begin() as connection:
        row = connection.execute(chosen).first()
    return FinishedRun(row.run_id, utc(row.finished_at)) if row else None


def _subscription(row: sa.RowMapping) -> DigestSubscription:
    parts = tuple(DigestPart(part) for part in row["parts"])
    return DigestSubscription(**{**in_utc(row), "parts": parts, "rhythm": DigestRhythm(row["rhythm"])})


def _delivery(row: sa.RowMapping) -> DigestDelivery:
    fields = in_utc(row)
    return DigestDelivery(**{**fields, "answer": OWN_ANSWERS.get(fields["answer"], fields["answer"])})
