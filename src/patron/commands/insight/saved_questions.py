"""Save, pin and delete questions of Explore; each is in the audit log."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NO_SUCH_QUESTION, SHORTEN, TOO_LONG
from patron.schema.errors import BadQuery, NotFound
from patron.schema.sentences import Sentence
from patron.storage.insight.question_tables import QUESTION_PINS, SAVED_QUESTIONS
from patron.storage.insight.saved_questions import versions_of
from patron.storage.store.store import upsert

QUESTION_VERSIONS = Sentence("question_versions", "at most {count} versions are kept")
QUESTION_NAME = Sentence("question_name", "a question needs a name")
SAVE_AS_NEW_QUESTION = Sentence("save_as_new_question", "Save it as a new question.")
QUESTION_COUNT = Sentence("question_count", "{count} questions are saved already")
QUESTION_WHAT = Sentence("question_what", "Write what it answers.")
QUESTION_DELETE = Sentence("question_delete", "Delete one that nobody needs.")
QUESTION_LIST = Sentence("question_list", "See /explore/questions.")

MAX_NAME_LENGTH = 80
MAX_NOTE_LENGTH = 500
MAX_SQL_LENGTH = 6_000
MAX_QUESTIONS = 500
MAX_VERSIONS = 50
MAX_PINS = 12


@dataclass(frozen=True)
class QuestionDraft:
    """A question to save."""

    name: str
    definition: Mapping[str, Any]
    """`guided`: its parts, or `sql`: its text."""
    folder: str = ""
    note: str = ""


def save_question(context: RequestContext, draft: QuestionDraft, *, question_id: str = "") -> str:
    """Save a question, or another version of one; return its id. Raises BadQuery, NotFound."""
    _require_short(draft)
    versions = versions_of(context.shop.store, question_id) if question_id else ()
    if question_id and not versions:
        raise NotFound(NO_SUCH_QUESTION, where=question_id[:40], todo=SAVE_AS_NEW_QUESTION)
    if len(versions) >= MAX_VERSIONS:
        raise BadQuery(QUESTION_VERSIONS(count=MAX_VERSIONS), todo=SAVE_AS_NEW_QUESTION)
    row = {
        "question_id": question_id or secrets.token_hex(6),
        "version": versions[0].version + 1 if versions else 1,
        "name": draft.name.strip(),
        "folder": draft.folder.strip(),
        "note": draft.note.strip(),
        "definition": dict(draft.definition),
        "owner": versions[0].owner if versions else context.by,
        "saved_at": context.now,
        "saved_by": context.by,
    }
    with context.shop.store.begin() as connection:
        count = connection.scalar(sa.select(sa.func.count(sa.distinct(SAVED_QUESTIONS.c.question_id)))) or 0
        if not versions and count >= MAX_QUESTIONS:
            raise BadQuery(QUESTION_COUNT(count=MAX_QUESTIONS), todo=QUESTION_DELETE)
        connection.execute(sa.insert(SAVED_QUESTIONS).values(row))
        _log(context, connection, AuditAction.QUESTION_SAVED, row["question_id"], version=row["version"])
    return row["question_id"]


def pin_question(context: RequestContext, question_id: str, *, is_pinned: bool) -> None:
    """Put a question on the dashboard, or take it off."""
    row = {"question_id": question_id, "is_pinned": is_pinned, "changed_at": context.now, "changed_by": context.by}
    with context.shop.store.begin() as connection:
        upsert(connection, QUESTION_PINS, [row], update=("is_pinned", "changed_at", "changed_by"))
        _log(
            context,
            connection,
            AuditAction.QUESTION_PINNED if is_pinned else AuditAction.QUESTION_UNPINNED,
            question_id,
        )


def delete_question(context: RequestContext, question_id: str) -> None:
    """Delete a saved question with all its versions. Raises NotFound."""
    with context.shop.store.begin() as connection:
        deleted = connection.execute(sa.delete(SAVED_QUESTIONS).where(SAVED_QUESTIONS.c.question_id == question_id))
        if not deleted.rowcount:
            raise NotFound(NO_SUCH_QUESTION, where=question_id[:40], todo=QUESTION_LIST)
        connection.execute(sa.delete(QUESTION_PINS).where(QUESTION_PINS.c.question_id == question_id))
        _log(context, connection, AuditAction.QUESTION_DELETED, question_id)


def _require_short(draft: QuestionDraft) -> None:
    if not draft.name.strip():
        raise BadQuery(QUESTION_NAME, where="name", todo=QUESTION_WHAT)
    texts = {"name": (draft.name, MAX_NAME_LENGTH), "folder": (draft.folder, MAX_NAME_LENGTH)}
    texts |= {"note": (draft.note, MAX_NOTE_LENGTH), "sql": (str(draft.definition.get("sql", "")), MAX_SQL_LENGTH)}
    for where, (text, longest) in texts.items():
        if len(text) > longest:
            raise BadQuery(TOO_LONG(count=longest), where=where, todo=SHORTEN)


def _log(
    context: RequestContext, connection: sa.Connection, action: AuditAction, question_id: str, **more: object
) -> None:
    context.record(connection, action, {"question": question_id, **more})
