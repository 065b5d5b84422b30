"""The audit log as people read it: filtered, a page at a time, newest first, and whether its chain is intact."""

from dataclasses import dataclass

from patron.govern.access.audit_entries import AuditEntry, AuditQuery, count_entries, find_entries, known_actions
from patron.govern.access.audit_log import check_log
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.log_check import LogCheck
from patron.storage.shop import Shop

PAGE_LENGTH = 25


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
    matching = find_entries(shop, query, length + 1)
    entries = tuple(matching[:length])
    next_before = entries[-1].entry if len(matching) > length else None
    return AuditPage(query, entries, next_before, count_entries(shop, query), known_actions(shop))


@operation(Right(Action.READ, Area.AUDIT), "GET /api/audit/verification")
def verify_audit_log(shop: Shop) -> LogCheck:
    """Whether every entry is as it was written, up to the last."""
    return check_log(shop)
