"""The audit log as people read it: filtered, a page at a time, newest first, and whether its chain is intact."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from patron.govern.audit_log import LogCheck, check_log
from patron.storage.safe_csv import safe_cell
from patron.storage.shop import Shop
from patron.storage.store import AUDIT

PAGE_LENGTH = 50
MOST_ROWS = 100_000
"""Most entries of one CSV file."""
HEADER = ("entry", "at", "action", "by", "details", "hash")


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
    """Empty where nobody is known: older entries, and what Patron does itself."""
    details: Mapping[str, Any]
    hash: str


@dataclass(frozen=True)
class AuditPage:
    """Some entries, newest first."""

    query: AuditQuery
    entries: tuple[AuditEntry, ...]
    next_before: int | None
    """Where the next page begins; None at the end."""
    total_count: int
    """Entries that match, on all pages."""
    actions: tuple[str, ...]
    """Every action in the log."""


def audit_trail(shop: Shop, query: AuditQuery, *, length: int = PAGE_LENGTH) -> AuditPage:
    """Entries that match, newest first."""
    matching = _matching(query)
    counted = sa.select(sa.func.count()).select_from(_matching(replace(query, before=None)).subquery())
    with shop.store.begin() as connection:
        rows = connection.execute(matching.order_by(AUDIT.c.entry.desc()).limit(length + 1)).mappings().all()
        total = connection.scalar(counted) or 0
        actions = tuple(connection.scalars(sa.select(AUDIT.c.action).distinct().order_by(AUDIT.c.action)))
    entries = tuple(_entry_of(row) for row in rows[:length])
    return AuditPage(query, entries, entries[-1].entry if len(rows) > length else None, total, actions)


def verify_audit_log(shop: Shop) -> LogCheck:
    """Whether every entry of the audit log is as it was written, up to the last."""
    return check_log(shop)


def audit_rows(page: AuditPage) -> Iterator[tuple[str, ...]]:
    """The entries as rows of a CSV file, the header first; no cell is a formula."""
    yield HEADER
    for one in page.entries:
        details = json.dumps(one.details, sort_keys=True, ensure_ascii=False)
        cells = (str(one.entry), one.at.isoformat(), one.action, one.by, details, one.hash)
        yield tuple(safe_cell(cell) for cell in cells)


def _matching(query: AuditQuery) -> sa.Select[Any]:
    chosen = sa.select(AUDIT)
    if query.action:
        chosen = chosen.where(AUDIT.c.action == query.action)
    if query.by:
        # why: details are JSON in ASCII
        chosen = chosen.where(AUDIT.c.details.regexp_match(_by_pattern(query.by)))
    # why: every time is written in UTC, with the same digits but for those of a whole second
    if query.since:
        chosen = chosen.where(AUDIT.c.at >= query.since.astimezone(UTC).isoformat(timespec="seconds")[:19])
    if query.until:
        chosen = chosen.where(AUDIT.c.at < query.until.astimezone(UTC).isoformat(timespec="seconds")[:19])
    return chosen if query.before is None else chosen.where(AUDIT.c.entry < query.before)


def _entry_of(row: sa.RowMapping) -> AuditEntry:
    details = json.loads(row["details"])
    by = str(details.pop("by", ""))
    return AuditEntry(row["entry"], datetime.fromisoformat(row["at"]), row["action"], by, details, row["hash"])


def _by_pattern(name: str) -> str:
    return f'"by": "[^"]*{re.escape(json.dumps(name)[1:-1])}'
