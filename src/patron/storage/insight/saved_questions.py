"""Saved questions as the store has them: name, folder, note, owner and versions; and which are on the dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.storage.insight.question_tables import QUESTION_PINS, SAVED_QUESTIONS
from patron.storage.models.model_decisions import utc
from patron.storage.store.store import Store


@dataclass(frozen=True)
class SavedQuestion:
    """One version of a saved question."""

    question_id: str
    version: int
    name: str
    folder: str
    note: str
    definition: Mapping[str, Any]
    """`guided`: its parts, or `sql`: its text."""
    owner: str
    """Who saved the first version."""
    saved_at: datetime
    saved_by: str


def saved_questions(store: Store) -> tuple[SavedQuestion, ...]:
    """Every saved question in its current version, by folder and name."""
    newest = sa.select(sa.func.max(SAVED_QUESTIONS.c.version)).where(
        SAVED_QUESTIONS.c.question_id == (other := SAVED_QUESTIONS.alias()).c.question_id
    )
    chosen = sa.select(other).where(other.c.version == newest.scalar_subquery())
    with store.begin() as connection:
        rows = [_question_of(row) for row in connection.execute(chosen).mappings()]
    return tuple(sorted(rows, key=lambda one: (one.folder.lower(), one.name.lower(), one.question_id)))


def versions_of(store: Store, question_id: str) -> tuple[SavedQuestion, ...]:
    """All versions of a saved question, the newest first; none where there is no such question."""
    chosen = sa.select(SAVED_QUESTIONS).where(SAVED_QUESTIONS.c.question_id == question_id)
    with store.begin() as connection:
        rows = connection.execute(chosen.order_by(SAVED_QUESTIONS.c.version.desc())).mappings()
        return tuple(_question_of(row) for row in rows)


def pin_choices(store: Store) -> dict[str, bool]:
    """Whether questions are on the dashboard, of those about which somebody decided."""
    with store.begin() as connection:
        rows = connection.execute(sa.select(QUESTION_PINS.c.question_id, QUESTION_PINS.c.is_pinned)).all()
    return {row.question_id: row.is_pinned for row in rows}


def _question_of(row: sa.RowMapping) -> SavedQuestion:
    return SavedQuestion(**{**row, "saved_at": utc(row["saved_at"])})
