"""Users, teams, roles and one's own account, as their pages show them; what changes them is a page's form."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request

from patron.answers.access.team import Account, RoleRights, Team, User, account, people, role_rights, teams
from patron.answers.data.workspace_settings import WorkspaceSettings, workspace_settings
from patron.interfaces.http.access.access_control import GuardedRoute, needs, needs_sign_in, session_of
from patron.interfaces.http.answer_cache import answers_of
from patron.schema.access.access_rights import Action, Area

router = APIRouter(prefix="/api", tags=["access"], route_class=GuardedRoute)


@router.get("/account")
@needs_sign_in
def my_account(request: Request) -> Account:
    """Account and open sessions of the person who signed in."""
    return account(answers_of(request).shop, session_of(request).actor.user_id, now=datetime.now(UTC))


@router.get("/users")
@needs(Action.READ, Area.ACCESS)
def list_users(request: Request) -> tuple[User, ...]:
    """Everybody who may sign in, is invited or was disabled."""
    return people(answers_of(request).shop)


@router.get("/users/{user_id}")
@needs(Action.READ, Area.ACCESS)
def show_user(request: Request, user_id: str) -> Account:
    """One user with open sessions."""
    return account(answers_of(request).shop, user_id, now=datetime.now(UTC))


@router.get("/teams")
@needs(Action.READ, Area.ACCESS)
def list_teams(request: Request) -> tuple[Team, ...]:
    """Every team and the segment whose customers it sees."""
    return teams(answers_of(request).shop)


@router.get("/settings")
@needs(Action.READ, Area.SETTINGS)
def settings(request: Request) -> WorkspaceSettings:
    """The shop and its ways to customers as the files have them; of secrets only whether they are there."""
    return workspace_settings(answers_of(request).shop)


@router.get("/roles")
@needs(Action.READ, Area.ACCESS)
def list_roles() -> tuple[RoleRights, ...]:
    """What each role may do, by area."""
    return role_rights()
