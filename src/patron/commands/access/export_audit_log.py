"""Entries of the audit log as rows of a CSV file, which the log itself records."""

import json
from collections.abc import Iterator
from datetime import datetime

from patron.govern.access import audit_log
from patron.govern.access.audit_entries import AuditQuery, find_entries
from patron.schema.access.audit_actions import AuditAction
from patron.storage.safe_csv import safe_cell
from patron.storage.shop import Shop

MAX_ROWS = 100_000
HEADER = ("entry", "at", "action", "by", "details", "hash")


def export_audit_log(shop: Shop, query: AuditQuery, *, by: str, now: datetime) -> Iterator[tuple[str, ...]]:
    """Entries that match, newest first, after a header; no cell is a formula."""
    entries = find_entries(shop, query, MAX_ROWS)
    with shop.store.begin() as connection:
        audit_log.append(shop, connection, AuditAction.AUDIT_LOG_EXPORTED, {"entries": len(entries)}, at=now, by=by)
    yield HEADER
    for entry in entries:
        details = json.dumps(entry.details, sort_keys=True, ensure_ascii=False)
        cells = (str(entry.entry), entry.at.isoformat(), entry.action, entry.by, details, entry.hash)
        yield tuple(safe_cell(cell) for cell in cells)
