"""Pages of customers that the links in messages lead to: leave a topic by one click (RFC 8058), and choose topics.

The token in the address is the only key: there is no log-in and no cookie, and so nothing that another site could make
a browser send along. A GET changes nothing, as scanners of mail open every link; a POST acts at once and leads nowhere.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from patron.commands.outreach.messages.subscriptions import (
    Preferences,
    Subscription,
    choose,
    find_subscription,
    preferences,
    unsubscribe,
)
from patron.interfaces.console.templating import environment
from patron.interfaces.http.access.access_control import GuardedRoute, needs_nothing
from patron.interfaces.i18n.translations import choose_locale, words
from patron.schema.errors import NotFound, PatronError, TooMany
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

CHANGES_PER_MINUTE = Sentence("changes_per_minute", "too many changes in a minute")
WAIT_A_MINUTE = Sentence("wait_a_minute", "Wait a minute, then try again.")

ONE_CLICK = (b"List-Unsubscribe", b"One-Click")
"""What the body of a POST that unsubscribes holds, in whatever encoding of forms."""
MINUTE_SECONDS = 60.0
MAX_ACTIONS = 10
"""Changes by one token in a minute."""
MAX_FIELDS = 500
ON, ALL_OFF = "on", "all_off"


@dataclass(frozen=True)
class Page:
    """A page and what it says."""

    template: str
    values: dict[str, Any]
    status: int = HTTPStatus.OK


@dataclass
class ActionLimit:
    """Bounds what one token may change in a minute."""

    _counts: Counter[str] = field(default_factory=Counter)
    _since: float = 0.0

    def count(self, token: str) -> None:
        """Count a change. Raises TooMany."""
        now = time.monotonic()
        if now > self._since + MINUTE_SECONDS:
            self._counts.clear()
            self._since = now
        self._counts[token] += 1
        if self._counts[token] > MAX_ACTIONS:
            raise TooMany(429, CHANGES_PER_MINUTE, todo=WAIT_A_MINUTE)


router = APIRouter(include_in_schema=False, route_class=GuardedRoute)
LIMIT = ActionLimit()


@router.get("/u/{token}")
@needs_nothing
async def unsubscribe_page(request: Request, token: str) -> Response:
    """The page that a link to unsubscribe leads to; it changes nothing."""
    return await _answer(
        request, token, lambda shop, subscription: _unsubscribe_page(shop, subscription, is_done=False)
    )


@router.post("/u/{token}")
@needs_nothing
async def unsubscribe_now(request: Request, token: str) -> Response:
    """Unsubscribe at once, by one click of a mail program or on the page."""
    body = await request.body()
    is_meant = all(word in body for word in ONE_CLICK)

    def act(shop: Shop, subscription: Subscription) -> Page:
        if is_meant:
            LIMIT.count(token)
            unsubscribe(shop, subscription, now=datetime.now(UTC))
        return _unsubscribe_page(shop, subscription, is_done=is_meant)

    return await _answer(request, token, act)


@router.get("/p/{token}")
@needs_nothing
async def preferences_page(request: Request, token: str) -> Response:
    """The preference centre of a customer."""
    return await _answer(
        request, token, lambda shop, subscription: _preferences_page(shop, subscription, is_saved=False)
    )


@router.post("/p/{token}")
@needs_nothing
async def save_preferences(request: Request, token: str) -> Response:
    """Save what a customer chose."""
    form = _form(await request.body())
    if form is None:
        return await preferences_page(request, token)
    topics_on = {(topic, channel) for topic, _, channel in (one.rpartition("/") for one in form.get(ON, []))}

    def act(shop: Shop, subscription: Subscription) -> Page:
        LIMIT.count(token)
        choose(shop, subscription, set() if ALL_OFF in form else topics_on, now=datetime.now(UTC))
        return _preferences_page(shop, subscription, is_saved=True)

    return await _answer(request, token, act)


def _form(body: bytes) -> dict[str, list[str]] | None:
    """Fields of a form; None for more than a page has, of which nothing is saved."""
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=MAX_FIELDS)
    except ValueError:
        return None


def _unsubscribe_page(shop: Shop, subscription: Subscription, *, is_done: bool) -> Page:
    channel = "email" if subscription.channel == "file" else subscription.channel
    values = {"is_done": is_done, "topic": subscription.topic, "channel": channel, "topics": shop.policy.topics}
    return Page("privacy/unsubscribe.html", values)


def _preferences_page(shop: Shop, subscription: Subscription, *, is_saved: bool) -> Page:
    chosen: Preferences = preferences(shop, subscription)
    return Page("privacy/preferences.html", {"is_saved": is_saved, "chosen": chosen, "topics": shop.policy.topics})


async def _answer(request: Request, token: str, act: Callable[[Shop, Subscription], Page]) -> Response:
    """Find the token's subscription, act, and show the page in the customer's language."""
    shop: Shop = request.app.state.answers.shop
    locale = ""
    try:
        subscription = await run_in_threadpool(find_subscription, shop, token)
        locale = subscription.locale
        page = await run_in_threadpool(act, shop, subscription)
    except NotFound:
        page = Page("privacy/no_subscription.html", {"problem": "invalid"}, HTTPStatus.NOT_FOUND)
    except TooMany:
        page = Page("privacy/no_subscription.html", {"problem": "too_many"}, HTTPStatus.TOO_MANY_REQUESTS)
    except PatronError:
        page = Page("privacy/no_subscription.html", {"problem": "later"}, HTTPStatus.SERVICE_UNAVAILABLE)
    texts = words(choose_locale(locale, request.headers.get("accept-language")))
    values = {"t": texts, "shop_name": shop.settings.shop.name, "token": token, **page.values}
    content = environment().get_template(page.template).render(values)
    return HTMLResponse(content, page.status, headers={"X-Robots-Tag": "noindex", "Vary": "Accept-Language"})
