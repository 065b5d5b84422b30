"""The way in: sign-in, second factor, sign-out, and what links open: the first account, invitations, new passwords."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.background import BackgroundTask

from patron.commands.access.manage_users import can_send_mail, count_reset_request, request_reset
from patron.commands.access.sign_in import (
    Credentials,
    LinkKind,
    NewAccount,
    enter_second_factor,
    invited_user,
    join,
    require_link,
    reset_password,
    set_up,
    sign_in,
    sign_out,
)
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import (
    SECOND_FACTOR,
    GuardedRoute,
    actor_of,
    may_open,
    needs_nothing,
    needs_sign_in,
    session_of,
)
from patron.interfaces.http.access.session_cookies import (
    FormBeforeSignIn,
    browser_of,
    enter,
    leave,
    limits_of,
    link_address,
    path_of_ours,
    session_secret,
)
from patron.interfaces.http.access.sign_in_methods import sign_in_methods
from patron.interfaces.i18n.user_mail_texts import reset_mail
from patron.schema.errors import AccessProblem

router = APIRouter(route_class=GuardedRoute)
NOTES = ("signed_out", "password_set")
AFTER_SET_UP = f"{SECOND_FACTOR}?first=1"


@router.get("/sign-in")
@needs_nothing
def sign_in_page(request: Request) -> Response:
    """The form; whoever is signed in goes on."""
    after = path_of_ours(request.query_params.get("next", ""))
    if request.state.session:
        return RedirectResponse(after if may_open(request, actor_of(request), after) else "/", 303)
    return show_sign_in(request, after=after)


@router.post("/sign-in")
@needs_nothing
def sign_in_with_password(request: Request, form: FormBeforeSignIn) -> Response:
    """Sign in, or ask for the second factor."""
    shop, after = _console(request).answers.shop, path_of_ours(form.get("next", ""))
    entered = Credentials(form.get("email", ""), form.get("password", ""))
    options: dict[str, Any] = {"limits": limits_of(request), "replaces": session_secret(request)}
    try:
        signed_in = sign_in(shop, entered, browser_of(request), now=datetime.now(UTC), **options)
    except AccessProblem as problem:
        return show_sign_in(request, problem, after=after, email=entered.email)
    if signed_in.ticket:
        return show_entrance(request, "access/sign_in_code.html", next=after, ticket=signed_in.ticket)
    return enter(request, shop, signed_in, after)


@router.post("/sign-in/code")
@needs_nothing
def sign_in_with_code(request: Request, form: FormBeforeSignIn) -> Response:
    """Sign in by the second factor, after the password."""
    shop, after = _console(request).answers.shop, path_of_ours(form.get("next", ""))
    ticket, code = form.get("ticket", ""), form.get("code", "")
    options: dict[str, Any] = {"limits": limits_of(request), "replaces": session_secret(request)}
    try:
        signed_in = enter_second_factor(shop, ticket, code, browser_of(request), now=datetime.now(UTC), **options)
    except AccessProblem as problem:
        if problem.problem == "sign_in_again":
            return show_sign_in(request, problem, after=after)
        return show_entrance(request, "access/sign_in_code.html", problem, next=after, ticket=ticket)
    return enter(request, shop, signed_in, after)


@router.get("/sign-in/code")
@needs_nothing
def code_page(request: Request) -> Response:  # noqa: ARG001 - a route
    """The code follows the password: from the beginning."""
    return RedirectResponse("/sign-in", 303)


@router.post("/sign-out")
@needs_sign_in
def sign_out_now(request: Request) -> Response:
    """End this session."""
    sign_out(_console(request).answers.shop, session_of(request), now=datetime.now(UTC))
    return leave(request, "/sign-in?note=signed_out")


@router.get("/set-up/{link}")
@needs_nothing
def set_up_page(request: Request, link: str) -> Response:
    """The form for the first account."""
    try:
        require_link(_console(request).answers.shop, LinkKind.SETUP, link, now=datetime.now(UTC))
    except AccessProblem as problem:
        return _spent(request, problem)
    return show_entrance(request, "access/join.html", is_first=True, person="", email="")


@router.post("/set-up/{link}")
@needs_nothing
def set_up_first(request: Request, link: str, form: FormBeforeSignIn) -> Response:
    """Make the first account, and sign in."""
    shop, account = _console(request).answers.shop, _account(request, form)
    try:
        signed_in = set_up(shop, link, account, browser_of(request), now=datetime.now(UTC))
    except AccessProblem as problem:
        if problem.status == HTTPStatus.GONE:
            return _spent(request, problem)
        return show_entrance(
            request, "access/join.html", problem, is_first=True, person=account.name, email=account.email
        )
    return enter(request, shop, signed_in, AFTER_SET_UP)


@router.get("/join/{link}")
@needs_nothing
def join_page(request: Request, link: str) -> Response:
    """The form for who is invited."""
    try:
        user = invited_user(_console(request).answers.shop, link, now=datetime.now(UTC))
    except AccessProblem as problem:
        return _spent(request, problem)
    return _join(request, link, person=user.name, email=user.email)


@router.post("/join/{link}")
@needs_nothing
def join_now(request: Request, link: str, form: FormBeforeSignIn) -> Response:
    """Accept an invitation, and sign in."""
    shop, account = _console(request).answers.shop, _account(request, form)
    try:
        signed_in = join(shop, link, account, browser_of(request), now=datetime.now(UTC))
    except AccessProblem as problem:
        if problem.status == HTTPStatus.GONE:
            return _spent(request, problem)
        return _join(request, link, problem, person=account.name, email=account.email)
    return enter(request, shop, signed_in, AFTER_SET_UP)


@router.get("/reset")
@needs_nothing
def reset_page(request: Request) -> Response:
    """The form that mails a link, where mail is configured."""
    has_mail = can_send_mail(_console(request).answers.shop)
    return show_entrance(request, "access/reset.html", has_mail=has_mail, is_sent=False)


@router.post("/reset")
@needs_nothing
def request_new_password(request: Request, form: FormBeforeSignIn) -> Response:
    """Mail a link to a user; the answer is the same for everybody, and comes before anything is looked up."""
    shop, email = _console(request).answers.shop, form.get("email", "")
    try:
        count_reset_request(limits_of(request), email, browser_of(request).address, now=datetime.now(UTC))
    except AccessProblem as problem:
        return show_entrance(request, "access/reset.html", problem, has_mail=can_send_mail(shop), is_sent=False)
    answer = show_entrance(request, "access/reset.html", has_mail=can_send_mail(shop), is_sent=True)
    letter = reset_mail(shop, link_address(request, shop))
    answer.background = BackgroundTask(request_reset, shop, email, compose=letter, now=datetime.now(UTC))
    return answer


@router.get("/reset/{link}")
@needs_nothing
def new_password_page(request: Request, link: str) -> Response:
    """The form for a new password."""
    try:
        require_link(_console(request).answers.shop, LinkKind.RESET, link, now=datetime.now(UTC))
    except AccessProblem as problem:
        return _spent(request, problem)
    return show_entrance(request, "access/new_password.html")


@router.post("/reset/{link}")
@needs_nothing
def set_new_password(request: Request, link: str, form: FormBeforeSignIn) -> Response:
    """Set a password by a link; then one signs in with it."""
    shop = _console(request).answers.shop
    try:
        reset_password(shop, link, form.get("password", ""), now=datetime.now(UTC))
    except AccessProblem as problem:
        if problem.status == HTTPStatus.GONE:
            return _spent(request, problem)
        return show_entrance(request, "access/new_password.html", problem)
    return leave(request, "/sign-in?note=password_set")


def show_sign_in(
    request: Request, problem: AccessProblem | None = None, *, after: str = "/", email: str = ""
) -> Response:
    """The form to sign in, with what was wrong."""
    note = request.query_params.get("note", "")
    values = {"next": after, "email": email, "note": note if note in NOTES and not problem else ""}
    return show_entrance(request, "access/sign_in.html", problem, **values, **sign_in_methods(request))


def _join(request: Request, link: str, problem: AccessProblem | None = None, *, person: str, email: str) -> Response:
    values = {"is_first": False, "person": person, "email": email, "link": link, **sign_in_methods(request)}
    return show_entrance(request, "access/join.html", problem, **values)


def _console(request: Request) -> Console:
    return request.app.state.console


def _account(request: Request, form: FormBeforeSignIn) -> NewAccount:
    locale = _console(request).words(request).locale
    return NewAccount(form.get("name", ""), form.get("password", ""), form.get("email", ""), locale)


def _spent(request: Request, problem: AccessProblem) -> Response:
    return show_entrance(request, "access/link_spent.html", status=problem.status)


def show_entrance(
    request: Request, template: str, problem: AccessProblem | None = None, *, status: int = 200, **values: Any
) -> Response:
    """A page of the way in, with what was wrong, and when to try again."""
    values |= {"problem": "", "retry_seconds": 0}
    if problem:
        status = problem.status
        values |= {"problem": problem.problem, "retry_seconds": problem.retry_seconds}
    answer = _console(request).page(request, template, status=status, **values)
    if problem and problem.retry_seconds:
        answer.headers["Retry-After"] = str(problem.retry_seconds)
    return answer
