"""The page of one's account: name, language, password, second factor, and where one is signed in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import segno
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.access.team import account
from patron.commands.access.user_account import (
    FactorOffer,
    change_password,
    confirm,
    end_my_sessions,
    is_confirmed,
    offer_factor,
    renew_recovery_codes,
    same_offer,
    save_profile,
    turn_factor_off,
    turn_factor_on,
)
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import GuardedRoute, form_of, needs_sign_in, session_of
from patron.interfaces.http.access.session_cookies import leave, limits_of, path_of_ours, set_language
from patron.interfaces.http.access.sign_in_methods import sign_in_methods
from patron.interfaces.i18n import LOCALES
from patron.schema.errors import AccessProblem

router = APIRouter(route_class=GuardedRoute)
NOTES = ("saved", "password", "factor_off", "session_ended", "passkey_added", "passkey_removed", "account_linked")
GROUP = 4
"""Characters of a secret between blanks, for who types it."""
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))
"""Marks in the name that a browser gives itself, the first that fits, and what people call it."""


@router.get("/account")
@needs_sign_in
def account_page(request: Request) -> Response:
    """The account."""
    note = request.query_params.get("note", "")
    return show_account(request, note=note if note in NOTES else "")


@router.post("/account/profile")
@needs_sign_in
def save_my_profile(request: Request) -> Response:
    """Save name and language."""
    form = form_of(request)
    locale = form.get("locale", "") if form.get("locale", "") in LOCALES else ""
    shop, session = _console(request).answers.shop, session_of(request)
    try:
        save_profile(shop, session, name=form.get("name", ""), locale=locale, now=datetime.now(UTC))
    except AccessProblem as problem:
        return show_account(request, problem)
    answer = RedirectResponse("/account?note=saved", 303)
    set_language(answer, locale or shop.settings.shop.locale)
    return answer


@router.post("/account/password")
@needs_sign_in
def change_my_password(request: Request) -> Response:
    """Change the password."""
    form = form_of(request)
    passwords = (form.get("password", ""), form.get("new_password", ""))
    shop, session = _console(request).answers.shop, session_of(request)
    try:
        change_password(shop, session, *passwords, limits=limits_of(request), now=datetime.now(UTC))
    except AccessProblem as problem:
        return show_account(request, problem)
    return RedirectResponse("/account?note=password", 303)


@router.get("/account/second-factor")
@needs_sign_in
def second_factor_page(request: Request) -> Response:
    """A secret to scan, and the form for its first code."""
    session = session_of(request)
    if not is_confirmed(session, now=datetime.now(UTC)):
        return ask_password(request)
    try:
        offer = offer_factor(_console(request).answers.shop, session)
    except AccessProblem as problem:
        if problem.problem == "passkey_first":
            return confirm_again(request, "/", problem)
        return RedirectResponse("/account", 303)
    return _offer(request, offer, is_first="first" in request.query_params)


@router.post("/account/second-factor")
@needs_sign_in
def turn_my_factor_on(request: Request) -> Response:
    """Turn the second factor on, and show the recovery codes."""
    session, form = session_of(request), form_of(request)
    if not is_confirmed(session, now=datetime.now(UTC)):
        return ask_password(request)
    shop, sealed = _console(request).answers.shop, form.get("offer", "")
    try:
        codes = turn_factor_on(
            shop, session, sealed, form.get("code", ""), limits=limits_of(request), now=datetime.now(UTC)
        )
    except AccessProblem as problem:
        return _retry(request, sealed, problem)
    return _console(request).page(request, "access/recovery_codes.html", codes=codes)


@router.post("/account/second-factor/off")
@needs_sign_in
def turn_my_factor_off(request: Request) -> Response:
    """Turn the second factor off."""
    shop = _console(request).answers.shop
    session = session_of(request)
    password = form_of(request).get("password", "")
    try:
        turn_factor_off(shop, session, password, limits=limits_of(request), now=datetime.now(UTC))
    except AccessProblem as problem:
        return show_account(request, problem)
    return RedirectResponse("/account?note=factor_off", 303)


@router.post("/account/recovery-codes")
@needs_sign_in
def renew_my_codes(request: Request) -> Response:
    """Make new recovery codes, and show them."""
    shop = _console(request).answers.shop
    session = session_of(request)
    password = form_of(request).get("password", "")
    try:
        codes = renew_recovery_codes(shop, session, password, limits=limits_of(request), now=datetime.now(UTC))
    except AccessProblem as problem:
        return show_account(request, problem)
    return _console(request).page(request, "access/recovery_codes.html", codes=codes)


@router.post("/account/sessions/end")
@needs_sign_in
def end_sessions_of_mine(request: Request) -> Response:
    """End one session, or all others."""
    shop = _console(request).answers.shop
    session = session_of(request)
    chosen = form_of(request).get("session", "")
    end_my_sessions(shop, session, session_id=chosen, now=datetime.now(UTC))
    if chosen == session.session_id:
        return leave(request, "/sign-in?note=signed_out")
    return RedirectResponse("/account?note=session_ended", 303)


@router.get("/account/confirm")
@needs_sign_in
def confirm_page(request: Request) -> Response:
    """Ask for the password again before a step that matters."""
    return confirm_again(request, request.query_params.get("next", ""))


@router.post("/account/confirm")
@needs_sign_in
def confirm_password(request: Request) -> Response:
    """Note that the password was entered again."""
    shop = _console(request).answers.shop
    session = session_of(request)
    form = form_of(request)
    try:
        confirm(shop, session, form.get("password", ""), limits=limits_of(request), now=datetime.now(UTC))
    except AccessProblem as problem:
        return confirm_again(request, form.get("next", ""), problem)
    return RedirectResponse(path_of_ours(form.get("next", "")), 303)


def ask_password(request: Request, path: str = "") -> Response:
    """Lead to the question for the password, and then to a page: this one, or that of a form."""
    return RedirectResponse(f"/account/confirm?next={quote(path or request.url.path, safe='')}", 303)


def browser_name(text: str) -> str:
    """What people call a browser and its system, from the name that it gives itself."""
    browser = next((name for mark, name in BROWSERS if mark in text), "")
    system = next((name for mark, name in SYSTEMS if mark in text), "Linux" if "Linux" in text else "")
    return " · ".join(part for part in (browser, system) if part)


def _console(request: Request) -> Console:
    return request.app.state.console


def show_account(request: Request, problem: AccessProblem | None = None, *, note: str = "") -> Response:
    """The account, with what was wrong or what was done."""
    shop, session = _console(request).answers.shop, session_of(request)
    return _console(request).page(
        request,
        "access/account.html",
        twin="/api/account",
        status=problem.status if problem else 200,
        account=account(shop, session.actor.user_id, now=datetime.now(UTC)),
        session_id=session.session_id,
        limits=shop.settings.access,
        is_needed=shop.settings.access.needs_second_factor,
        browser_name=browser_name,
        is_only_way=shop.settings.oidc.is_only_way,
        note=note,
        **sign_in_methods(request),
        **problem_values(problem),
    )


def _retry(request: Request, sealed: str, problem: AccessProblem) -> Response:
    """The same secret again, where there still is one to confirm."""
    try:
        offer = same_offer(_console(request).answers.shop, session_of(request), sealed)
    except AccessProblem:
        return RedirectResponse("/account/second-factor", 303)
    return _offer(request, offer, problem)


def _offer(
    request: Request, offer: FactorOffer, problem: AccessProblem | None = None, *, is_first: bool = False
) -> Response:
    secret = offer.secret
    spaced = " ".join(secret[start : start + GROUP] for start in range(0, len(secret), GROUP))
    return _console(request).page(
        request,
        "access/second_factor.html",
        status=problem.status if problem else 200,
        offer=offer,
        picture=segno.make(offer.address, error="m").svg_data_uri(border=0, scale=4),
        spaced=spaced,
        is_first=is_first,
        **sign_in_methods(request),
        is_needed=_console(request).answers.shop.settings.access.needs_second_factor,
        **problem_values(problem),
    )


def confirm_again(request: Request, path: str, problem: AccessProblem | None = None) -> Response:
    """The question for the password, or for another way to prove who one is."""
    shop, session = _console(request).answers.shop, session_of(request)
    facts = account(shop, session.actor.user_id, now=datetime.now(UTC))
    values = {"next": path_of_ours(path), **sign_in_methods(request), **problem_values(problem)}
    values |= {
        "has_password": facts.user.has_password,
        "has_passkey": bool(facts.passkeys),
        "has_account": bool(facts.accounts),
    }
    return _console(request).page(request, "confirm.html", status=problem.status if problem else 200, **values)


def problem_values(problem: AccessProblem | None) -> Mapping[str, Any]:
    """What a page says of what was wrong."""
    retry_seconds = problem.retry_seconds if problem else 0
    return {"problem": problem.problem if problem else "", "retry_seconds": retry_seconds}
