"""Today, the first page: what needs a decision, and what is left to set up."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.data.setup_steps import OF_USER, setup_steps
from patron.answers.insight.today import TodayItem, show_today
from patron.commands.data.dismiss_setup import dismiss_setup_step
from patron.interfaces.console.insight.today_texts import is_of_waiting_offers, today_action, today_sentence
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs,
    needs_sign_in,
)
from patron.interfaces.i18n.translations import Words
from patron.schema.access.access_rights import Action, Actor, Area

router = APIRouter(route_class=GuardedRoute)
FALLBACKS = {
    "/watch-list": "/overview?view=decisions#watch_list",
    "/offers": "/decisions",
    "/settings": "/account",
    "/ingestion/upload": "/ingestion/upload",
}
"""Where a page stands in for one that this reader cannot open."""


@router.get("/")
@needs_sign_in
def today(request: Request) -> Response:
    """What needs a decision, ranked by money; who may not see that comes to the first page that they may see."""
    console: Console = request.app.state.console
    if not console.may(request, Action.READ, Area.OVERVIEW):
        return RedirectResponse(console.first_page(request), 303)
    texts, facts = console.words(request), show_today(context_of(request))
    formats, names = console.formats(texts), console.answers.shop.policy.offer_names
    actor = actor_of(request)
    lines = [
        (item, today_sentence(item, names, texts, formats), list(_actions(console, item, actor, texts)))
        for item in facts.items
    ]
    is_past = request.state.past is not None
    steps = [] if is_past else [(step, _link(console, step.link)) for step in facts.setup]
    return console.page(
        request, "insight/today.html", here="today", twin="/api/today", today=facts, lines=lines, steps=steps
    )


def _actions(console: Console, item: TodayItem, actor: Actor, texts: Words) -> Iterator[tuple[str, str]]:
    """What the reader may do about a line, and where; offers that wait are sent by a campaign, or taken as a file."""
    if is_of_waiting_offers(item) and actor.may(Action.ACT, Area.CAMPAIGNS):
        yield texts("action.send_offers"), f"/campaigns/new?{urlencode({'run': item.details['run']})}"
        yield texts("today.take_file"), _link(console, item.link)
    else:
        yield today_action(item, actor, texts), _link(console, item.link)


def _link(console: Console, link: str) -> str:
    """Address of an action; a page that is not there has one that stands in."""
    path = link.partition("?")[0]
    return link if path in console.pages.values() else FALLBACKS.get(path, link)


@router.post("/today/setup")
@needs(Action.READ, Area.OVERVIEW)
def dismiss(request: Request) -> Response:
    """Take a step off the list."""
    console: Console = request.app.state.console
    step = form_of(request).get("step", "")
    shop = console.answers.shop
    actor = actor_of(request)
    if step in {one.code for one in setup_steps(shop, actor)}:  # why: who cannot take it takes it off nobody's list
        dismiss_setup_step(shop, step, actor, is_of_user=step in OF_USER, now=datetime.now(UTC))
    return RedirectResponse("/", 303)
