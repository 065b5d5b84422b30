"""The audit log's entry about a list that somebody takes out as a file."""

from datetime import datetime

from patron.govern.access import audit_log
from patron.storage.shop import Shop


def record_list_export(shop: Shop, name: str, *, row_count: int, query: str, by: str, now: datetime) -> None:
    """Record it before they get the file; `query` holds no personal value."""
    details = {"list": name, "row_count": row_count, "query": query, "by": by}
    with shop.store.begin() as connection:
        audit_log.append(shop, connection, "list exported", details, at=now)
