"""Users, teams, roles, settings and keys for programs, and one's own account."""

from datetime import UTC, datetime

from fastapi import Request

from patron.answers.access.team import Account, account, people, role_rights, teams
from patron.answers.data.workspace_settings import workspace_settings
from patron.commands.access.manage_keys import create_key, list_keys, revoke_key, rotate_key
from patron.interfaces.http.access.access_control import needs_sign_in, session_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.operation_routes import operation_routes

router = operation_routes(
    "access",
    (list_keys, create_key, rotate_key, revoke_key, people, account, teams, workspace_settings, role_rights),
)


@router.get("/api/account")
@needs_sign_in
def my_account(request: Request) -> Account:
    """Account and open sessions of the person who signed in."""
    return account(answers_of(request).shop, session_of(request).actor.user_id, now=datetime.now(UTC))
