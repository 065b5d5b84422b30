"""What the pages of campaigns and journeys share: steps of their life, versions, and messages in frames."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from patron.answers.outreach.campaign_list import VersionContent
from patron.commands.access.actors import is_in_any_hand, is_second_person
from patron.commands.outreach.campaigns import campaign_steps
from patron.commands.outreach.messages.settle_message import settle_message, unknown_messages
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import actor_of, form_of, needs, step_actor_of
from patron.interfaces.http.integer_bounds import MAX_COUNT, bounded_integer
from patron.interfaces.i18n.refusal_texts import refusal_text
from patron.interfaces.i18n.rule_texts import Change
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import BadRequest, PatronError
from patron.storage.outreach.versioned_drafts import VersionedDrafts
from patron.storage.shop import Shop

STEPS = ("paused", "resumed", "withdrawn")
DONE = ("saved", "planned", "approved", "settled", *STEPS)
LIFE = ("draft", "planned", "approved", "running", "ended", "measured")
"""States that a campaign or journey passes in order; paused and withdrawn may come between."""
TONES = {"planned": "info", "approved": "info", "running": "good", "paused": "warn", "withdrawn": "bad"}
FRAMED = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""Headers of a message: a page of nobody, that runs nothing, loads nothing and is shown only in a frame of ours."""
FRAMING = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
)
"""Policy of a page that shows messages in frames: that of every page, and frames of this server."""
Shown = Callable[[Request, str, PatronError | None], Response]
"""A page of a campaign or a journey by its name, with a refusal on it."""


@dataclass(frozen=True)
class VersionStep:
    """A version, and what it changed of an earlier one."""

    version: VersionContent
    before: VersionContent | None
    changes: tuple[Change, ...]


def shop_of(request: Request) -> Shop:
    """The shop that is served."""
    return request.app.state.console.answers.shop


def done_of(request: Request) -> str:
    """What was done before this page; empty for nothing that is known."""
    done = request.query_params.get("done", "")
    return done if done in DONE else ""


def path_of(kind: VersionedDrafts[Any], name: str) -> str:
    """Address of the page of a campaign or a journey."""
    return f"/{kind.kind}s/{quote(name, safe='')}"


def after(kind: VersionedDrafts[Any], name: str, done: str) -> Response:
    """Lead to the page of a campaign or a journey after something was done."""
    return RedirectResponse(f"{path_of(kind, name)}?done={done}", 303)


def add_life_pages(router: APIRouter, kind: VersionedDrafts[Any], *, page: Shown, approval: Shown) -> None:
    """Add the forms of the steps that people take with a planned one; a refusal is shown on its page."""
    path = f"/{kind.kind}s/{{name}}"

    @router.post(f"{path}/approve")
    @needs(Action.APPROVE, Area.CAMPAIGNS)
    def approve(request: Request, name: str) -> Response:
        """Approve the version that was looked at."""
        version = bounded_integer(form_of(request).get("version", ""), 1, MAX_COUNT) or MAX_COUNT
        by, now = step_actor_of(request), datetime.now(UTC)
        try:
            campaign_steps.approve(shop_of(request), kind, name, by=by, now=now, version=version)
        except PatronError as error:
            return approval(request, name, error)
        return after(kind, name, "approved")

    @router.post(f"{path}/pause")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def pause(request: Request, name: str) -> Response:
        """Stop it for now."""
        return take(request, name, "paused")

    @router.post(f"{path}/resume")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def resume(request: Request, name: str) -> Response:
        """Go on where it was stopped."""
        return take(request, name, "resumed")

    @router.post(f"{path}/withdraw")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def withdraw(request: Request, name: str) -> Response:
        """Stop for good."""
        return take(request, name, "withdrawn")

    def take(request: Request, name: str, step: str) -> Response:
        reason, by = form_of(request).get("reason", ""), step_actor_of(request)
        try:
            campaign_steps.take_step(shop_of(request), kind, name, step, by=by, now=datetime.now(UTC), reason=reason)
        except PatronError as error:
            return page(request, name, error)
        return after(kind, name, step)


def add_settlement(router: APIRouter, kind: VersionedDrafts[Any], *, page: Shown) -> None:
    """Add the form that settles a message of unknown outcome."""

    @router.post(f"/{kind.kind}s/{{name}}/settle")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def settle(request: Request, name: str) -> Response:
        """Say of a message of unknown outcome whether it was sent."""
        message, outcome = form_of(request).get("message", ""), form_of(request).get("outcome", "")
        try:
            if outcome not in ("sent", "not_sent"):
                raise BadRequest(422, "is neither sent nor not_sent", where="outcome", todo="Reload the page.")
            is_sent, by = outcome == "sent", step_actor_of(request)
            settle_message(shop_of(request), name, message, is_sent=is_sent, by=by, now=datetime.now(UTC))
        except PatronError as error:
            return page(request, name, error)
        return RedirectResponse(f"{path_of(kind, name)}/messages?done=settled#unknown", 303)


def unsettled_messages(request: Request, name: str) -> list[str]:
    """Ids of messages whose outcome nobody knows, for who may settle them."""
    return unknown_messages(shop_of(request), name) if actor_of(request).may(Action.ACT, Area.CAMPAIGNS) else []


def approval_obstacle(request: Request, saved_by: str, budget_cents: float) -> str:
    """Text that says why the reader cannot approve a version: nobody can, or somebody else has to; else empty."""
    if budget_cents / 100 < shop_of(request).policy.campaigns.approval_free_below:
        return ""
    if is_in_any_hand(saved_by):
        return "campaigns.needs_author"
    return "" if is_second_person(actor_of(request).name, saved_by) else "campaigns.needs_other"


def may_approve(request: Request) -> bool:
    """Whether the reader has the right to approve at all."""
    return actor_of(request).may(Action.APPROVE, Area.CAMPAIGNS)


def version_steps(versions: Sequence[VersionContent], changes: Any) -> Iterator[VersionStep]:
    """Versions, the newest first, each with what it changed of the one before."""
    for one, before in pairwise((*versions, None)):
        if one is not None:
            yield VersionStep(one, before, changes(before.content, one.content) if before else ())


def since_approval(versions: Sequence[VersionContent], steps: Sequence[Any], changes: Any) -> VersionStep:
    """The newest version, and what it changed of the one that was approved last."""
    approved = next((one.version for one in reversed(steps) if one.step == "approved"), 0)
    before = next((one for one in versions if one.version == approved), None)
    return VersionStep(versions[0], before, changes(before.content, versions[0].content) if before else ())


def message_page(message: Any, *, is_text: bool, subject: str) -> Response:
    """A message alone, for a frame: nothing in it runs, is loaded or leads anywhere."""
    head = f'<p style="font:14px sans-serif;margin:0;padding:8px 12px"><b>{html.escape(subject)}</b></p>'
    if is_text or not message.html:
        style = "font:14px/1.5 monospace;white-space:pre-wrap;margin:0;padding:8px 12px"
        return HTMLResponse(f'{head}<pre style="{style}">{html.escape(message.text)}</pre>', headers=FRAMED)
    start = message.html.find(">", message.html.find("<body")) + 1 if "<body" in message.html else 0
    return HTMLResponse(message.html[:start] + head + message.html[start:], headers=FRAMED)


def refused_message(request: Request, error: PatronError) -> Response:
    """What stands in the frame of a message that cannot be rendered, in the reader's language."""
    texts = request.app.state.console.words(request)
    where = f" ({html.escape(error.where)})" if error.where else ""
    text = f"{refusal_text(error.what, texts)}{where} {refusal_text(error.todo, texts)}"
    style = "font:14px sans-serif;padding:8px 12px"
    return HTMLResponse(f'<p lang="{texts.html_language}" style="{style}">{text}</p>', 200, headers=FRAMED)


def framing(answer: Response) -> Response:
    """A page that shows messages in frames."""
    answer.headers["Content-Security-Policy"] = FRAMING
    return answer


def life_of(state: str, console: Console, request: Request) -> Mapping[str, Any]:
    """What a page shows of a state: its tone, and the states before and after it."""
    texts = console.words(request)
    return {
        "life": [(code, texts(f"state.{code}")) for code in LIFE],
        "tone": TONES.get(state, "neutral"),
        "done": done_of(request),
    }
