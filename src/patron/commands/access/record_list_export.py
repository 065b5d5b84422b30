"""The audit log's entry about a list that somebody takes out as a file."""

from datetime import datetime

from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction, ExportedList
from patron.storage.shop import Shop


def record_list_export(shop: Shop, name: ExportedList, *, row_count: int, query: str, by: str, now: datetime) -> None:
    """Record it before they get the file; `query` holds no personal value."""
    details = {"list": name.value, "row_count": row_count, "query": query, "by": by}
    with shop.store.begin() as connection:
        audit_log.append(shop, connection, AuditAction.LIST_EXPORTED, details, at=now)
