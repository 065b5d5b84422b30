"""The audit log for programs."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import Query, Request
from fastapi.responses import Response

from patron.answers.access.audit_trail import PAGE_LENGTH, AuditPage, AuditQuery, audit_trail, verify_audit_log
from patron.commands.access.export_audit_log import export_audit_log
from patron.interfaces.http.access.access_control import actor_of, context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.csv_answers import csv_answer
from patron.interfaces.http.operation_routes import operation_routes
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.list_pages import BeforeEntry, Cursor, CursorText, Limit

MAX_NAME_LENGTH = 100

router = operation_routes("audit", (verify_audit_log,))


@dataclass(frozen=True)
class AuditCursorPage(AuditPage):
    """Some entries, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


@router.get("/api/audit", response_model=AuditCursorPage)
@needs(Action.READ, Area.AUDIT)
def entries(  # noqa: PLR0913, PLR0917 - one argument for each parameter
    request: Request,
    action: Annotated[str, Query(max_length=MAX_NAME_LENGTH)] = "",
    by: Annotated[str, Query(max_length=MAX_NAME_LENGTH, description="Part of the name of who did it.")] = "",
    since: Annotated[date | None, Query(description="First day, by the shop's clock.")] = None,
    until: Annotated[date | None, Query(description="Last day, by the shop's clock.")] = None,
    before: BeforeEntry = None,
    cursor: CursorText = "",
    limit: Limit = None,
    format: Literal["json", "csv"] = "json",  # noqa: A002 - the name in the address
) -> AuditCursorPage | Response:
    """Entries of the audit log, newest first; as CSV all that match, which the log records."""
    shop = answers_of(request).shop
    if cursor:
        (before,) = Cursor.in_list(cursor, "audit", int).place
    query = audit_query(shop.settings.shop.time_zone, action, by, since, until, before)
    if format == "csv":
        actor_of(request).require(Right(Action.EXPORT, Area.AUDIT))
        rows = export_audit_log(context_of(request), query)
        return csv_answer(rows, "audit-log.csv")
    trail = audit_trail(shop, query, length=limit or PAGE_LENGTH)
    following = str(Cursor("audit", (trail.next_before,))) if trail.next_before else None
    return AuditCursorPage(**vars(trail), next_cursor=following)


def audit_query(
    zone: str, action: str, by: str, since: date | None, until: date | None, before: int | None
) -> AuditQuery:
    """A query whose days are those of the shop's clock."""
    midnight = time(tzinfo=ZoneInfo(zone))
    first = datetime.combine(since, midnight) if since else None
    after = datetime.combine(until + timedelta(days=1), midnight) if until and until < date.max else None
    return AuditQuery(action, by.strip(), first, after, before)
