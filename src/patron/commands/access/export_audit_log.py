"""Entries of the audit log as rows of a CSV file, which the log itself records."""

import json
from collections.abc import Iterator

from patron.govern.access.audit_entries import AuditQuery, find_entries
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction

MAX_ROWS = 100_000
HEADER = ("entry", "at", "action", "by", "details", "hash")


def export_audit_log(context: RequestContext, query: AuditQuery) -> Iterator[tuple[str, ...]]:
    """Entries that match, newest first, after a header."""
    entries = find_entries(context.shop, query, MAX_ROWS)
    with context.shop.store.begin() as connection:
        context.record(connection, AuditAction.AUDIT_LOG_EXPORTED, {"entries": len(entries)})
    yield HEADER
    for entry in entries:
        details = json.dumps(entry.details, sort_keys=True, ensure_ascii=False)
        yield (str(entry.entry), entry.at.isoformat(), entry.action, entry.by, details, entry.hash)
