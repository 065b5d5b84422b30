"""Save, pin and delete questions of Explore; each is in the audit log."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.govern.access import audit_log
from patron.schema.errors import BadQuery, NotFound
from patron.storage.customers.console_tables import QUESTION_PINS, SAVED_QUESTIONS
from patron.storage.insight.saved_questions import versions_of
from patron.storage.shop import Shop
from patron.storage.store.store import upsert

LONGEST_NAME, LONGEST_NOTE, LONGEST_SQL = 80, 500, 6_000
MOST_QUESTIONS = 500
MOST_VERSIONS = 50
MOST_PINS = 12


@dataclass(frozen=True)
class QuestionDraft:
    """A question to save."""

    name: str
    definition: Mapping[str, Any]
    """`guided`: its parts, or `sql`: its text."""
    folder: str = ""
    note: str = ""


def save_question(shop: Shop, draft: QuestionDraft, *, question_id: str = "", by: str, now: datetime) -> str:
    """Save a question, or another version of one; return its id. Raises BadQuery, NotFound."""
    _require_short(draft)
    versions = versions_of(shop.store, question_id) if question_id else ()
    if question_id and not versions:
        raise NotFound("no such question", where=question_id[:40], todo="Save it as a new one.")
    if len(versions) >= MOST_VERSIONS:
        raise BadQuery(f"{MOST_VERSIONS} versions are kept at most", todo="Save it as a new question.")
    row = {
        "question_id": question_id or secrets.token_hex(6),
        "version": versions[0].version + 1 if versions else 1,
        "name": draft.name.strip(),
        "folder": draft.folder.strip(),
        "note": draft.note.strip(),
        "definition": dict(draft.definition),
        "owner": versions[0].owner if versions else by,
        "saved_at": now,
        "saved_by": by,
    }
    with shop.store.begin() as connection:
        count = connection.scalar(sa.select(sa.func.count(sa.distinct(SAVED_QUESTIONS.c.question_id)))) or 0
        if not versions and count >= MOST_QUESTIONS:
            raise BadQuery(f"{MOST_QUESTIONS} questions are saved already", todo="Delete one that nobody needs.")
        connection.execute(sa.insert(SAVED_QUESTIONS).values(row))
        _log(shop, connection, "question saved", row["question_id"], by, now, version=row["version"])
    return row["question_id"]


def pin_question(shop: Shop, question_id: str, *, is_pinned: bool, by: str, now: datetime) -> None:
    """Put a question on the dashboard, or take it off."""
    row = {"question_id": question_id, "is_pinned": is_pinned, "changed_at": now, "changed_by": by}
    with shop.store.begin() as connection:
        upsert(connection, QUESTION_PINS, [row], update=("is_pinned", "changed_at", "changed_by"))
        _log(shop, connection, "question pinned" if is_pinned else "question unpinned", question_id, by, now)


def delete_question(shop: Shop, question_id: str, *, by: str, now: datetime) -> None:
    """Delete a saved question with all its versions. Raises NotFound."""
    with shop.store.begin() as connection:
        deleted = connection.execute(sa.delete(SAVED_QUESTIONS).where(SAVED_QUESTIONS.c.question_id == question_id))
        if not deleted.rowcount:
            raise NotFound("no such question", where=question_id[:40], todo="See /explore/questions.")
        connection.execute(sa.delete(QUESTION_PINS).where(QUESTION_PINS.c.question_id == question_id))
        _log(shop, connection, "question deleted", question_id, by, now)


def _require_short(draft: QuestionDraft) -> None:
    if not draft.name.strip():
        raise BadQuery("a question needs a name", where="name", todo="Write what it answers.")
    texts = {"name": (draft.name, LONGEST_NAME), "folder": (draft.folder, LONGEST_NAME)}
    texts |= {"note": (draft.note, LONGEST_NOTE), "sql": (str(draft.definition.get("sql", "")), LONGEST_SQL)}
    for where, (text, longest) in texts.items():
        if len(text) > longest:
            raise BadQuery(f"is longer than {longest} characters", where=where, todo="Shorten it.")


def _log(
    shop: Shop, connection: sa.Connection, action: str, question_id: str, by: str, now: datetime, **more: object
) -> None:
    audit_log.append(shop, connection, action, {"question": question_id, **more}, at=now, by=by)
