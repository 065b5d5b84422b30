"""Single sign-on: to the issuer by a button, and back.

A form leads to a page of ours that goes on by itself: the policy of content allows forms to this console only, and a
browser holds it against every redirect that follows a form, those of the issuer to others included.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.commands.access.sign_in import SignIn
from patron.commands.access.single_sign_on import IssuerCallback, Purpose, begin_single_sign_on, complete_single_sign_on
from patron.interfaces.console.access.account_pages import confirm_again, show_account
from patron.interfaces.console.access.sign_in_pages import show_entrance, show_sign_in
from patron.interfaces.http.access.access_control import GuardedRoute, form_of, needs_nothing, needs_sign_in, session_of
from patron.interfaces.http.access.session_cookies import (
    FormBeforeSignIn,
    browser_of,
    enter,
    issuer_cookie,
    limits_of,
    path_of_ours,
    session_secret,
)
from patron.schema.errors import AccessProblem
from patron.storage.shop import Shop

router = APIRouter(route_class=GuardedRoute)
CALLBACK = "/sign-in/sso/callback"
LASTS = timedelta(minutes=10)
MAX_PARAMETER_LENGTH = 4_000


@router.post("/sign-in/sso")
@needs_nothing
def go_to_issuer(request: Request, form: FormBeforeSignIn) -> Response:
    """Go to the issuer, to sign in."""
    after = path_of_ours(form.get("next", ""))
    try:
        return _go(request, Purpose.SIGN_IN, path=after)
    except AccessProblem as problem:
        return show_sign_in(request, problem, after=after)


@router.post("/join/{link}/sso")
@needs_nothing
def join_by_issuer(request: Request, link: str, form: FormBeforeSignIn) -> Response:  # noqa: ARG001 - of this console
    """Go to the issuer, to accept an invitation."""
    try:
        return _go(request, Purpose.JOIN, link=link)
    except AccessProblem as problem:
        return show_sign_in(request, problem)


@router.post("/account/sso")
@needs_sign_in
def link_account(request: Request) -> Response:
    """Go to the issuer, to sign in by it from now on."""
    try:
        return _go(request, Purpose.LINK, session=session_of(request), path="/account?note=account_linked")
    except AccessProblem as problem:
        if problem.problem == "confirm_first":
            return confirm_again(request, "/account")
        return show_account(request, problem)


@router.post("/account/confirm/sso")
@needs_sign_in
def confirm_at_issuer(request: Request) -> Response:
    """Go to the issuer, to prove again who one is."""
    after = path_of_ours(form_of(request).get("next", ""))
    try:
        return _go(request, Purpose.CONFIRM, session=session_of(request), path=after)
    except AccessProblem as problem:
        return confirm_again(request, after, problem)


@router.get(CALLBACK)
@needs_nothing
def complete(request: Request) -> Response:
    """Go on after the issuer: signed in, linked, joined or confirmed."""
    parameters = request.query_params
    state, code, error, issuer = (
        parameters.get(name, "")[:MAX_PARAMETER_LENGTH] for name in ("state", "code", "error", "iss")
    )
    callback = IssuerCallback(
        state, code, error=error, issuer=issuer, secret=request.cookies.get(issuer_cookie(request), "")
    )
    session = request.state.session
    options: dict[str, Any] = {"session": session, "replaces": session_secret(request), "now": datetime.now(UTC)}
    try:
        result = complete_single_sign_on(_shop(request), callback, browser_of(request), **options)
    except AccessProblem as problem:
        answer = show_account(request, problem) if session else show_sign_in(request, problem)
    else:
        answer = _go_on(request, result.signed_in, result.path)
    answer.delete_cookie(issuer_cookie(request), path="/", secure=request.url.scheme == "https", httponly=True)
    return answer


def _go_on(request: Request, signed_in: SignIn | None, path: str) -> Response:
    if signed_in is None:
        return RedirectResponse(path, 303)
    if signed_in.ticket:
        return show_entrance(request, "access/sign_in_code.html", next=path, ticket=signed_in.ticket)
    return enter(request, _shop(request), signed_in, path)


def _go(request: Request, purpose: Purpose, **options: Any) -> Response:
    """A page that goes on to the issuer, with the cookie by which this browser is known again."""
    shop = _shop(request)
    address = browser_of(request).address
    now = datetime.now(UTC)
    redirect = begin_single_sign_on(
        shop, purpose, _callback(request), address, limits=limits_of(request), now=now, **options
    )
    name = shop.settings.oidc.label
    answer = show_entrance(request, "access/to_issuer.html", url=redirect.url, issuer_name=name)
    answer.set_cookie(
        issuer_cookie(request),
        redirect.secret,
        max_age=int(LASTS.total_seconds()),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def _callback(request: Request) -> str:
    """Address at which the issuer leads back: under the name of the settings, or that of this machine."""
    public = _shop(request).settings.access.public_url
    if public and request.url.hostname == urlsplit(public).hostname:
        return public + CALLBACK
    return f"{request.url.scheme}://{request.headers.get('host', '')}{CALLBACK}"


def _shop(request: Request) -> Shop:
    return request.app.state.console.answers.shop
