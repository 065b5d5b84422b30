"""How many messages and entries are in which state, and whether any journey has something to do."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from patron.schema.outreach.journey_states import EntryState
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES, MESSAGES, RECEIPTS
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.versioned_drafts import APPROVED, IS_OVER, SavedVersion
from patron.storage.store.store import Store


@dataclass(frozen=True)
class EntryCounts:
    """Entries of a journey, counted."""

    states: dict[str, int] = field(default_factory=dict)
    """By state: active, finished, left."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Those that left, by reason."""
    steps: dict[str, int] = field(default_factory=dict)
    """Those on their way, by version and place of the step that is next, from 1."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.states.values())


@dataclass(frozen=True)
class WaitingCount:
    """Entries on their way at one step of a version."""

    version: int
    place: int
    """Of the step that is next, from 0."""
    count: int


def waiting_counts(store: Store, journey: str) -> tuple[WaitingCount, ...]:
    """Entries of a journey that are on their way, by version and step."""
    table = JOURNEY_ENTRIES.c
    columns = (table.version, table.step)
    chosen = sa.select(*columns, sa.func.count()).where(table.journey == journey, table.state == "active")
    with store.begin() as connection:
        rows = connection.execute(chosen.group_by(*columns).order_by(*columns)).all()
    return tuple(WaitingCount(*row) for row in rows)


def entry_counts(store: Store, journey: str) -> EntryCounts:
    """Entries of a journey by state, reason and step."""
    table, counts = JOURNEY_ENTRIES.c, EntryCounts()
    columns = (table.state, table.reason, table.version, table.step)
    chosen = sa.select(*columns, sa.func.count()).where(table.journey == journey).group_by(*columns)
    with store.begin() as connection:
        rows = connection.execute(chosen.order_by(*columns)).all()
    for state, reason, version, step, count in rows:
        counts.states[state] = counts.states.get(state, 0) + count
        if reason:
            counts.reasons[reason] = counts.reasons.get(reason, 0) + count
        if state == "active":
            counts.steps[f"version {version}, step {step + 1}"] = count
    return counts


def row_counts(store: Store, column: sa.Column[Any], *conditions: sa.ColumnElement[bool]) -> dict[Any, int]:
    """Count rows by the value of a column."""
    counted = sa.select(column, sa.func.count()).where(*conditions).group_by(column).order_by(column)
    with store.begin() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def message_counts(store: Store, name: str) -> dict[str, int]:
    """Messages of a campaign or a journey by state."""
    return row_counts(store, MESSAGES.c.state, MESSAGES.c.campaign == name)


def receipt_counts(store: Store, name: str) -> dict[str, int]:
    """Messages of a campaign or a journey by what became of them."""
    receipt, message = RECEIPTS.c, MESSAGES.c
    counted = sa.select(receipt.kind, sa.func.count(sa.distinct(receipt.message_id)))
    joined = counted.join(MESSAGES, message.message_id == receipt.message_id).where(message.campaign == name)
    with store.begin() as connection:
        rows = connection.execute(joined.group_by(receipt.kind).order_by(receipt.kind)).all()
    return {row[0]: row[1] for row in rows}


def is_under_way(saved: SavedVersion[Journey]) -> bool:
    """Whether a journey is approved, or has started and is not over; a paused one is under way."""
    return saved.state == APPROVED or (saved.last("started") is not None and saved.state not in IS_OVER)


def has_journey_work(store: Store) -> bool:
    """Whether a journey is under way, or somebody is still on theirs."""
    if any(is_under_way(one) for one in JOURNEY.all_saved_in(store)):
        return True
    active = sa.select(sa.exists().where(JOURNEY_ENTRIES.c.state == EntryState.ACTIVE))
    with store.begin() as connection:
        return bool(connection.scalar(active))
