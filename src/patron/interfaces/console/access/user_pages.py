"""Settings: who works here, what they may do, and teams that see the customers of a segment."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.access.team import User, account, people, role_rights, segment_choices, teams
from patron.commands.access.manage_users import (
    RESET_LASTS,
    Access,
    UserLink,
    delete_team,
    disable,
    enable,
    invite,
    invite_again,
    parse_grants,
    parse_roles,
    remove_second_factor,
    reset_link,
    save_team,
    set_access,
    unlink_accounts,
)
from patron.commands.access.user_account import is_confirmed
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.access.account_pages import ask_password, problem_values
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.access.session_cookies import link_address
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.user_mail_texts import invitation_mail
from patron.schema.access.access_rights import TABLE, Action, Area, Grant, Role
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import AccessProblem

router = APIRouter(route_class=GuardedRoute)
HERE = "settings"
USERS = "/settings/users"
TEAMS = "/settings/teams"
INVITE = "/settings/users/invite"
NOTES = ("saved", "enabled", "disabled", "factor_removed", "unlinked")
HOUR_SECONDS = 3_600
FILE_COLUMNS = (
    "user_id",
    "email",
    "name",
    "roles",
    "grants",
    "team",
    "state",
    "has_second_factor",
    "created_at",
    "created_by",
    "signed_in_at",
)
NOTHING_CHOSEN = Access(())
"""An invitation before somebody has chosen roles: none is usual, as each lets somebody see other things."""
Change = Callable[[RequestContext, str], User]


@router.get("/settings")
@needs(Action.READ, Area.ACCESS)
def settings_page(request: Request) -> Response:
    """The first page of the settings, in the language that was asked for."""
    query = request.url.query
    return RedirectResponse(f"{USERS}?{query}" if query else USERS, 303)


@router.get("/settings/users")
@needs(Action.READ, Area.ACCESS)
def users_page(request: Request) -> Response:
    """Everybody who signs in."""
    require_known(request.query_params, ("format", *FRAME_PARAMETERS))
    listed = people(_console(request).answers.shop)
    if request.query_params.get("format") == "csv":
        rows = [fields_of(one) for one in listed]
        return list_file(request, ExportedList.USERS, rows, area=Area.ACCESS, columns=FILE_COLUMNS)
    return _console(request).page(request, "access/users.html", here=HERE, twin="/api/users", users=listed, tab="users")


@router.get("/settings/users/invite")
@needs(Action.ADMINISTER, Area.ACCESS)
def invite_page(request: Request) -> Response:
    """The form of an invitation."""
    return _password_question(request, INVITE) or _invite(request, NOTHING_CHOSEN)


@router.post("/settings/users/invite")
@needs(Action.ADMINISTER, Area.ACCESS)
def invite_now(request: Request) -> Response:
    """Invite somebody; the link is shown this once."""
    if question := _password_question(request, INVITE):
        return question
    shop, form = _console(request).answers.shop, form_of(request)
    letter = invitation_mail(shop, link_address(request, shop))
    access = NOTHING_CHOSEN
    try:
        access = _access(request)
        link = invite(context_of(request), form.get("email", ""), access, name=form.get("name", ""), compose=letter)
    except AccessProblem as problem:
        return _invite(request, access, problem)
    return _link(request, link, "invitation", shop.settings.access.invitation_hours)


@router.get("/settings/users/{user_id}")
@needs(Action.READ, Area.ACCESS)
def user_page(request: Request, user_id: str) -> Response:
    """One user."""
    note = request.query_params.get("note", "")
    return _user(request, user_id, note=note if note in NOTES else "")


@router.post("/settings/users/{user_id}")
@needs(Action.ADMINISTER, Area.ACCESS)
def change_user_access(request: Request, user_id: str) -> Response:
    """Change what a user may do."""
    if question := _password_question(request, f"{USERS}/{user_id}"):
        return question
    try:
        set_access(context_of(request), user_id, _access(request))
    except AccessProblem as problem:
        return _user(request, user_id, problem)
    return RedirectResponse(f"{USERS}/{user_id}?note=saved", 303)


@router.post("/settings/users/{user_id}/disable")
@needs(Action.ADMINISTER, Area.ACCESS)
def disable_user(request: Request, user_id: str) -> Response:
    """Keep a user out."""
    return _change(request, user_id, disable, "disabled")


@router.post("/settings/users/{user_id}/enable")
@needs(Action.ADMINISTER, Area.ACCESS)
def enable_user(request: Request, user_id: str) -> Response:
    """Let a user in again."""
    return _change(request, user_id, enable, "enabled")


@router.post("/settings/users/{user_id}/remove-factor")
@needs(Action.ADMINISTER, Area.ACCESS)
def remove_factor_of_user(request: Request, user_id: str) -> Response:
    """Take the second factor of a user away who lost it."""
    return _change(request, user_id, remove_second_factor, "factor_removed")


@router.post("/settings/users/{user_id}/unlink")
@needs(Action.ADMINISTER, Area.ACCESS)
def unlink_accounts_of_user(request: Request, user_id: str) -> Response:
    """Take the accounts of a user at issuers away."""
    return _change(request, user_id, unlink_accounts, "unlinked")


@router.post("/settings/users/{user_id}/reset-link")
@needs(Action.ADMINISTER, Area.ACCESS)
def show_reset_link(request: Request, user_id: str) -> Response:
    """A link for a new password, shown this once."""
    if question := _password_question(request, f"{USERS}/{user_id}"):
        return question
    try:
        link = reset_link(context_of(request), user_id)
    except AccessProblem as problem:
        return _user(request, user_id, problem)
    return _link(request, link, "reset", RESET_LASTS.total_seconds() / HOUR_SECONDS)


@router.post("/settings/users/{user_id}/invite")
@needs(Action.ADMINISTER, Area.ACCESS)
def invite_user_again(request: Request, user_id: str) -> Response:
    """A new link for somebody who has not joined."""
    if question := _password_question(request, f"{USERS}/{user_id}"):
        return question
    shop = _console(request).answers.shop
    letter = invitation_mail(shop, link_address(request, shop))
    try:
        link = invite_again(context_of(request), user_id, compose=letter)
    except AccessProblem as problem:
        return _user(request, user_id, problem)
    return _link(request, link, "invitation", shop.settings.access.invitation_hours)


@router.get("/settings/teams")
@needs(Action.READ, Area.ACCESS)
def teams_page(request: Request) -> Response:
    """Every team and its segment."""
    return _teams(request)


@router.post("/settings/teams")
@needs(Action.ADMINISTER, Area.ACCESS)
def save_one_team(request: Request) -> Response:
    """Make a team, or change its segment."""
    if question := _password_question(request, TEAMS):
        return question
    form = form_of(request)
    try:
        save_team(context_of(request), form.get("team", ""), segment=form.get("segment", ""))
    except AccessProblem as problem:
        return _teams(request, problem)
    return RedirectResponse(TEAMS, 303)


@router.post("/settings/teams/delete")
@needs(Action.ADMINISTER, Area.ACCESS)
def delete_one_team(request: Request) -> Response:
    """Delete a team without members."""
    if question := _password_question(request, TEAMS):
        return question
    team = form_of(request).get("team", "")
    try:
        delete_team(context_of(request), team)
    except AccessProblem as problem:
        return _teams(request, problem)
    return RedirectResponse(TEAMS, 303)


@router.get("/settings/roles")
@needs(Action.READ, Area.ACCESS)
def roles_page(request: Request) -> Response:
    """The table of roles and rights."""
    areas = [area for area in TABLE if any(TABLE[area])]
    values = {"roles": role_rights(), "areas": areas, "grants": tuple(Grant), "tab": "roles"}
    return _console(request).page(request, "access/roles.html", here=HERE, twin="/api/roles", **values)


def _console(request: Request) -> Console:
    return request.app.state.console


def _password_question(request: Request, path: str) -> Response | None:
    """The question for the password, where it was not entered lately, before a step that matters."""
    session = request.state.session
    if session is None or is_confirmed(session, now=datetime.now(UTC)):
        return None
    return ask_password(request, path)


def _access(request: Request) -> Access:
    """What a form grants. Raises AccessProblem."""
    form = request.state.form
    roles, grants = parse_roles(form.getlist("role")), parse_grants(form.getlist("grant"))
    return Access(roles, grants, str(form.get("team", "")))


def _change(request: Request, user_id: str, change: Change, note: str) -> Response:
    if question := _password_question(request, f"{USERS}/{user_id}"):
        return question
    try:
        change(context_of(request), user_id)
    except AccessProblem as problem:
        return _user(request, user_id, problem)
    return RedirectResponse(f"{USERS}/{user_id}?note={note}", 303)


def _choices(request: Request, access: Access) -> dict[str, Any]:
    listed = [(team.team, team.team) for team in teams(_console(request).answers.shop)]
    return {"access": access, "roles": tuple(Role), "grants": tuple(Grant), "teams": listed}


def _invite(request: Request, access: Access, problem: AccessProblem | None = None) -> Response:
    form = form_of(request) if problem else {}
    values = {"email": form.get("email", ""), "person": form.get("name", ""), **_choices(request, access)}
    values["hours"] = _console(request).answers.shop.settings.access.invitation_hours
    status = problem.status if problem else 200
    return _console(request).page(
        request, "access/user_invite.html", here=HERE, status=status, **values, **problem_values(problem)
    )


def _user(request: Request, user_id: str, problem: AccessProblem | None = None, *, note: str = "") -> Response:
    facts = account(_console(request).answers.shop, user_id, now=datetime.now(UTC))
    access = Access(facts.user.roles, facts.user.grants, facts.user.team)
    values = {"account": facts, "note": note, **_choices(request, access), **problem_values(problem)}
    status = problem.status if problem else 200
    return _console(request).page(
        request, "access/user.html", here=HERE, twin=f"/api/users/{facts.user.user_id}", status=status, **values
    )


def _link(request: Request, link: UserLink, kind: str, hours: float) -> Response:
    address = link_address(request, _console(request).answers.shop) + link.path
    values = {"link": address, "is_mailed": link.is_mailed, "user": link.user, "kind": kind, "hours": hours}
    return _console(request).page(request, "access/user_link.html", here=HERE, **values)


def _teams(request: Request, problem: AccessProblem | None = None) -> Response:
    shop = _console(request).answers.shop
    segments = [(name, name) for name in segment_choices(shop)]
    values = {"teams": teams(shop), "segments": segments, "tab": "teams", **problem_values(problem)}
    status = problem.status if problem else 200
    return _console(request).page(request, "access/teams.html", here=HERE, twin="/api/teams", status=status, **values)
