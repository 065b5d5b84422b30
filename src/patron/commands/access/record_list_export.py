"""The audit log's entry about a list that somebody takes out as a file."""

from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction, ExportedList


def record_list_export(context: RequestContext, name: ExportedList, *, row_count: int, query: str) -> None:
    """Record it before they get the file; `query` holds no personal value."""
    details = {"list": name.value, "row_count": row_count, "query": query}
    with context.shop.store.begin() as connection:
        context.record(connection, AuditAction.LIST_EXPORTED, details)
