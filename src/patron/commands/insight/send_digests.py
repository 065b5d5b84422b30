"""Sends the mail digest after a run: one of each run and person, made with what the receiver may read at that moment.

A digest is a row before it is a letter. It is claimed (`sending`) before the server gets it; a process that is killed
then leaves a row that is `unknown` from the next start on, and is never sent again by guess; so does an error that
nobody foresaw. What the server surely did not take is tried again, until it has failed too often or a newer run has a
digest of its own.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.commands.access.user_mail import UserMail, hand_over_mail
from patron.commands.insight.digest_subscriptions import can_send_digests, digest_path
from patron.engage.channels.channel import Handover, Outcome
from patron.govern.access import audit_log
from patron.govern.access.user_identities import PASSKEY, list_identities
from patron.govern.access.user_sessions import actor_of_user
from patron.govern.access.users import User, find_user, resolve_user
from patron.schema.access.access_rights import Actor
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CONTINUES_BY_ITSELF
from patron.schema.errors import ChannelUnavailable, WorkspaceBusy
from patron.schema.insight.digest import DigestPart, DigestRhythm, readable_parts
from patron.schema.sentences import Sentence
from patron.storage.insight.digest_tables import DIGEST_DELIVERIES
from patron.storage.insight.digests import (
    BROKEN_OFF,
    FAILED,
    FAULTY,
    KEPT_FOR,
    KILLED,
    NEWER,
    SENDING,
    SENT,
    SKIPPED,
    UNKNOWN,
    WAITING,
    DigestDelivery,
    DigestSubscription,
    FinishedRun,
    active_subscriptions,
    digest_deliveries,
    digest_subscription,
    due_digests,
    newest_run,
    next_digest_at,
)
from patron.storage.outreach.sending_hold import read_hold, require_not_held
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store.store import upsert
from patron.storage.workspace.work_lock import hold_work_lock

DIGESTS_ELSEWHERE = Sentence("digests_elsewhere", "digests are sent by another process")

LOG = logging.getLogger(__name__)
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 360, 720))
"""Pauses after each attempt that failed; after the last one a digest has failed."""
NEWS_FOR = timedelta(days=2)
"""A run that finished longer ago, while the server was off, is no news."""


@dataclass(frozen=True)
class DigestReader:
    """Whom a digest is for, what they may do by now, and which of what they chose they may read."""

    user: User
    actor: Actor
    parts: tuple[DigestPart, ...]
    path: str
    """Path of the page that ends the digest."""


ComposeDigest = Callable[[DigestReader, datetime], UserMail]
"""Writes the digest of the last run for a reader, in their language."""
Clock = Callable[[], datetime]


def send_digests(
    shop: Shop, *, compose: ComposeDigest, clock: Clock, should_stop: Callable[[], bool] = lambda: False
) -> datetime | None:
    """Send the digests of the newest run that are due; returns when the next attempt is.

    Raises WorkspaceBusy, SendingHeld while sending is held, also where that began meanwhile.
    Without an SMTP server, or an address at which the links of a letter work, nothing is sent, and nothing waits.
    """
    if not can_send_digests(shop):
        return None
    busy = WorkspaceBusy(DIGESTS_ELSEWHERE, where="digests", todo=CONTINUES_BY_ITSELF)
    require_not_held(shop.store)
    with hold_work_lock(shop.folder, "digests", "", busy):
        _write_due(shop, clock())
        with shop.store.begin() as connection:
            due = due_digests(connection, clock())
        trouble = ""
        for one in due:
            require_not_held(shop.store)
            run = newest_run(shop.store)
            if should_stop() or run is None or run.run_id != one.run_id:  # why: a letter is of the run that is shown
                break
            try:
                trouble = _attempt(shop, one, compose, clock, trouble)
            except Exception:  # why: one person's digest holds up nobody else's
                LOG.exception("the digest of run %s for user %s cannot be sent", one.run_id, one.user_id)
                _break_off(shop, one, clock())
    return next_digest_at(shop.store)


def preview_digest(shop: Shop, name: str, *, compose: ComposeDigest, now: datetime) -> UserMail | None:
    """The digest as a user, by e-mail address or id, would be sent it now; None where they may read none of it.

    Who has not subscribed is shown every part. Raises NotFound, NoRunYet.
    """
    last_run(shop)
    with shop.store.begin() as connection:
        user = resolve_user(connection, name)
        subscription = digest_subscription(connection, user.user_id)
        reader = _reader(shop, connection, user.user_id, subscription.parts if subscription else tuple(DigestPart))
    return compose(reader, now) if reader else None


def _write_due(shop: Shop, now: datetime) -> None:
    """Settle what another process left, and write the digest of the newest run for everybody who is to get one."""
    table, run = DIGEST_DELIVERIES, newest_run(shop.store)
    settled = sa.update(table).where(table.c.state == SENDING)
    with shop.store.begin() as connection:
        connection.execute(settled.values(state=UNKNOWN, next_attempt_at=None, answer=KILLED))
        connection.execute(sa.delete(table).where(table.c.run_finished_at < now - KEPT_FOR))
        if run is None:
            return
        replaced = sa.update(table).where(table.c.state == WAITING, table.c.run_id != run.run_id)
        connection.execute(replaced.values(state=FAILED, next_attempt_at=None, answer=NEWER))
        if now - run.finished_at > NEWS_FOR:
            return
        zone = ZoneInfo(shop.settings.shop.time_zone)
        row = {"run_id": run.run_id, "run_finished_at": run.finished_at, "state": WAITING, "attempt_count": 0}
        row |= {"attempted_at": None, "next_attempt_at": now, "answer": ""}
        getters = [
            subscription.user_id
            for subscription in active_subscriptions(connection)
            if is_due(subscription, digest_deliveries(connection, subscription.user_id), run, zone)
        ]
        upsert(connection, table, [{"user_id": user_id, **row} for user_id in getters])


def is_due(
    subscription: DigestSubscription, deliveries: tuple[DigestDelivery, ...], run: FinishedRun, zone: ZoneInfo
) -> bool:
    """Whether somebody is to get the digest of a run: it finished after they confirmed, and in a week without one."""
    if subscription.confirmed_at is None or run.finished_at < subscription.confirmed_at:
        return False
    if subscription.rhythm is DigestRhythm.EVERY_RUN:
        return True
    sent = (delivery.run_finished_at for delivery in deliveries if delivery.state in {SENT, UNKNOWN})
    return _week(run.finished_at, zone) not in {_week(at, zone) for at in sent}


def _week(at: datetime, zone: ZoneInfo) -> tuple[int, int]:
    return at.astimezone(zone).isocalendar()[:2]


def _attempt(shop: Shop, delivery: DigestDelivery, compose: ComposeDigest, clock: Clock, trouble: str) -> str:
    """One attempt; where the server cannot be reached at all (`trouble`, which is returned) it is not asked again."""
    with shop.store.begin() as connection:
        subscription = digest_subscription(connection, delivery.user_id)
        parts = subscription.parts if subscription and subscription.confirmed_at else ()
        reader = _reader(shop, connection, delivery.user_id, parts)
    if reader is None:
        _close(shop, delivery, SKIPPED, clock())
        return trouble
    before = WAITING
    message_id = hashlib.sha256(f"digest {delivery.user_id} {delivery.run_id}".encode()).hexdigest()[:32]
    if trouble:
        handover = Handover(message_id, Outcome.DEFERRED, trouble)
    elif (mail := _compose(compose, reader, clock())) is None:
        handover = Handover(message_id, Outcome.DEFERRED, FAULTY)
    elif not _claim(shop, delivery, clock()):
        return ""
    else:
        before = SENDING
        try:
            handover = hand_over_mail(shop, reader.user, mail, message_id=message_id, now=clock())
        except ChannelUnavailable as error:
            trouble = str(error)
            handover = Handover(message_id, Outcome.DEFERRED, trouble)
    _record(shop, delivery, handover, before=before, now=clock())
    return trouble


def _break_off(shop: Shop, delivery: DigestDelivery, now: datetime) -> None:
    """Note that an attempt failed in a way that nobody foresaw: once it was claimed the server may have the letter."""
    for before, outcome in ((SENDING, Outcome.UNKNOWN), (WAITING, Outcome.DEFERRED)):
        _record(shop, delivery, Handover("", outcome, BROKEN_OFF), before=before, now=now)


def _compose(compose: ComposeDigest, reader: DigestReader, now: datetime) -> UserMail | None:
    """The letter; None where it cannot be written, of which the log of ours says why."""
    try:
        return compose(reader, now)
    except Exception:  # why: one person's digest holds up nobody else's
        LOG.exception("the digest of user %s cannot be written", reader.user.user_id)
        return None


def _reader(shop: Shop, connection: sa.Connection, user_id: str, parts: tuple[DigestPart, ...]) -> DigestReader | None:
    """Who gets a digest, with their rights of now; None for somebody who may read none of it."""
    actor = actor_of_user(connection, user_id)
    if actor is None:
        return None
    user, readable = find_user(connection, user_id), readable_parts(actor)
    chosen = tuple(part for part in parts if part in readable)
    if not chosen or not _has_needed_factor(shop, connection, user):
        return None
    return DigestReader(user, actor, chosen, digest_path(shop, user))


def _has_needed_factor(shop: Shop, connection: sa.Connection, user: User) -> bool:
    """Whether somebody could read in the console, too, where everybody needs a second factor."""
    if not shop.settings.access.needs_second_factor or user.has_second_factor:
        return True
    is_at_issuer = shop.settings.oidc.is_second_factor
    return any(identity.issuer == PASSKEY or is_at_issuer for identity in list_identities(connection, user.user_id))


def _claim(shop: Shop, delivery: DigestDelivery, now: datetime) -> bool:
    """Note that the server gets a digest next; False where it does not wait any more, or sending is held."""
    with shop.store.begin() as connection:
        if read_hold(connection):
            return False
        waiting = sa.update(DIGEST_DELIVERIES).where(*_is(delivery), DIGEST_DELIVERIES.c.state == WAITING)
        return bool(connection.execute(waiting.values(state=SENDING, attempted_at=now)).rowcount)


def _record(shop: Shop, delivery: DigestDelivery, handover: Handover, *, before: str, now: datetime) -> None:
    """Write what became of an attempt; a digest that was sent is in the audit log, as what left the console.

    `before` is the state that the attempt left: another one is what another server made of it.
    """
    count = delivery.attempt_count + 1
    states = {Outcome.SENT: SENT, Outcome.REJECTED: FAILED, Outcome.UNKNOWN: UNKNOWN}
    state = states.get(handover.outcome, WAITING if count <= len(PAUSES) else FAILED)
    next_at = now + PAUSES[count - 1] if state == WAITING else None
    values = {"state": state, "attempt_count": count, "attempted_at": now, "next_attempt_at": next_at}
    with shop.store.begin() as connection:
        changed = sa.update(DIGEST_DELIVERIES).where(*_is(delivery), DIGEST_DELIVERIES.c.state == before)
        connection.execute(changed.values(**values, answer=handover.detail))
        if state == SENT:
            details = {"user_id": delivery.user_id, "run_id": delivery.run_id}
            audit_log.append(shop, connection, AuditAction.DIGEST_SENT, details, at=now)


def _close(shop: Shop, delivery: DigestDelivery, state: str, now: datetime) -> None:
    with shop.store.begin() as connection:
        changed = sa.update(DIGEST_DELIVERIES).where(*_is(delivery), DIGEST_DELIVERIES.c.state == WAITING)
        connection.execute(changed.values(state=state, attempted_at=now, next_attempt_at=None))


def _is(delivery: DigestDelivery) -> tuple[sa.ColumnElement[bool], ...]:
    table = DIGEST_DELIVERIES.c
    return (table.user_id == delivery.user_id, table.run_id == delivery.run_id)
