"""Who asks, and whether they may: before a body is read, a parameter checked or anything looked up.

`AccessControl` finds who asks: a key in the header, else the session of a cookie, else the visitor of a demo; without
any of them it refuses, whatever the address. `GuardedRoute` checks the right that `@needs` declares, and the token that
every form of a session holds. A route without a right cannot be made.
"""

import hmac
import logging
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patron.commands.access.actors import step_actor
from patron.commands.access.identify_actor import Session, csrf_token, identify_key, identify_session
from patron.commands.access.user_account import is_confirmed
from patron.govern.access.request_context import RequestContext
from patron.interfaces.http.access.customer_scope import is_restricted, require_visible_customers
from patron.interfaces.http.access.idempotency_keys import HEADER as IDEMPOTENCY_KEY
from patron.interfaces.http.access.idempotency_keys import answer_once, takes_key
from patron.interfaces.http.access.request_keys import request_key
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.application_bodies import MAX_RELEASE_BYTES
from patron.interfaces.http.page_turns import wait_for_turn
from patron.interfaces.http.refusals import is_for_programs, refusal
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import SIGN_IN_FIRST
from patron.schema.errors import LakeDamaged, NotAllowed, NotFound, PatronError, VersionGone
from patron.schema.sentences import Sentence
from patron.storage.runs.last_run import read_one_run
from patron.storage.runs.past_shop import PastShop, read_only_past
from patron.storage.sandbox.sandbox import ASKER, STOPPED_CALLS, Stop
from patron.storage.shop import Shop

NEEDS_PERSON = Sentence("needs_person", "this needs a person who signed in")
NOBODY_SIGNED_IN = Sentence("nobody_signed_in", "nobody is signed in, and no key was sent")
PASSWORD_NOT_LATELY = Sentence("password_not_lately", "the password was not entered recently")
CONFIRM_THEN_REPEAT = Sentence("confirm_then_repeat", "Enter it at /account/confirm, then repeat.")
RELOAD_AND_TRY = Sentence("reload_and_try", "Reload the page and try again.")
SEND_HEADER = Sentence("send_header", "Send {name}.")
FORM_OF_OTHER_SESSION = Sentence("form_of_other_session", "the form is not from a page of this session")
VISITOR_MAY_NOT = Sentence("visitor_may_not", "a visitor may not do this")
SIGN_IN_OR_KEY = Sentence("sign_in_or_key", "Sign in, or send a key.")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
LOG = logging.getLogger(__name__)
SESSION_COOKIE = "patron_session"
SECURE_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
"""The same where the console is reached by HTTPS."""
SIGN_IN, SECOND_FACTOR = "/sign-in", "/account/second-factor"
"""The way in, and where somebody sets up a second factor who must, before anything else."""
OPEN = re.compile(
    r"/(health|openapi\.json|static/.*|u/[^/]*|p/[^/]*|digest/[^/]*|sign-in(/.*)?|set-up(/.*)?|join(/.*)?|reset(/.*)?)"
)
"""Addresses that answer without credentials: of programs that watch, of customers, the way in, links of digests."""
METRICS = "/metrics"
"""Answers this machine without credentials."""
LOOPBACK = ("127.0.0.1", "::1")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
MAX_FIELDS = 500
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
READING = (Action.READ, Action.EXPORT)
"""What somebody who looks back at a past run may do."""
LOOKUPS = ("/lookup", "/search", "/count")
"""How addresses end whose body says what to look up; they change nothing."""
SIGNED_IN = "signed in"
"""Instead of a right: whoever asks, as long as they are known."""


def needs(action: Action, area: Area) -> Callable[[Endpoint], Endpoint]:
    """Declare the right that an endpoint needs."""

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["right"] = Right(action, area)
        return endpoint

    return declare


def of_whole_shop(endpoint: Endpoint) -> Endpoint:
    """Declare that what an endpoint answers counts all customers: who sees some of them only is refused."""
    endpoint.__dict__["is_of_whole_shop"] = True
    return endpoint


def needs_sign_in(endpoint: Endpoint) -> Endpoint:
    """Declare that an endpoint answers whoever is known: it shows only what is theirs."""
    endpoint.__dict__["right"] = SIGNED_IN
    return endpoint


def needs_nothing(endpoint: Endpoint) -> Endpoint:
    """Declare that an endpoint answers everybody; its address is one of `OPEN`, or opens to this machine."""
    endpoint.__dict__["right"] = None
    return endpoint


def actor_of(request: Request) -> Actor:
    """Who asks."""
    return request.state.actor


def asker_name(actor: Actor) -> str:
    """Whose reading waits, and who may stop a query; never empty."""
    return actor.user_id or actor.key_id or actor.name or "nobody"


def context_of(request: Request, name: str = "") -> RequestContext:
    """The request as commands take it; whoever uses a key may give their name."""
    actor = actor_of(request)
    actor = replace(actor, name=step_actor(actor, name))
    answers, clock = answers_of(request), partial(datetime.now, UTC)
    return RequestContext(answers.shop, actor, now=clock(), clock=clock, answers=answers)


def step_actor_of(request: Request, name: str = "") -> str:
    """Who asks, as a step writes it; whoever uses a key may give their name."""
    return step_actor(actor_of(request), name)


def form_of(request: Request) -> Mapping[str, str]:
    """Fields of the form that a page of ours sent; of several with one name the last."""
    return {name: value for name, value in request.state.form.multi_items() if isinstance(value, str)}


class AccessControl:
    """ASGI middleware: who asks is known to every route, and nobody unknown comes further than the open addresses."""

    def __init__(self, app: ASGIApp, shop: Shop, visitor: Actor | None) -> None:
        self.app = app
        self.shop = shop
        self.visitor = visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        state = scope.setdefault("state", {})
        state |= {"actor": None, "session": None, "csrf": "", "past": None}
        app = self.app
        try:
            await self._identify(request, state)
            if state["actor"] is None and not is_open(request):
                app = _way_in(request)
            elif _lacks_factor(state["session"], self.shop) and not _is_way_to_factor(request):
                app = RedirectResponse(SECOND_FACTOR, 303)
        except PatronError as error:
            app = refusal(error, request.url.path)
        stops: list[tuple[str, Stop]] = []

        async def record_and_send(message: Message) -> None:
            if stops and message["type"] == "http.response.start":
                await run_in_threadpool(self._record_stops, state["actor"], _address(scope), stops)
            await send(message)

        before = STOPPED_CALLS.set(stops)
        asked = ASKER.set(asker_name(state["actor"]) if state["actor"] else "")
        try:
            await app(scope, receive, record_and_send)
        finally:
            ASKER.reset(asked)
            STOPPED_CALLS.reset(before)

    def _record_stops(self, actor: Actor | None, address: str, stops: Sequence[tuple[str, Stop]]) -> None:
        """Enter into the audit log that something somebody sent could not be read within bounds."""
        context = RequestContext(self.shop, actor or Actor("", frozenset()), now=datetime.now(UTC))
        with self.shop.store.begin() as connection:
            for function, stop in stops:
                details = {"address": address, "reader": function, "reason": stop}
                context.record(connection, AuditAction.READING_STOPPED, details)

    async def _identify(self, request: Request, state: dict[str, Any]) -> None:
        """Who asks. Raises BadKey for a key that is not one."""
        header = request.headers.get("authorization")
        secret = request.cookies.get(cookie_name(request), "")
        if header is not None:
            key = request_key(header)
            state["actor"] = await run_in_threadpool(identify_key, self.shop, key, now=datetime.now(UTC))
            return
        if secret:
            session = await run_in_threadpool(identify_session, self.shop, secret, now=datetime.now(UTC))
            if session:
                state |= {"actor": session.actor, "session": session, "csrf": csrf_token(secret)}
                return
        state["actor"] = self.visitor


class GuardedRoute(APIRoute):
    """A route that checks the right of whoever asks, the token of a form, and whom it is about, before all else."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "right" not in endpoint.__dict__:
            raise TypeError(f"{endpoint.__name__} declares no right: @needs, @needs_sign_in or @needs_nothing")
        self.right: Right | str | None = endpoint.__dict__["right"]
        self.is_of_whole_shop: bool = endpoint.__dict__.get("is_of_whole_shop", False)
        text = "" if self.right is None else str(self.right)
        options["openapi_extra"] = {"x-right": text, **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """Check, then handle. Raises NotAllowed."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            path = request.url.path
            if isinstance(self.right, Right):
                _require(request, self.right, is_of_whole_shop=self.is_of_whole_shop)
            if request.state.past is not None:
                self._only_read(request, request.state.past)
            if request.method not in SAFE_METHODS and self.right is not None:
                if not is_for_programs(path):
                    request.state.form = await request.form(max_fields=MAX_FIELDS, max_part_size=MAX_RELEASE_BYTES)
                    if not request.headers.get("content-type", "").startswith(FORM_TYPES):
                        await request.body()  # why: bounds it too
                _require_page_of_ours(request)
            if is_restricted(request):
                await run_in_threadpool(require_visible_customers, request)
            try:
                async with wait_for_turn(request, self.right, asker_name):
                    return await self._answer(request, handle)
            finally:
                if hasattr(request.state, "form"):
                    await request.state.form.close()  # why: files that were sent wait in it

        return check_and_handle

    def admits(self, request: Request) -> bool:
        """Whether whoever asks has the right and sees the customers that a request to read names."""
        actor = actor_of(request)
        if isinstance(self.right, Right) and not actor.may(*self.right):
            return False
        if not is_restricted(request):
            return True
        try:
            require_visible_customers(request)
        except NotFound:
            return False
        return not self.is_of_whole_shop

    def _only_read(self, request: Request, past: PastShop) -> None:
        """Let somebody who looks back read, and nothing else. Raises ReadOnlyPast."""
        is_safe = request.method in SAFE_METHODS
        if isinstance(self.right, Right) and not is_safe:
            is_reading = self.right.action is Action.READ and request.url.path.endswith(LOOKUPS)
        elif isinstance(self.right, Right):
            is_reading = self.right.action in READING or self.right.area is Area.QUESTIONS
        else:
            is_reading = is_safe
        if not is_reading:
            raise read_only_past(past.run.run_id)
        actor = actor_of(request)
        rights = frozenset(right for right in actor.rights if right.action in READING)
        request.state.actor = replace(actor, rights=rights)

    async def _answer(self, request: Request, handle: Handler) -> Response:
        """Answer, once only where the request has an idempotency key."""
        is_once = IDEMPOTENCY_KEY in request.headers and is_for_programs(request.url.path)
        if is_once and takes_key(self.right, request.method):
            return await answer_once(request, request.app.state.answers.shop, actor_of(request), handle)
        if request.method not in SAFE_METHODS:
            return await handle(request)
        with suppress(VersionGone, LakeDamaged), read_one_run():
            return await handle(request)
        # why: an erasure may have rewritten what was being read, and the last run names the rest now
        with read_one_run():
            return await handle(request)


def _address(scope: Scope) -> str:
    """Address of a route, with the names of what stands in it instead of whom it is about."""
    return getattr(scope.get("route"), "path", "")


def may_open(request: Request, actor: Actor, address: str) -> bool:
    """Whether somebody, who need not have asked, may open a page at an address of ours."""
    target = urlsplit(address)
    if is_for_programs(target.path):
        return False
    asked: Scope = {**request.scope, "method": "GET", "path": unquote(target.path), "state": {"actor": actor}}
    asked |= {"query_string": target.query.encode(), "headers": []}
    for route in _guarded_routes(request.app.routes):
        match, matched = route.matches(asked)
        if match is Match.FULL:
            return route.admits(Request({**asked, **matched}))
    return False


def _guarded_routes(routes: Iterable[BaseRoute]) -> Iterator[GuardedRoute]:
    """Routes in the order in which they are tried, also those of routers that were included."""
    for route in routes:
        if isinstance(route, GuardedRoute):
            yield route
        else:
            yield from _guarded_routes(getattr(getattr(route, "original_router", None), "routes", ()))


def is_open(request: Request) -> bool:
    """Whether an address answers without credentials."""
    path = request.url.path
    if path == METRICS:
        is_direct = not ({"x-forwarded-for", "forwarded"} & set(request.headers))
        return is_direct and request.client is not None and request.client.host in LOOPBACK
    is_preflight = request.method == "OPTIONS" and is_for_programs(path)
    return is_preflight or OPEN.fullmatch(path) is not None


def cookie_name(request: Request) -> str:
    """Name of the session's cookie: over HTTPS the one that no other host or path can set."""
    return SECURE_SESSION_COOKIE if request.url.scheme == "https" else SESSION_COOKIE


def is_same_origin(request: Request) -> bool:
    """Whether a request was sent by a page of ours, as browsers say; programs say nothing."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site not in {None, "same-origin", "none"}:
        return False
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


def session_of(request: Request) -> Session:
    """The session of who asks. Raises NotAllowed for a key or a visitor."""
    session = request.state.session
    if session is None:
        raise NotAllowed(403, NEEDS_PERSON, todo=SIGN_IN_FIRST)
    return session


def require_confirmed(request: Request) -> None:
    """Refuse a session whose password was not entered lately, as the pages do. Raises NotAllowed."""
    session = request.state.session
    if session is not None and not is_confirmed(session, now=datetime.now(UTC)):
        raise NotAllowed(403, PASSWORD_NOT_LATELY, todo=CONFIRM_THEN_REPEAT)


def _require(request: Request, right: Right, *, is_of_whole_shop: bool) -> None:
    """Refuse who lacks a right, or sees some customers where all are counted, and log it. Raises NotAllowed."""
    actor: Actor | None = request.state.actor
    if actor is None:
        raise NotAllowed(401, NOBODY_SIGNED_IN, where=request.url.path, todo=SIGN_IN_FIRST)
    try:
        actor.require(right)
        if is_of_whole_shop:
            actor.require_whole_shop()
    except NotAllowed as refused:
        if not (actor.user_id or actor.key_id):
            raise NotAllowed(401, VISITOR_MAY_NOT, where=request.url.path, todo=SIGN_IN_OR_KEY) from None
        LOG.warning("refused %s to %s: %s", right, actor.key_id or actor.user_id, refused.log_line)
        raise


def _require_page_of_ours(request: Request) -> None:
    """Refuse what another site made a browser send, which a key is not. Raises NotAllowed."""
    if actor_of(request).key_id:
        return
    form = getattr(request.state, "form", {})
    token = request.headers.get(CSRF_HEADER) or str(form.get(CSRF_FIELD, ""))
    if not is_same_origin(request) or not hmac.compare_digest(token.encode(), request.state.csrf.encode()):
        todo = RELOAD_AND_TRY if not is_for_programs(request.url.path) else SEND_HEADER(name=CSRF_HEADER)
        raise NotAllowed(403, FORM_OF_OTHER_SESSION, where=request.url.path, todo=todo)


def _lacks_factor(session: Session | None, shop: Shop) -> bool:
    """Whether somebody signed in without the second factor that everybody must have."""
    return session is not None and shop.settings.access.needs_second_factor and not session.has_second_factor


def _is_way_to_factor(request: Request) -> bool:
    path = request.url.path
    return path.startswith(("/account", "/sign-out")) or is_for_programs(path) or is_open(request)


def _way_in(request: Request) -> Response:
    """Answer for somebody unknown: pages lead to the sign-in, all else is refused."""
    path = request.url.path
    is_form = request.headers.get("content-type", "").startswith(FORM_TYPES)
    if is_form and not is_for_programs(path) and "x-part" not in request.headers:
        return RedirectResponse(SIGN_IN, 303)  # why: the session of a page that stayed open has ended
    if is_for_programs(path) or request.method not in SAFE_METHODS or "x-part" in request.headers:
        where = path if is_for_programs(path) else ""
        return refusal(NotAllowed(401, NOBODY_SIGNED_IN, where=where, todo=SIGN_IN_FIRST), where)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{SIGN_IN}?next={quote(path + query, safe='')}" if path != "/" else SIGN_IN, 303)
