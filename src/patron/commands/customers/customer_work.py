"""Daily work with customers: tags, owners, notes, tasks and snoozes; each change is in the audit log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa
import sqlalchemy as sa

from patron.govern.access.audit_texts import TAG, text_token
from patron.govern.access.customer_scope import refuse_scope_tag
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.sealed_texts import seal, unseal
from patron.govern.privacy.value_detectors import personal_kind
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import (
    CHOOSE_FROM_LIST,
    IT_IS_ONE_OF,
    NO_CUSTOMER,
    NO_TASK,
    NOT_A_VALUE,
    RELOAD_PAGE,
    REMOVE_ONE,
    SEE_TASKS,
)
from patron.schema.errors import BadRequest, NotFound
from patron.schema.sentences import Sentence
from patron.schema.spelling import one_line
from patron.schema.table_definition import TEXT
from patron.storage.access.access_tables import USERS
from patron.storage.customers.customer_tables import CUSTOMER_NOTES, CUSTOMER_OWNERS, CUSTOMER_TAGS, SNOOZES, TASKS
from patron.storage.customers.task_policy import PLAYBOOKS
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store.store import Store

TIME_PASSED = Sentence("time_passed", "the time has passed")
LATER_DAY = Sentence("later_day", "Choose a later day.")
TAG_LENGTH = Sentence("tag_length", "a tag has 1 to {count} characters")
SHORT_WORD = Sentence("short_word", "Write a short word or two.")
TAG_PERSONAL = Sentence("tag_personal", "this may name a person")
WRITE_NOTE = Sentence("write_note", "A tag is for many customers; write a note instead.")
NOT_ACTIVE = Sentence("not_active", "no active user has this id")
ACTION_COUNT = Sentence("action_count", "an action is for 1 to {count:,} customers")
CHOOSE_FEWER = Sentence("choose_fewer", "Choose fewer.")
TEXT_LENGTH = Sentence("text_length", "a text has {least} to {most:,} characters")
WRITE_SHORTER = Sentence("write_shorter", "Write it shorter.")
TAG_COUNT = Sentence("tag_count", "a customer has at most {count} tags")
NO_NOTE = Sentence("no_note", "no note of this customer has this id")
NOTE_AUTHOR = Sentence("note_author", "only its author can delete a note")
ASK_AUTHOR = Sentence("ask_author", "Ask them, or write another note.")
TASK_CLOSED = Sentence("task_closed", "it is closed already")
RELOAD_LIST = Sentence("reload_list", "Reload the list.")

OUTCOMES = ("reached", "not_reached", "ordered", "refused", "other")
"""What became of a task."""
SNOOZE_REASONS = ("contacted", "known", "waiting", "other")
MAX_CUSTOMERS = 10_000
"""Customers of one bulk action."""
MAX_TAG_LENGTH, MAX_TEXT_LENGTH = 40, 4_000
MAX_TAGS = 30
"""Tags of one customer."""
BATCH = 500
UNPROCESSABLE = 422


@dataclass(frozen=True)
class TaskDraft:
    """What is to be done, by whom and until when."""

    playbook: str
    text: str = ""
    owner: str = ""
    """User id; empty for nobody yet."""
    due_at: datetime | None = None


def add_tag(context: RequestContext, customer_ids: Sequence[str], tag: str) -> int:
    """Give customers a tag; how many did not have it. Raises BadRequest, NotFound, NotAllowed."""
    tag = tag_name(tag)
    refuse_scope_tag(context, tag)
    ids = require_customers(context.shop, customer_ids)
    with context.shop.store.begin() as connection:
        tagged = _existing(connection, CUSTOMER_TAGS, ids, CUSTOMER_TAGS.c.tag == tag)
        fresh = [identifier for identifier in ids if identifier not in tagged]
        if len(ids) == 1 and fresh and _tag_count(connection, ids[0]) >= MAX_TAGS:
            raise _wrong("tag", TAG_COUNT(count=MAX_TAGS), REMOVE_ONE)
        rows = [{"customer_id": one, "tag": tag, "added_at": context.now, "added_by": context.by} for one in fresh]
        if rows:
            connection.execute(sa.insert(CUSTOMER_TAGS), rows)
            details = {**about_customers(fresh), TAG: text_token(context.shop, tag)}
            context.record(connection, AuditAction.CUSTOMERS_TAGGED, details)
    return len(rows)


def remove_tag(context: RequestContext, customer_ids: Sequence[str], tag: str) -> int:
    """Take a tag from customers; how many had it. Raises NotAllowed."""
    refuse_scope_tag(context, tag)
    ids = list(dict.fromkeys(customer_ids))
    with context.shop.store.begin() as connection:
        tagged = sorted(_existing(connection, CUSTOMER_TAGS, ids, CUSTOMER_TAGS.c.tag == tag))
        for part in _parts(tagged):
            of = (CUSTOMER_TAGS.c.tag == tag, CUSTOMER_TAGS.c.customer_id.in_(part))
            connection.execute(sa.delete(CUSTOMER_TAGS).where(*of))
        if tagged:
            details = {**about_customers(tagged), TAG: text_token(context.shop, tag)}
            context.record(connection, AuditAction.TAG_REMOVED, details)
    return len(tagged)


def assign_owner(context: RequestContext, customer_ids: Sequence[str], owner: str) -> int:
    """Make a user look after customers; nobody for an empty id. Raises BadRequest, NotFound."""
    ids = require_customers(context.shop, customer_ids)
    require_staff(context.shop.store, owner)
    row = {"owner": owner, "assigned_at": context.now, "assigned_by": context.by}
    with context.shop.store.begin() as connection:
        for part in _parts(ids):
            connection.execute(sa.delete(CUSTOMER_OWNERS).where(CUSTOMER_OWNERS.c.customer_id.in_(part)))
        if owner:
            connection.execute(sa.insert(CUSTOMER_OWNERS), [{"customer_id": identifier, **row} for identifier in ids])
        details = {**about_customers(ids), "owner": owner}
        context.record(connection, AuditAction.OWNER_ASSIGNED, details)
    return len(ids)


def write_note(context: RequestContext, customer_id: str, text: str) -> str:
    """Write a note about a customer, encrypted; its id. Raises BadRequest, NotFound."""
    text = _text(text, "note", is_required=True)
    require_customers(context.shop, [customer_id])
    note_id = uuid4().hex
    row = {"note_id": note_id, "customer_id": customer_id, "written_at": context.now, "written_by": context.by}
    with context.shop.store.begin() as connection:
        connection.execute(sa.insert(CUSTOMER_NOTES).values(**row, content=seal(context.shop, note_id, text)))
        details = {"customer_id": customer_id, "note_id": note_id}
        context.record(connection, AuditAction.NOTE_WRITTEN, details)
    return note_id


def delete_note(context: RequestContext, customer_id: str, note_id: str) -> None:
    """Delete a note, which only its author may. Raises NotFound, BadRequest."""
    with context.shop.store.begin() as connection:
        of = (CUSTOMER_NOTES.c.note_id == note_id, CUSTOMER_NOTES.c.customer_id == customer_id)
        author = connection.scalar(sa.select(CUSTOMER_NOTES.c.written_by).where(*of))
        if author is None:
            raise NotFound(NO_NOTE, where=note_id[:64], todo=RELOAD_PAGE)
        if author != context.by:
            raise _wrong("note", NOTE_AUTHOR, ASK_AUTHOR)
        connection.execute(sa.delete(CUSTOMER_NOTES).where(*of))
        details = {"customer_id": customer_id, "note_id": note_id}
        context.record(connection, AuditAction.NOTE_DELETED, details)


def record_texts_revealed(context: RequestContext, customer_id: str) -> None:
    """Record that somebody reads the texts of others about a customer, before they are shown."""
    with context.shop.store.begin() as connection:
        context.record(connection, AuditAction.NOTES_REVEALED, {"customer_id": customer_id})


def create_tasks(
    context: RequestContext,
    customer_ids: Sequence[str],
    draft: TaskDraft,
    *,
    values_at_risk: Mapping[str, float | None] | None = None,
) -> tuple[str, ...]:
    """Create one task per customer by hand: nobody is held out, and no effect is measured. Returns their ids.

    Raises BadRequest, NotFound.
    """
    require_one_of("playbook", draft.playbook, PLAYBOOKS)
    ids = require_customers(context.shop, customer_ids)
    require_staff(context.shop.store, draft.owner)
    values = values_at_risk or {}
    rows = [task_row(context, identifier, draft, value_at_risk_cents=values.get(identifier)) for identifier in ids]
    with context.shop.store.begin() as connection:
        connection.execute(sa.insert(TASKS), rows)
        details = {**about_customers(ids), "playbook": draft.playbook, "owner": draft.owner}
        context.record(connection, AuditAction.TASKS_CREATED, details)
    return tuple(row["task_id"] for row in rows)


def task_row(
    context: RequestContext, customer_id: str, draft: TaskDraft, *, value_at_risk_cents: float | None
) -> dict[str, Any]:
    """Row of a new task by hand. Raises BadRequest."""
    task_id = uuid4().hex
    return {
        "task_id": task_id,
        "customer_id": customer_id,
        "playbook": draft.playbook,
        "content": seal(context.shop, task_id, _text(draft.text, "text")),
        "owner": draft.owner,
        "state": "open",
        "outcome": "",
        "value_at_risk_cents": None if value_at_risk_cents is None else round(value_at_risk_cents),
        "is_holdout": False,
        "due_at": draft.due_at,
        "created_at": context.now,
        "created_by": context.by,
        "closed_at": None,
        "closed_by": "",
        "reason": "",
        "batch_id": "",
        "holdout_share": None,
        "assigned_at": None,
        "measured_until": None,
    }


def assign_tasks(context: RequestContext, task_ids: Sequence[str], owner: str) -> int:
    """Give open tasks to a user; nobody for an empty id. Raises BadRequest."""
    require_staff(context.shop.store, owner)
    values, action = {"owner": owner}, AuditAction.TASKS_ASSIGNED
    return _change_open_tasks(context, task_ids, values, action, values)


def close_task(context: RequestContext, task_id: str, outcome: str, text: str = "") -> None:
    """Record what became of a task; without an outcome it is dropped. Raises BadRequest, NotFound."""
    if outcome:
        require_one_of("outcome", outcome, OUTCOMES)
    text = _text(text, "text")
    with context.shop.store.begin() as connection:
        of = (TASKS.c.task_id == task_id, ~TASKS.c.is_holdout)
        task = connection.execute(sa.select(TASKS).where(*of)).first()
        if task is None:
            raise NotFound(NO_TASK, where=task_id[:64], todo=SEE_TASKS)
        if task.state != "open":
            raise _wrong("task", TASK_CLOSED, RELOAD_PAGE)
        state = "done" if outcome else "dropped"
        values = {"state": state, "outcome": outcome, "closed_at": context.now, "closed_by": context.by}
        if text:
            instructions = unseal(context.shop, task_id, task.content)
            values["content"] = seal(context.shop, task_id, "\n\n".join(filter(None, [instructions, text])))
        closed = connection.execute(
            sa.update(TASKS).where(TASKS.c.task_id == task_id, TASKS.c.state == "open").values(values)
        )
        if not closed.rowcount:
            raise _wrong("task", TASK_CLOSED, RELOAD_PAGE)
        details = {
            "task_id": task_id,
            "customer_id": task.customer_id,
            "state": state,
            "outcome": outcome,
        }
        context.record(connection, AuditAction.TASK_CLOSED, details)


def snooze(context: RequestContext, customer_ids: Sequence[str], *, until: datetime, reason: str) -> int:
    """Take customers off the watch list until a time. Raises BadRequest, NotFound."""
    require_one_of("reason", reason, SNOOZE_REASONS)
    if until <= context.now:
        raise _wrong("until", TIME_PASSED, LATER_DAY)
    ids = require_customers(context.shop, customer_ids)
    row = {"until": until, "reason": reason, "snoozed_at": context.now, "snoozed_by": context.by}
    with context.shop.store.begin() as connection:
        _delete_snoozes(connection, ids)
        connection.execute(sa.insert(SNOOZES), [{"customer_id": identifier, **row} for identifier in ids])
        details = {**about_customers(ids), "until": until.isoformat(), "reason": reason}
        context.record(connection, AuditAction.WATCH_LIST_SNOOZED, details)
    return len(ids)


def end_snooze(context: RequestContext, customer_ids: Sequence[str]) -> int:
    """Put customers back on the watch list; how many were snoozed."""
    ids = list(dict.fromkeys(customer_ids))
    with context.shop.store.begin() as connection:
        count = _delete_snoozes(connection, ids)
        if count:
            context.record(connection, AuditAction.WATCH_LIST_SNOOZE_ENDED, {**about_customers(ids)})
    return count


def tag_name(text: str) -> str:
    """A tag as it is kept: trimmed, blanks as one. Raises BadRequest for one that is empty, long or personal."""
    tag = one_line(text)
    if not 0 < len(tag) <= MAX_TAG_LENGTH or not tag.isprintable():
        raise _wrong("tag", TAG_LENGTH(count=MAX_TAG_LENGTH), SHORT_WORD)
    if personal_kind(tag):
        raise _wrong("tag", TAG_PERSONAL, WRITE_NOTE)
    return tag


def require_staff(store: Store, user_id: str) -> None:
    """Check that somebody can be given work; empty is nobody. Raises BadRequest."""
    if not user_id:
        return
    with store.begin() as connection:
        state = connection.scalar(sa.select(USERS.c.state).where(USERS.c.user_id == user_id))
    if state != "active":
        raise _wrong("owner", NOT_ACTIVE, CHOOSE_FROM_LIST)


def _change_open_tasks(
    context: RequestContext,
    task_ids: Sequence[str],
    values: Mapping[str, object],
    action: AuditAction,
    details: Mapping[str, object],
) -> int:
    count = 0
    with context.shop.store.begin() as connection:
        for part in _parts(list(dict.fromkeys(task_ids))):
            of = (TASKS.c.task_id.in_(part), TASKS.c.state == "open", ~TASKS.c.is_holdout)
            count += connection.execute(sa.update(TASKS).where(*of).values(dict(values))).rowcount
        if count:
            context.record(connection, action, {"task_count": count, **details})
    return count


def require_customers(shop: Shop, customer_ids: Sequence[str]) -> list[str]:
    """These customers once each, all of them of the last run. Raises BadRequest, NotFound."""
    ids = list(dict.fromkeys(customer_ids))
    if not 0 < len(ids) <= MAX_CUSTOMERS:
        raise _wrong("customers", ACTION_COUNT(count=MAX_CUSTOMERS), CHOOSE_FEWER)
    chosen = pa.table({"customer_id": pa.array(ids, TEXT)})
    sql = "select c.customer_id from chosen c join customers k on k.customer_id = c.customer_id"
    known = set(last_run(shop).query(sql, chosen=chosen)["customer_id"].to_pylist())
    unknown = [identifier for identifier in ids if identifier not in known]
    if unknown:
        raise NotFound(NO_CUSTOMER, where=unknown[0][:64], todo=RELOAD_LIST)
    return ids


def _existing(connection: sa.Connection, table: sa.Table, ids: Sequence[str], condition: sa.ColumnElement) -> set[str]:
    rows: set[str] = set()
    for part in _parts(ids):
        query = sa.select(table.c.customer_id).where(table.c.customer_id.in_(part), condition)
        rows |= set(connection.scalars(query))
    return rows


def _tag_count(connection: sa.Connection, customer_id: str) -> int:
    query = sa.select(sa.func.count()).where(CUSTOMER_TAGS.c.customer_id == customer_id)
    return connection.scalar(query) or 0


def _delete_snoozes(connection: sa.Connection, ids: Sequence[str]) -> int:
    parts = (sa.delete(SNOOZES).where(SNOOZES.c.customer_id.in_(part)) for part in _parts(ids))
    return sum(connection.execute(statement).rowcount for statement in parts)


def about_customers(ids: Sequence[str]) -> dict[str, object]:
    """Whom an entry of the audit log is about: one by name, several by their count."""
    return {"customer_id": ids[0]} if len(ids) == 1 else {"customer_count": len(ids)}


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


def _text(text: str, where: str, *, is_required: bool = False) -> str:
    text = text.replace("\r\n", "\n").strip()
    if len(text) > MAX_TEXT_LENGTH or (is_required and not text):
        raise _wrong(where, TEXT_LENGTH(least=1 if is_required else 0, most=MAX_TEXT_LENGTH), WRITE_SHORTER)
    return text


def require_one_of(where: str, value: str, allowed: Sequence[str]) -> None:
    """Check a code. Raises BadRequest."""
    if value not in allowed:
        raise _wrong(where, NOT_A_VALUE(value=value[:40]), IT_IS_ONE_OF(choices=", ".join(allowed)))


def _wrong(where: str, what: str, todo: str) -> BadRequest:
    return BadRequest(UNPROCESSABLE, what, where=where, todo=todo)
