"""What became of messages that were handed over, on record: by the channel's answers, or after a sender was killed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from patron.engage.channels.channel import Handover, Outcome
from patron.engage.handover_journal import JournalEntry, read_journal, remove_journal
from patron.engage.message_queue import retry_at, update_messages
from patron.govern.outreach.suppression_list import ALL_TOPICS, HARD_BOUNCE, suppress
from patron.schema.outreach.message_states import MessageState
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.store.store import after_commit, upsert

MAX_DETAIL_LENGTH = 200
NO_SUCH_ADDRESS = re.compile(r"\b5\.1\.(?:1|2|3|6|10)\b")
"""Status (RFC 3463) of an address that does not exist."""
REFUSALS = frozenset({Outcome.DEFERRED, Outcome.REJECTED})


@dataclass(frozen=True)
class Attempt:
    """One attempt to send a message."""

    attempt_count: int
    """Attempts with this one."""
    channel: str
    contact: str | None
    """Token of the address."""
    end: datetime
    """From when on it is not tried again."""


def record_answers(connection: sa.Connection, answers: Sequence[tuple[Handover, Attempt]], at: datetime) -> None:
    """Record answers of a channel that came at a time, with receipts of refusals; suppress what does not exist."""
    now = at.astimezone(UTC)
    update_messages(connection, [_change(answer, attempt, now) for answer, attempt in answers])
    refusals = [(answer, attempt) for answer, attempt in answers if answer.outcome in REFUSALS]
    upsert(connection, RECEIPTS, [_receipt(answer, now) for answer, _ in refusals])
    for answer, attempt in refusals:
        is_gone = answer.is_gone or NO_SUCH_ADDRESS.search(answer.detail)
        if answer.outcome is Outcome.REJECTED and is_gone and attempt.contact:
            suppress(connection, attempt.contact, attempt.channel, ALL_TOPICS, HARD_BOUNCE, now)


def settle_cut_off(connection: sa.Connection, workspace: Path, campaign: str, *, is_over: bool) -> None:
    """Settle messages that a sender left on their way, as its journal says; `unknown` is what it does not say.

    What the channel never got goes back to where it was, unless the campaign or journey is over. Whoever calls this is
    the only sender of it on this machine. Others that share the store have journals of their own: what they have on its
    way is `unknown` here, until they answer or, once killed, start again. Raises WorkspaceError.
    """
    table = MESSAGES.c
    is_left = sa.or_(
        table.state == MessageState.SENDING,
        sa.and_(table.state == MessageState.UNKNOWN, table.reason == "cut_off"),  # why: as another machine saw it
    )
    left = sa.select(MESSAGES).where(table.campaign == campaign, is_left)
    rows = [dict(row) for row in connection.execute(left.order_by(table.message_id)).mappings()]
    entries = read_journal(workspace, campaign) if rows else {}
    unknown, untaken = list[dict[str, Any]](), list[dict[str, Any]]()
    for row in rows:
        message_id, entry = row["message_id"], entries.get(row["message_id"])
        # why: the time says that the store and the journal are of the same attempt
        if entry is None and row["state"] == MessageState.UNKNOWN:
            continue
        if entry is None or entry.marked_at != utc(row["sent_at"]) or (entry.is_taken and entry.answer is None):
            unknown.append({"message_id": message_id, "state": MessageState.UNKNOWN, "reason": "cut_off"})
        elif entry.answer is None:
            untaken.append(_untaken(row, is_over=is_over))
        else:
            record_answers(connection, [(entry.answer, _attempt(row, entry))], entry.marked_at)
    update_messages(connection, unknown)
    update_messages(connection, untaken)
    if rows:
        after_commit(connection, lambda: remove_journal(workspace, campaign))


def _attempt(row: Mapping[str, Any], entry: JournalEntry) -> Attempt:
    return Attempt(row["attempt_count"], row["channel"], row["contact"], entry.end)


def _untaken(row: Mapping[str, Any], *, is_over: bool) -> dict[str, Any]:
    """The change of a message that was marked, and never came to the channel."""
    change = {"message_id": row["message_id"], "attempt_count": row["attempt_count"] - 1, "sent_at": None}
    if is_over:
        return change | {"state": MessageState.SKIPPED, "reason": "not_taken", "next_attempt_at": None}
    return change | {"state": MessageState.WAITING, "reason": "not_taken", "next_attempt_at": row["sent_at"]}


def _change(answer: Handover, attempt: Attempt, now: datetime) -> dict[str, Any]:
    change: dict[str, Any] = {"message_id": answer.message_id, "reason": "", "next_attempt_at": None}
    change |= {"sent_at": now}
    if answer.outcome is Outcome.SENT:
        return change | {"state": MessageState.SENT}
    if answer.outcome is Outcome.UNKNOWN:
        return change | {"state": MessageState.UNKNOWN, "reason": "answer_lost"}
    if answer.outcome is Outcome.REJECTED:
        return change | {"state": MessageState.FAILED, "reason": "rejected", "sent_at": None}
    again = retry_at(now, attempt.attempt_count)
    if again >= attempt.end:
        return change | {"state": MessageState.SKIPPED, "reason": "not_taken", "sent_at": None}
    change |= {"state": MessageState.WAITING, "reason": "not_taken", "sent_at": None}
    return change | {"next_attempt_at": again.astimezone(UTC)}


def _receipt(answer: Handover, at: datetime) -> dict[str, Any]:
    return {
        "message_id": answer.message_id,
        "kind": str(answer.outcome),
        "occurred_at": at,
        "is_permanent": answer.outcome is Outcome.REJECTED,
        "detail": answer.detail[:MAX_DETAIL_LENGTH],
    }
