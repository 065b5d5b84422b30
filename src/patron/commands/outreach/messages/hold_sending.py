"""Hold sending, and release it once a person says what was sent: after a restore nobody knows what went out since.

`patron restore` holds it. Whoever restores in another way, such as a store on a database server by pg_restore, holds it
by hand. Messages that were sent are named by their ids, which stand in the store of the workspace that was replaced, as
Message-ID in the log of a mail server, and in an outbox from which nothing is deleted; they are never sent again.
Where a mail system takes files out of the outbox, its own list says what was sent: the outbox has the rest.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import AwareDatetime, Field

from patron.engage.message_queue import ID_LENGTH, REPORTED, known_as_sent, record_reported
from patron.engage.providers.mail_log import require_not_compressed
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE
from patron.schema.errors import BadCampaign, BadFile, WorkspaceError
from patron.schema.outreach.message_states import MAY_HAVE_ARRIVED
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import utc
from patron.storage.outreach import sending_hold as holds
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.outreach.journey_file import JOURNEY, SegmentTrigger
from patron.storage.outreach.versioned_drafts import APPROVED, RUNNING
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from patron.storage.workspace.workspace_identity import IDENTITY_FILE

NOT_HELD = Sentence("not_held", "sending is not held")
NOTHING_TO_RELEASE = Sentence("nothing_to_release", "Messages are sent as planned; there is nothing to release.")
WHAT_WAS_SENT = Sentence("what_was_sent", "nobody says what was sent since the backup")
SAY_WHAT_WAS_SENT = Sentence(
    "say_what_was_sent",
    "Give the ids of the messages that were sent, or say that nothing was; one of the two.",
)
NO_MESSAGE_IDS = Sentence("no_message_ids", "no message id is in it")
SINCE_IN_FUTURE = Sentence("since_in_future", "the time since when it is not known what was sent has not come yet")
ENTER_SINCE = Sentence("enter_since", "Give the time of the backup, or of the last message that is known here.")
MESSAGE_IDS_ARE = Sentence(
    "message_ids_are",
    "Give files of the outbox, the log of a mail server, a CSV file with the column message_id, or a list with an id of"
    " {length} characters (0-9, a-f) on each line.",
)
NOTHING_NEW = Sentence("nothing_new", "every message that is named is known here as sent already")
NAME_WHAT_WAS_SENT_SINCE = Sentence(
    "name_what_was_sent_since", "Give what was sent after {since}, or say that nothing was."
)
ANOTHER_WORKSPACE = Sentence("another_workspace", "is a copy of another workspace")
RUN_IS_MISSING = Sentence(
    "run_is_missing",
    "the journey {name!r} starts by runs, and no run since the backup is here: whom a later one finds gets its messages"
    " again",
)
REPEAT_RUNS = Sentence(
    "repeat_runs",
    "Repeat the runs that ended since the backup first, the oldest first, each with the cutoff that it had, such as"
    " `patron run --as-of {cutoff}`; or pause the journey until the next run is done.",
)
THIS_WORKSPACE = Sentence("this_workspace", "is this workspace itself, or a copy of it")
NAME_REPLACED = Sentence("name_replaced", "Name the workspace that this one replaces.")

ID = rf"[0-9a-f]{{{ID_LENGTH}}}"
NAMED_ID = re.compile(rf'(?:<| id=|\bmessage_id\\*"\s*:\s*\\*")({ID})(?=@[\w.-]|\\*")')
"""In a Message-ID, with or without its brackets as Exim writes it, or in JSON."""
IDS_ONLY = re.compile(rf"\s*{ID}(?:\s+{ID})*\s*")
ID_COLUMN = "message_id"
COLUMN_NAME, MAX_NAME_LENGTH = re.compile(r'"?[^\W\d][\w -]*"?'), 100
MAX_TEXT_LENGTH = 5_000_000
SinceTime = Annotated[
    AwareDatetime,
    Field(description="Since when it is not known here what was sent, such as when the backup was made."),
]
SentText = Annotated[
    str,
    Field(
        max_length=MAX_TEXT_LENGTH,
        description="Messages that were sent since the backup: files of the outbox, the log of a mail server, CSV with"
        " the column message_id, or a list with an id on each line.",
    ),
]


@dataclass(frozen=True)
class SendingState:
    """Whether messages are sent, and by what."""

    is_held: bool
    since: datetime | None
    """Since when it is not known what was sent, such as when the backup was made; None where sending is not held."""
    held_at: datetime | None
    is_restored: bool
    """Whether a restore held it; otherwise a person did, or it is not held."""
    campaigns: tuple[str, ...]
    """Names of those that are approved or running: they send, or will once it is released."""
    journeys: tuple[str, ...]


@operation(Right(Action.READ, Area.CAMPAIGNS), "GET /api/sending")
def show_sending(shop: Shop) -> SendingState:
    """Whether sending is held until somebody says what was sent since a backup, and what would go on."""
    hold = holds.current_hold(shop.store)
    campaigns, journeys = (
        tuple(one.name for one in kind.all_saved_in(shop.store) if one.state in {APPROVED, RUNNING})
        for kind in (CAMPAIGN, JOURNEY)
    )
    if hold is None:
        return SendingState(
            is_held=False, since=None, held_at=None, is_restored=False, campaigns=campaigns, journeys=journeys
        )
    return SendingState(is_held=True, **vars(hold), campaigns=campaigns, journeys=journeys)


@operation(Right(Action.ACT, Area.CAMPAIGNS), "POST /api/sending/hold", audit=AuditAction.SENDING_HELD, name_field="by")
def hold_sending(context: RequestContext, *, since: SinceTime) -> SendingState:
    """Hold sending: campaigns, journeys, audiences, digests, webhooks and runs hand over nothing until it is released.

    Raises BadCampaign for a time to come.
    """
    if since > context.now:
        raise BadCampaign(SINCE_IN_FUTURE, where="since", todo=ENTER_SINCE)
    with context.shop.store.begin() as connection:
        holds.write_hold(connection, holds.SendingHold(since, context.now, is_restored=False))
        context.record(connection, AuditAction.SENDING_HELD, {"since": since.isoformat()})
    return show_sending(context.shop)


@operation(
    Right(Action.APPROVE, Area.CAMPAIGNS),
    "POST /api/sending/release",
    audit=AuditAction.SENDING_RELEASED,
    is_of_whole_shop=True,
    name_field="by",
)
def release_sending(context: RequestContext, *, sent: SentText = "", is_nothing_sent: bool = False) -> SendingState:
    """Release sending by saying what was sent since the backup; those messages are never sent again.

    Raises BadCampaign where it is not held, or nobody says what was sent.
    """
    ids = message_ids_in(sent)
    if sent.strip() and not ids:
        raise BadCampaign(NO_MESSAGE_IDS, where="sent", todo=MESSAGE_IDS_ARE(length=ID_LENGTH))
    release_after(context, ids, is_nothing_sent=is_nothing_sent)
    return show_sending(context.shop)


def release_after(context: RequestContext, message_ids: frozenset[str], *, is_nothing_sent: bool) -> None:
    """Release sending after some messages were sent. Raises BadCampaign as `release_sending`."""
    with context.shop.store.begin() as connection:
        hold = holds.read_hold(connection)
        if hold is None:
            raise BadCampaign(NOT_HELD, where="sending", todo=NOTHING_TO_RELEASE)
        if bool(message_ids) == is_nothing_sent:
            raise BadCampaign(WHAT_WAS_SENT, where="sent", todo=SAY_WHAT_WAS_SENT)
        new = message_ids - known_as_sent(connection, message_ids)
        if message_ids and not new:
            todo = NAME_WHAT_WAS_SENT_SINCE(since=f"{hold.since:%Y-%m-%d %H:%M} UTC")
            raise BadCampaign(NOTHING_NEW, where="sent", todo=todo)
        if new:
            _require_runs(context.shop, connection, hold)
        # why at its end: caps must count them, and nobody knows when in that time each was sent
        record_reported(connection, sorted(new), hold.held_at)
        holds.delete_hold(connection)
        details = {"since": hold.since.isoformat(), "sent_count": len(message_ids)}
        context.record(connection, AuditAction.SENDING_RELEASED, details)


def _require_runs(shop: Shop, connection: sa.Connection, hold: holds.SendingHold) -> None:
    """Raise BadCampaign where a run may be missing whose cutoff is in the ids of a journey's messages."""
    saved = [one for one in JOURNEY.all_saved(connection) if one.state in {APPROVED, RUNNING}]
    names = [one.name for one in saved if isinstance(one.content.trigger, SegmentTrigger)]
    run, since, until = RUNS.c, hold.since.astimezone(UTC), hold.held_at.astimezone(UTC)
    last = connection.scalar(sa.select(sa.func.max(run.as_of)).where(run.finished_at <= since))
    if not names or last is None:
        return
    next_cutoff = utc(last).astimezone(ZoneInfo(shop.settings.shop.time_zone)) + timedelta(days=1)
    is_repeated = sa.exists().where(run.finished_at > since, run.as_of <= until)
    if next_cutoff <= until and not connection.scalar(sa.select(is_repeated)):
        todo = REPEAT_RUNS(cutoff=f"{next_cutoff:%Y-%m-%dT%H:%M}")
        raise BadCampaign(RUN_IS_MISSING(name=names[0]), where="journeys", todo=todo)


def message_ids_in(text: str) -> frozenset[str]:
    """Ids of messages in a text, where ids of messages stand: those of customers look the same.

    Raises BadFile for CSV that cannot be read.
    """
    try:
        return frozenset(_ids_in_lines(iter(text.splitlines(keepends=True))))
    except csv.Error as error:
        todo = MESSAGE_IDS_ARE(length=ID_LENGTH)
        raise BadFile(FILE_UNREADABLE_CAUSE(cause=error), where="sent", todo=todo) from error


def _ids_in_lines(lines: Iterator[str]) -> Iterator[str]:
    first = next((line for line in lines if line.strip()), "").removeprefix("\ufeff")
    delimiter = max(",;\t", key=first.count)
    columns = [name.strip().strip('"') for name in first.split(delimiter)]
    if ID_COLUMN in columns:
        place = columns.index(ID_COLUMN)
        for row in csv.reader(lines, delimiter=delimiter):
            yield from re.findall(rf"^\s*<?({ID})(?=@|\s*$)", row[place] if place < len(row) else "")
        return
    is_other_column = (
        COLUMN_NAME.fullmatch(first.strip()[:MAX_NAME_LENGTH]) is not None and IDS_ONLY.fullmatch(first) is None
    )
    for line in chain([first], lines):
        yield from NAMED_ID.findall(line)
        if not is_other_column and IDS_ONLY.fullmatch(line):
            yield from line.split()


def read_sent_ids(shop: Shop, path: Path) -> frozenset[str]:
    """Ids of messages that were sent: of a file, the files of a folder, or the workspace that this one replaces.

    Raises BadFile for what cannot be read or names no message, WorkspaceError for another workspace.
    """
    is_workspace, todo = (path / IDENTITY_FILE).exists(), MESSAGE_IDS_ARE(length=ID_LENGTH)
    ids, root = _ids_in_workspace(shop, path) if is_workspace else set[str](), path / "outbox" if is_workspace else path
    files = [file for file in root.rglob("*") if file.is_file()] if root.is_dir() or is_workspace else [path]
    try:
        ids = ids.union(*map(_ids_in_file, files))
    except (OSError, csv.Error) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise BadFile(FILE_UNREADABLE_CAUSE(cause=cause), where=str(path), todo=todo) from error
    if not ids:
        raise BadFile(NO_MESSAGE_IDS, where=str(path), todo=todo)
    return frozenset(ids)


def _ids_in_file(path: Path) -> Iterator[str]:
    with path.open("rb") as start:
        require_not_compressed(path, start.read(8))
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        yield from _ids_in_lines(file)


def _ids_in_workspace(shop: Shop, folder: Path) -> set[str]:
    """Messages that a workspace sent, may have sent, or was told of."""
    with closing(Shop.open(folder, upgrade=False)) as other:
        if other.workspace_id != shop.workspace_id:
            raise WorkspaceError(ANOTHER_WORKSPACE, where=str(folder), todo=NAME_REPLACED)
        hold = holds.current_hold(shop.store)
        with other.store.begin() as connection:
            # why not by instance or address: a server has many addresses, and who restores by hand keeps the instance
            if hold and holds.read_hold(connection) == hold:
                raise WorkspaceError(THIS_WORKSPACE, where=str(folder), todo=NAME_REPLACED)
            sent = sa.select(MESSAGES.c.message_id).where(MESSAGES.c.state.in_(MAY_HAVE_ARRIVED))
            reported = sa.select(RECEIPTS.c.message_id).where(RECEIPTS.c.kind == REPORTED)
            return set(connection.scalars(sent.union(reported)))
