"""What people decided about models: a question pinned to an earlier model, released again, a model approved.

Decisions are appended and stay: the last one of a question says whether it is pinned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.schema.models.questions import QUESTIONS
from patron.storage.store.store import MODEL_DECISIONS, Store

PINNED = "pinned"
RELEASED = "released"
APPROVED = "approved"
PINNABLE = tuple(question.name for question in QUESTIONS if not question.is_ranking)
"""Questions whose champion can be an earlier model."""


@dataclass(frozen=True)
class ModelDecision:
    """One decision about a model."""

    model_version: str
    """The folder under models/."""
    decision: str
    """PINNED, RELEASED or APPROVED."""
    decided_at: datetime
    note: str = ""
    """Reason or note, as written."""
    name: str = ""
    """Who approved it, as written."""
    manifest_sha256: str = ""
    """SHA-256 of the manifest that was approved: an approval ends when another model takes its version."""

    @property
    def question(self) -> str:
        """What the model forecasts."""
        return self.model_version.partition("/")[0]


def model_decisions(store: Store) -> tuple[ModelDecision, ...]:
    """Every decision, the oldest first."""
    chosen = sa.select(MODEL_DECISIONS).order_by(*(MODEL_DECISIONS.c[n] for n in ("decided_at", "model_version")))
    with store.begin() as connection:
        rows = connection.execute(chosen).mappings().all()
    return tuple(ModelDecision(**{**row, "decided_at": utc(row["decided_at"])}) for row in rows)


def active_pins(store: Store) -> Mapping[str, ModelDecision]:
    """The pin of each question that is pinned."""
    last = {decision.question: decision for decision in model_decisions(store) if decision.decision != APPROVED}
    return {question: one for question, one in last.items() if one.decision == PINNED}


def append_decision(connection: sa.Connection, decision: ModelDecision) -> None:
    """Record a decision."""
    connection.execute(sa.insert(MODEL_DECISIONS).values(vars(decision)))


def utc(time: datetime) -> datetime:
    """Times of SQLite have no zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
