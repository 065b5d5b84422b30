"""The mail digest: what the person who signed in is sent, and the page that the link in a letter leads to.

The token in that link is the only key: a GET changes nothing, as scanners of mail open every link; a POST confirms the
mailbox, or ends the digest at once, as mail programs do by one click (RFC 8058).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from patron.answers.access.team import account
from patron.answers.insight.brief import show_brief
from patron.answers.insight.digest import DigestState
from patron.answers.insight.questions import TILE_SECONDS
from patron.answers.insight.today import run_items_of
from patron.commands.access.manage_users import can_send_mail
from patron.commands.insight.digest_subscriptions import (
    DigestLink,
    can_send_digests,
    confirm_digest,
    end_digest,
    find_digest_link,
)
from patron.interfaces.console.templating import environment
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    needs_nothing,
    needs_sign_in,
    session_of,
)
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.insight.question_routes import result_of
from patron.interfaces.i18n.translations import choose_locale, words
from patron.interfaces.report.digest import DigestFacts, DigestSection, digest_sections
from patron.interfaces.report.digest_letter import digest_subject, digest_words
from patron.schema.errors import NoRunYet, NotFound, PatronError
from patron.schema.insight.digest import DigestPart, readable_parts
from patron.storage.shop import Shop

LOG = logging.getLogger(__name__)
ONE_CLICK, CONFIRM = "List-Unsubscribe", "confirm"
MAX_FIELDS = 10
router = APIRouter(prefix="/api", tags=["access"], route_class=GuardedRoute)
link_router = APIRouter(include_in_schema=False, route_class=GuardedRoute)


@dataclass(frozen=True)
class DigestPreview:
    """What a person chose to be sent, may choose, and would be sent now."""

    digest: DigestState
    readable: tuple[DigestPart, ...]
    """Parts that the person may read."""
    can_send: bool
    """Whether an SMTP server is configured, and an address at which the links of a letter work."""
    has_mail_server: bool
    locale: str
    """Language of the digest."""
    subject: str
    """Empty before any run."""
    sections: tuple[DigestSection, ...]


@router.get("/account/digest")
@needs_sign_in
def my_digest(request: Request) -> DigestPreview:
    """The mail digest of the person who signed in: what was chosen, what became of it, and what it would hold now."""
    answers = answers_of(request)
    actor = actor_of(request)
    now = datetime.now(UTC)
    shop, person = answers.shop, account(answers.shop, session_of(request).actor.user_id, now=now)
    readable, chosen = readable_parts(actor), person.digest.subscription
    parts = tuple(one for one in readable if chosen is None or one in chosen.parts)
    texts, formats = digest_words(shop, person.user.locale)
    facts = DigestFacts(
        shop,
        lambda: run_items_of(answers),
        lambda: show_brief(answers),
        lambda sql: result_of(request, sql, seconds=TILE_SECONDS),
    )
    try:
        subject = digest_subject(shop, texts, formats)
        sections = digest_sections(facts, actor, parts, texts, formats, now=now)
    except NoRunYet:
        subject, sections = "", ()
    can_send, has_mail_server = can_send_digests(shop), can_send_mail(shop)
    return DigestPreview(
        person.digest,
        readable,
        can_send=can_send,
        has_mail_server=has_mail_server,
        locale=texts.locale,
        subject=subject,
        sections=sections,
    )


@link_router.get("/digest/{token}")
@needs_nothing
async def digest_link_page(request: Request, token: str) -> Response:
    """The page that confirms and ends a digest; it changes nothing."""
    return await _answer(request, lambda shop: (find_digest_link(shop, token), ""))


@link_router.post("/digest/{token}")
@needs_nothing
async def use_digest_link(request: Request, token: str) -> Response:
    """Confirm the mailbox, or end the digest at once."""
    form, now = _form(await request.body()), datetime.now(UTC)

    def act(shop: Shop) -> tuple[DigestLink, str]:
        if ONE_CLICK in form:
            return end_digest(shop, token, now=now), "ended"
        if CONFIRM in form:
            return confirm_digest(shop, token, now=now), "confirmed"
        return find_digest_link(shop, token), ""

    return await _answer(request, act)


def _form(body: bytes) -> dict[str, list[str]]:
    """Fields of a form, also of one that a mail program sends as several parts; none of too many."""
    if ONE_CLICK.encode() in body:
        return {ONE_CLICK: [""]}
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}


async def _answer(request: Request, act: Callable[[Shop], tuple[DigestLink, str]]) -> Response:
    """Act, and show the page in the subscriber's language."""
    shop: Shop = request.app.state.answers.shop
    accepted = request.headers.get("accept-language")
    texts = words(choose_locale(None, accepted))
    try:
        link, done = await run_in_threadpool(act, shop)
    except NotFound:
        link = None
        done = ""
        problem = "digest_link.invalid"
        status = HTTPStatus.NOT_FOUND
    except PatronError as error:  # why no words of it: they are for who runs the server, and this may be anybody
        LOG.warning("the link of a digest failed: %s", error.log_line)
        link = None
        done = ""
        problem = "digest_link.later"
        status = status_of(error)
    else:
        texts = digest_words(shop, link.user.locale)[0]
        problem = ""
        status = HTTPStatus.OK
    values = {"t": texts, "shop_name": shop.settings.shop.name or "Patron", "link": link, "done": done}
    content = environment().get_template("insight/digest_link.html").render(**values, problem=problem)
    return HTMLResponse(content, status, headers={"X-Robots-Tag": "noindex", "Vary": "Accept-Language"})
