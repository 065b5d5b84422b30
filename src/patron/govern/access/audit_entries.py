"""Entries of the audit log that match a query, newest first."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from patron.govern.access.audit_texts import TAG, known_texts, with_texts
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT


@dataclass(frozen=True)
class AuditQuery:
    """Which entries to list; what is empty filters nothing."""

    action: str = ""
    by: str = ""
    """Part of the name of who did it; case matters."""
    since: datetime | None = None
    until: datetime | None = None
    """Entries before this time."""
    before: int | None = None
    """Entries before the one of this number: where the next page begins."""


@dataclass(frozen=True)
class AuditEntry:
    """One thing that somebody did."""

    entry: int
    at: datetime
    action: str
    by: str
    """Empty where nobody is known: older entries, sign-ins that failed, links of letters, what Patron does itself."""
    details: Mapping[str, Any]
    hash: str


def find_entries(shop: Shop, query: AuditQuery, length: int) -> list[AuditEntry]:
    """Entries that match, newest first."""
    matching = _matching(query).order_by(AUDIT.c.entry.desc()).limit(length)
    with shop.store.begin() as connection:
        entries = [_entry_of(row) for row in connection.execute(matching).mappings()]
        if any(TAG in entry.details for entry in entries):
            known = known_texts(shop, connection)
            entries = [replace(entry, details=with_texts(entry.details, known)) for entry in entries]
    return entries


def count_entries(shop: Shop, query: AuditQuery) -> int:
    """How many entries match, on all pages."""
    matching = _matching(replace(query, before=None)).subquery()
    with shop.store.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(matching)) or 0


def known_actions(shop: Shop) -> tuple[str, ...]:
    """Every action in the log, by name."""
    with shop.store.begin() as connection:
        return tuple(connection.scalars(sa.select(AUDIT.c.action).distinct().order_by(AUDIT.c.action)))


def _matching(query: AuditQuery) -> sa.Select[Any]:
    chosen = sa.select(AUDIT)
    if query.action:
        chosen = chosen.where(AUDIT.c.action == query.action)
    if query.by:
        name = re.escape(json.dumps(query.by)[1:-1])  # why: details are JSON in ASCII
        chosen = chosen.where(AUDIT.c.details.regexp_match(f'"by": "[^"]*{name}'))
    # why: every time is written in UTC, the beginnings of texts are in the order of the times
    if query.since:
        chosen = chosen.where(AUDIT.c.at >= _second(query.since))
    if query.until:
        chosen = chosen.where(AUDIT.c.at < _second(query.until))
    return chosen if query.before is None else chosen.where(AUDIT.c.entry < query.before)


def _second(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _entry_of(row: sa.RowMapping) -> AuditEntry:
    details = json.loads(row["details"])
    by = str(details.pop("by", ""))
    return AuditEntry(
        row["entry"], datetime.fromisoformat(row["at"]), action=row["action"], by=by, details=details, hash=row["hash"]
    )
