"""The audit log: erasures, exports, and keys created and revoked; entries are appended and never changed.

An entry holds the SHA-256 of its content and of the hash before it: a changed or missing entry breaks the chain.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.storage.store import AUDIT, WORKSPACE, Store

BEFORE_THE_FIRST = "0" * 64
FORGOTTEN = "forgotten"
"""Action of an erasure."""


@dataclass(frozen=True)
class Entry:
    """One entry of the log."""

    entry: int
    at: str
    action: str
    details: str
    previous: str
    hash: str


def append(connection: sa.Connection, action: str, details: Mapping[str, object], *, at: datetime) -> Entry:
    """Append an entry within a transaction; details may hold opaque ids and numbers, no personal value."""
    _lock_log(connection)
    newest = sa.select(AUDIT.c.entry, AUDIT.c.hash).order_by(AUDIT.c.entry.desc()).limit(1)
    number, previous = connection.execute(newest).first() or (0, BEFORE_THE_FIRST)
    content = (number + 1, at.astimezone(UTC).isoformat(), action, json.dumps(details, sort_keys=True))
    entry = Entry(*content, previous, _hash(*content, previous))
    connection.execute(sa.insert(AUDIT).values(vars(entry)))
    return entry


def entries(store: Store) -> list[Entry]:
    """All entries, oldest first."""
    with store.begin() as connection:
        rows = connection.execute(sa.select(AUDIT).order_by(AUDIT.c.entry)).mappings().all()
    return [Entry(**row) for row in rows]


def first_damaged_entry(log: list[Entry]) -> int | None:
    """Number of the first entry that was changed, or that follows a missing one; None when the log is intact."""
    previous = BEFORE_THE_FIRST
    for number, one in enumerate(log, 1):
        content = (one.entry, one.at, one.action, one.details)
        if one.entry != number or one.previous != previous or one.hash != _hash(*content, previous):
            return number
        previous = one.hash
    return None


def _hash(entry: int, at: str, action: str, details: str, previous: str) -> str:
    return hashlib.sha256(json.dumps([entry, at, action, details, previous]).encode()).hexdigest()


def _lock_log(connection: sa.Connection) -> None:
    """Keep other processes from appending until this transaction ends."""
    if connection.dialect.name == "sqlite":  # why: a write, although of no row, takes SQLite's lock
        connection.execute(sa.update(WORKSPACE).where(sa.false()).values(value=WORKSPACE.c.value))
    else:
        connection.execute(sa.text("lock table audit in share row exclusive mode"))
