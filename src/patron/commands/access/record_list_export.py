"""The audit log's entry about a list that somebody takes out as a file."""

from collections.abc import Iterable

from patron.govern.access.audit_texts import filter_names
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction, ExportedList


def record_list_export(
    context: RequestContext, name: ExportedList, *, row_count: int, filters: Iterable[str] = (), query: str = ""
) -> None:
    """Record it before they get the file, with the names of what was filtered by; `query` is a code of ours."""
    details = {"list": name.value, "row_count": row_count, "query": query or filter_names(filters)}
    with context.shop.store.begin() as connection:
        context.record(connection, AuditAction.LIST_EXPORTED, details)
