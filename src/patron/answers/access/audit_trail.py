"""The audit log as people read it: filtered, a page at a time, newest first, and whether its chain is intact."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from patron.govern.access.audit_entries import AuditEntry, AuditQuery, count_entries, find_entries, known_actions
from patron.govern.access.audit_log import check_log
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.log_check import LogCheck
from patron.schema.list_pages import Cursor
from patron.storage.shop import Shop

PAGE_LENGTH = 25
MAX_NAME_LENGTH = 100


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
    return AuditPage(
        query, entries, next_before=next_before, total_count=count_entries(shop, query), actions=known_actions(shop)
    )


@dataclass(frozen=True)
class AuditCursorPage(AuditPage):
    """Some entries, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


def audit_page(shop: Shop, query: AuditQuery, cursor: str = "", limit: int | None = None) -> AuditCursorPage:
    """A page of entries that match, from a cursor on. Raises BadQuery."""
    trail = audit_trail(shop, from_cursor(query, cursor), length=limit or PAGE_LENGTH)
    following = str(Cursor("audit", (trail.next_before,))) if trail.next_before else None
    return AuditCursorPage(**vars(trail), next_cursor=following)


def from_cursor(query: AuditQuery, cursor: str) -> AuditQuery:
    """A query for what follows a cursor; without one as it is. Raises BadQuery."""
    return replace(query, before=Cursor.in_list(cursor, "audit", int).place[0]) if cursor else query


def audit_query(
    zone: str, action: str, by: str, since: date | None, until: date | None, before: int | None
) -> AuditQuery:
    """A query whose days are those of the shop's clock."""
    midnight = time(tzinfo=ZoneInfo(zone))
    first = datetime.combine(since, midnight) if since else None
    after = datetime.combine(until + timedelta(days=1), midnight) if until and until < date.max else None
    return AuditQuery(action, by.strip(), since=first, until=after, before=before)


@operation(Right(Action.READ, Area.AUDIT), "GET /api/audit/verification")
def verify_audit_log(shop: Shop) -> LogCheck:
    """Whether every entry is as it was written, up to the last."""
    return check_log(shop)
