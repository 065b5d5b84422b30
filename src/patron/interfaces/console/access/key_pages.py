"""Settings: API keys of programs, what each may do, until when, and when it was last used."""

from datetime import UTC, datetime
from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.access.team import people, segment_choices
from patron.commands.access.manage_keys import (
    DEFAULT_DAYS,
    KeyKind,
    NewKey,
    create_key,
    grantable_rights,
    list_keys,
    revoke_key,
    rotate_key,
)
from patron.commands.access.user_account import is_confirmed
from patron.interfaces.console.access.account_pages import ask_password
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs,
)
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import BadKeyTerms, NotFound

router = APIRouter(route_class=GuardedRoute)
HERE = "settings"
KEYS, NEW = "/settings/keys", "/settings/keys/new"
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
LIFETIMES = (30, 90, DEFAULT_DAYS, 730)
"""Days to choose from."""
MAX_NUMBER = 999
FIELDS = {"--source": "source", "--scope": "scope", "--segment": "segment"}
"""Field of the form that a refusal is about."""


@router.get(KEYS)
@needs(Action.READ, Area.ACCESS)
def keys_page(request: Request) -> Response:
    """Every key."""
    return _keys(request)


@router.get(NEW)
@needs(Action.ADMINISTER, Area.ACCESS)
def new_key_page(request: Request) -> Response:
    """The form of a new key of a kind."""
    kind = request.query_params.get("kind", "")
    return _password_question(request) or _form(request, kind if kind in KINDS else KINDS[0])


@router.post(NEW)
@needs(Action.ADMINISTER, Area.ACCESS)
def create_key_now(request: Request) -> Response:
    """Create a key; it is shown this once."""
    if question := _password_question(request):
        return question
    form = form_of(request)
    kind: KeyKind | None = next((one for one in KINDS if one == form.get("kind")), None)
    if kind is None:
        return _form(request, KINDS[0], "kind")
    chosen = {str(one) for one in request.state.form.getlist("scope")}
    scopes = None if chosen == {str(right) for right in grantable_rights(actor_of(request), kind)} else sorted(chosen)
    days = bounded_integer(form.get("days", ""), 1, MAX_NUMBER)
    options: dict[str, Any] = {"scopes": scopes, "days": days, "segment": form.get("segment", "")}
    try:
        key = create_key(context_of(request), form.get("source", ""), kind, **options)
    except BadKeyTerms as error:
        return _form(request, kind, FIELDS.get(error.where, "days"))
    except NotFound:
        return _form(request, kind, "segment")
    return _secret(request, key)


@router.post(f"{KEYS}/{{key_id}}/rotate")
@needs(Action.ADMINISTER, Area.ACCESS)
def rotate_key_now(request: Request, key_id: str) -> Response:
    """Create a key like this one, which works for a day more."""
    if question := _password_question(request):
        return question
    try:
        return _secret(request, rotate_key(context_of(request), key_id), rotated=key_id)
    except NotFound as error:
        return _keys(request, is_unknown=True, status=status_of(error))


@router.post(f"{KEYS}/{{key_id}}/revoke")
@needs(Action.ADMINISTER, Area.ACCESS)
def revoke_key_now(request: Request, key_id: str) -> Response:
    """Refuse a key from now on."""
    if question := _password_question(request):
        return question
    try:
        revoke_key(context_of(request), key_id)
    except NotFound as error:
        return _keys(request, is_unknown=True, status=status_of(error))
    return RedirectResponse(KEYS, 303)


def _console(request: Request) -> Console:
    return request.app.state.console


def _password_question(request: Request) -> Response | None:
    session = request.state.session
    return ask_password(request, KEYS) if session and not is_confirmed(session, now=datetime.now(UTC)) else None


def _keys(request: Request, *, is_unknown: bool = False, status: int = 200) -> Response:
    now = datetime.now(UTC)
    listed = sorted(list_keys(_console(request).answers.shop), key=lambda key: not key.is_valid(now))
    owners = {person.user_id: person for person in people(_console(request).answers.shop)}
    values: dict[str, Any] = {"keys": listed, "owners": owners, "now": now, "is_unknown": is_unknown, "tab": "keys"}
    return _console(request).page(request, "access/keys.html", here=HERE, twin="/api/keys", status=status, **values)


def _form(request: Request, kind: str, problem: str = "") -> Response:
    maker = actor_of(request)
    rights = grantable_rights(maker, kind)
    areas = [area for area in Area if any(right.area == area for right in rights)]
    actions = [action for action in Action if any(right.action == action for right in rights)]
    cells = {
        area: [str(Right(action, area)) if Right(action, area) in rights else "" for action in actions]
        for area in areas
    }
    form = form_of(request) if problem else {}
    chosen = {str(one) for one in request.state.form.getlist("scope")} if problem else {str(right) for right in rights}
    values: dict[str, Any] = {"kind": kind, "kinds": KINDS, "actions": actions, "cells": cells, "chosen": chosen}
    values |= {"lifetimes": LIFETIMES, "days": form.get("days", "" if kind == "write" else str(DEFAULT_DAYS))}
    segments = () if maker.segment or kind == "write" else segment_choices(_console(request).answers.shop)
    values |= {"segments": [(segment, segment) for segment in segments], "segment": form.get("segment", "")}
    values |= {"source": form.get("source", ""), "problem": problem}
    return _console(request).page(request, "access/key_new.html", here=HERE, status=422 if problem else 200, **values)


def _secret(request: Request, key: NewKey, *, rotated: str = "") -> Response:
    return _console(request).page(request, "access/key_secret.html", here=HERE, key=key, rotated=rotated)
