"""The mail digest of whoever signed in: what it holds, how often it comes, what it would be now."""

import math
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.commands.insight.digest_subscriptions import Confirmation, subscribe_to_digest, unsubscribe_from_digest
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs_sign_in,
    session_of,
)
from patron.interfaces.http.access.session_cookies import limits_of, link_address
from patron.interfaces.http.insight.digest_routes import my_digest
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.translations import words
from patron.interfaces.i18n.user_mail_texts import digest_link_mail
from patron.interfaces.report.digest_letter import PAGE
from patron.schema.errors import AccessProblem, BadDigest
from patron.schema.insight.digest import DigestRhythm

router = APIRouter(route_class=GuardedRoute)
ENDED = "ended"
NOTES = (*Confirmation, ENDED)


@router.get(PAGE)
@needs_sign_in
def digest_page(request: Request) -> Response:
    """What the reader is sent, and what it would be now."""
    require_known(request.query_params, ("note", *FRAME_PARAMETERS))
    note = request.query_params.get("note", "")
    return _page(request, note=note if note in NOTES else "")


@router.post(PAGE)
@needs_sign_in
def subscribe(request: Request) -> Response:
    """Subscribe, or change what is sent."""
    shop, parts = _console(request).answers.shop, [str(one) for one in request.state.form.getlist("part")]
    rhythm, letter = form_of(request).get("rhythm", ""), digest_link_mail(shop, link_address(request, shop))
    try:
        note = subscribe_to_digest(
            shop,
            session_of(request).actor,
            parts,
            rhythm,
            compose=letter,
            limits=limits_of(request),
            now=datetime.now(UTC),
        )
    except BadDigest as problem:
        return _page(request, status=422, is_refused=problem.where != "public_url")
    except AccessProblem as problem:
        return _page(request, status=problem.status, retry_seconds=problem.retry_seconds)
    return RedirectResponse(f"{PAGE}?note={note}", 303)


@router.post(f"{PAGE}/end")
@needs_sign_in
def end(request: Request) -> Response:
    """Send the reader no digest any more."""
    actor = session_of(request).actor
    unsubscribe_from_digest(context_of(request), actor.user_id)
    return RedirectResponse(f"{PAGE}?note={ENDED}", 303)


def _console(request: Request) -> Console:
    return request.app.state.console


def _page(
    request: Request, *, note: str = "", status: int = 200, is_refused: bool = False, retry_seconds: int = 0
) -> Response:
    view = my_digest(request)
    return _console(request).page(
        request,
        "insight/account_digest.html",
        twin=f"/api{PAGE}",
        status=status,
        view=view,
        digest_words=words(view.locale),
        email=actor_of(request).email,
        rhythms=tuple(DigestRhythm),
        note=note,
        is_refused=is_refused,
        retry_minutes=math.ceil(retry_seconds / 60),
    )
