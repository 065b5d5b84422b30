"""Users, teams, roles, settings, keys and the audit log for programs, and one's own account."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import Query, Request
from fastapi.responses import Response

from patron.answers.access.audit_trail import (
    MAX_NAME_LENGTH,
    AuditCursorPage,
    audit_page,
    audit_query,
    from_cursor,
    verify_audit_log,
)
from patron.answers.access.team import Account, account, people, role_rights, teams
from patron.answers.data.workspace_settings import workspace_settings
from patron.commands.access.export_audit_log import export_audit_log
from patron.commands.access.manage_keys import create_key, list_keys, revoke_key, rotate_key
from patron.interfaces.http.access.access_control import actor_of, context_of, needs, needs_sign_in, session_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.csv_answers import csv_answer
from patron.interfaces.http.operation_routes import operation_routes
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.list_pages import BeforeEntry, CursorText, Limit

router = operation_routes(
    list_keys,
    create_key,
    rotate_key,
    revoke_key,
    people,
    account,
    teams,
    workspace_settings,
    role_rights,
    verify_audit_log,
)


@router.get("/api/account")
@needs_sign_in
def my_account(request: Request) -> Account:
    """Account and open sessions of the person who signed in."""
    return account(answers_of(request).shop, session_of(request).actor.user_id, now=datetime.now(UTC))


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
    query = audit_query(shop.settings.shop.time_zone, action, by, since, until, before)
    if format == "json":
        return audit_page(shop, query, cursor, limit)
    actor_of(request).require(Right(Action.EXPORT, Area.AUDIT))
    return csv_answer(export_audit_log(context_of(request), from_cursor(query, cursor)), "audit-log.csv")
