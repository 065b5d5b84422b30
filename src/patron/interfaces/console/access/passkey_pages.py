"""Passkeys: signing in by one, adding and removing one's own, and confirming by one who signed in a while ago."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from patron.commands.access.passkeys import (
    PasskeyPlace,
    add_passkey,
    confirm_with_passkey,
    confirmation_options,
    new_passkey_options,
    remove_passkey,
    sign_in_options,
    sign_in_with_passkey,
)
from patron.commands.access.user_account import is_confirmed
from patron.interfaces.console.access.account_pages import ask_password, confirm_again, problem_values, show_account
from patron.interfaces.console.access.sign_in_pages import show_sign_in
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import GuardedRoute, form_of, needs_nothing, needs_sign_in, session_of
from patron.interfaces.http.access.session_cookies import (
    FormBeforeSignIn,
    browser_of,
    enter,
    limits_of,
    path_of_ours,
    session_secret,
)
from patron.interfaces.http.access.sign_in_methods import place_of, sign_in_methods
from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

PASSKEY_NEEDS_NAME = Sentence(
    "passkey_needs_name", "browsers accept passkeys for host names only, not for IP addresses"
)
USE_LOCALHOST = Sentence("use_localhost", "Use localhost.")

router = APIRouter(route_class=GuardedRoute)
ACCOUNT, NEW = "/account", "/account/passkeys/new"


@router.post("/sign-in/passkey/options")
@needs_nothing
def options_to_sign_in(request: Request, form: FormBeforeSignIn) -> Response:  # noqa: ARG001 - that it is of this console
    """What the script needs to ask the browser for a passkey."""
    address = browser_of(request).address
    return _options(
        lambda: sign_in_options(
            _shop(request), _place(request), address, limits=limits_of(request), now=datetime.now(UTC)
        )
    )


@router.post("/sign-in/passkey")
@needs_nothing
def sign_in_by_passkey(request: Request, form: FormBeforeSignIn) -> Response:
    """Sign in by a passkey."""
    shop, after = _shop(request), path_of_ours(form.get("next", ""))
    options: dict[str, Any] = {"limits": limits_of(request), "replaces": session_secret(request)}
    try:
        signed_in = sign_in_with_passkey(
            shop, _place(request), form.get("answer", ""), browser_of(request), now=datetime.now(UTC), **options
        )
    except AccessProblem as problem:
        return show_sign_in(request, problem, after=after)
    return enter(request, shop, signed_in, after)


@router.get(NEW)
@needs_sign_in
def new_passkey_page(request: Request) -> Response:
    """The form of a new passkey."""
    if not is_confirmed(session_of(request), now=datetime.now(UTC)):
        return ask_password(request)
    return _new(request)


@router.post("/account/passkeys/options")
@needs_sign_in
def options_of_new_passkey(request: Request) -> Response:
    """What the script needs to let the browser make a passkey."""
    session = session_of(request)
    return _options(lambda: new_passkey_options(_shop(request), session, _place(request), now=datetime.now(UTC)))


@router.post("/account/passkeys")
@needs_sign_in
def add_my_passkey(request: Request) -> Response:
    """Add the passkey that the browser made."""
    form, session = form_of(request), session_of(request)
    answer, name = form.get("answer", ""), form.get("name", "")
    try:
        add_passkey(_shop(request), session, _place(request), answer, name=name, now=datetime.now(UTC))
    except AccessProblem as problem:
        return _new(request, problem, name=name)
    return RedirectResponse(f"{ACCOUNT}?note=passkey_added", 303)


@router.post("/account/passkeys/remove")
@needs_sign_in
def remove_my_passkey(request: Request) -> Response:
    """Take a passkey away."""
    session = session_of(request)
    if not is_confirmed(session, now=datetime.now(UTC)):
        return ask_password(request, ACCOUNT)
    try:
        remove_passkey(_shop(request), session, form_of(request).get("passkey", ""), now=datetime.now(UTC))
    except AccessProblem as problem:
        return show_account(request, problem)
    return RedirectResponse(f"{ACCOUNT}?note=passkey_removed", 303)


@router.post("/account/confirm/passkey/options")
@needs_sign_in
def options_to_confirm(request: Request) -> Response:
    """What the script needs to ask for a passkey again."""
    session = session_of(request)
    return _options(lambda: confirmation_options(_shop(request), session, _place(request), now=datetime.now(UTC)))


@router.post("/account/confirm/passkey")
@needs_sign_in
def confirm_by_passkey(request: Request) -> Response:
    """Note that somebody proved again who they are."""
    form = form_of(request)
    session = session_of(request)
    shop = _shop(request)
    answer, options = form.get("answer", ""), {"limits": limits_of(request), "now": datetime.now(UTC)}
    try:
        confirm_with_passkey(shop, session, _place(request), answer, **options)
    except AccessProblem as problem:
        return confirm_again(request, form.get("next", ""), problem)
    return RedirectResponse(path_of_ours(form.get("next", "")), 303)


def _shop(request: Request) -> Shop:
    return request.app.state.console.answers.shop


def _place(request: Request) -> PasskeyPlace:
    """Where this page may use passkeys. Raises AccessProblem where no browser does."""
    place = place_of(request)
    if place is None:
        raise AccessProblem("passkey_wrong", PASSKEY_NEEDS_NAME, todo=USE_LOCALHOST)
    return place


def _options(prepare: Callable[[], dict[str, Any]]) -> Response:
    """Options for the script, or what is wrong."""
    try:
        return JSONResponse(prepare())
    except AccessProblem as problem:
        return JSONResponse(dict(problem_values(problem)), problem.status)


def _new(request: Request, problem: AccessProblem | None = None, *, name: str = "") -> Response:
    console: Console = request.app.state.console
    status = problem.status if problem else 200
    values = {"person": name, **sign_in_methods(request), **problem_values(problem)}
    return console.page(request, "access/passkey_new.html", status=status, **values)
