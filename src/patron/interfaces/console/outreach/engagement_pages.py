"""The pages that campaigns and journeys have alike: one of them from plan to result, its life, versions, messages."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from patron.answers.outreach.campaign_list import VersionContent, version_contents
from patron.answers.segments.saved_segments import segment_names
from patron.commands.access.actors import is_in_any_hand, is_second_person
from patron.commands.outreach.campaigns import campaign_steps
from patron.commands.outreach.messages.settle_message import settle_message, unknown_messages
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.console.segments.rule_options import rule_texts
from patron.interfaces.http.access.access_control import actor_of, context_of, form_of, needs
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.engagement_texts import EngagementTexts
from patron.interfaces.i18n.refusal_texts import refusal_text
from patron.interfaces.i18n.rule_texts import Change
from patron.schema.access.access_rights import Action, Area
from patron.schema.common_sentences import RELOAD_PAGE
from patron.schema.errors import BadRequest, NotFound, PatronError
from patron.schema.list_pages import MAX_COUNT
from patron.schema.sentences import Sentence
from patron.storage.outreach.sending_hold import current_hold
from patron.storage.outreach.versioned_drafts import NO_VERSION, VersionedDrafts
from patron.storage.shop import Shop

SENT_OR_NOT = Sentence("sent_or_not", "is neither sent nor not_sent")

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
Facts = Callable[[Request, Any], Mapping[str, Any]]
"""What the templates of one kind show besides what those of both do, from the answer about one of them."""


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


def engagement_texts(request: Request) -> EngagementTexts:
    """Writes about campaigns and journeys in the reader's language."""
    console: Console = request.app.state.console
    texts = console.words(request)
    return EngagementTexts(texts, console.formats(texts))


@dataclass(frozen=True)
class DraftPages:
    """What is different between the pages of campaigns and those of journeys."""

    drafts: VersionedDrafts[Any]
    detail: Callable[[Shop, str], Any]
    """Answer about one of them."""
    facts: Facts
    changes: Callable[[Request], Any]
    """Writes what a version changed."""
    plan: Callable[[RequestContext, str], Any]
    measure: Callable[[RequestContext, str], Any]
    fragments: Mapping[str, str]
    recipients: Callable[[Request, str], Sequence[str]] = lambda _request, _name: ()
    """Customers whose message may be shown to the reader as they would get it."""

    @property
    def kind(self) -> str:
        """campaign, or journey."""
        return self.drafts.kind

    def show(
        self, request: Request, name: str, template: str, tab: str, error: PatronError | None = None, **facts: Any
    ) -> Response:
        """One of its pages."""
        console: Console = request.app.state.console
        detail, write = self.detail(shop_of(request), name), engagement_texts(request)
        pending, names = detail.pending, shop_of(request).policy.offer_names
        rules = rule_texts(console, console.words(request), segment_names(shop_of(request))) if pending else None
        values = {
            "detail": detail,
            "line": detail.line,
            "path": path_of(self.drafts, name),
            "kind": self.kind,
            "tab": tab,
            "error": error,
            "write": write,
            "pending_rows": write.terms(pending.changes, names, rules) if pending and rules else [],
            "unplanned_rows": write.terms(pending.unplanned, names, rules) if pending and rules else [],
            "moment_of": datetime.fromisoformat,
            "is_sending_held": current_hold(shop_of(request).store) is not None,
            "result": detail.result,
            "may_approve": actor_of(request).may(Action.APPROVE, Area.CAMPAIGNS),
            **life_of(detail.line.state, console, request),
            **self.facts(request, detail),
        }
        return console.page(
            request,
            f"outreach/{template}.html",
            here=f"{self.kind}s",
            twin=f"/api/{self.kind}s/{quote(name, safe='')}",
            status=status_of(error) if error else 200,
            fragments=self.fragments,
            **{**values, **facts},
        )

    def overview(self, request: Request, name: str, error: PatronError | None = None) -> Response:
        """Its state, its plan in money, and how sending goes."""
        return self.show(request, name, self.kind, "overview", error)

    def approval(self, request: Request, name: str, error: PatronError | None = None) -> Response:
        """What somebody else has to look at before they approve: changes, money, texts."""
        versions = version_contents(shop_of(request), self.drafts, name)
        steps = self.detail(shop_of(request), name).steps
        change = since_approval(versions, steps, self.changes(request))
        return framing(self.show(request, name, f"{self.kind}_approval", "overview", error, change=change))


def add_draft_pages(router: APIRouter, pages: DraftPages) -> None:
    """Add the pages of one campaign or journey, and the forms of the steps that people take with it."""
    drafts, path = pages.drafts, f"/{pages.kind}s/{{name}}"

    @router.get(path)
    @needs(Action.READ, Area.CAMPAIGNS)
    def overview(request: Request, name: str) -> Response:
        """Its state, its plan in money, and how sending goes."""
        require_known(request.query_params, ("done", *FRAME_PARAMETERS))
        return pages.overview(request, name)

    @router.get(f"{path}/approval")
    @needs(Action.READ, Area.CAMPAIGNS)
    def approval(request: Request, name: str) -> Response:
        """What somebody else has to look at before they approve."""
        return pages.approval(request, name)

    @router.get(f"{path}/messages")
    @needs(Action.READ, Area.CAMPAIGNS)
    def messages(request: Request, name: str) -> Response:
        """Its texts as they are read, in each language, and messages of unknown outcome for who may settle them."""
        may_settle = actor_of(request).may(Action.ACT, Area.CAMPAIGNS)
        unsettled = unknown_messages(shop_of(request), name) if may_settle else []
        facts = {"unsettled": unsettled, "recipients": pages.recipients(request, name)}
        return framing(pages.show(request, name, "messages", "messages", **facts))

    @router.get(f"{path}/result")
    @needs(Action.READ, Area.CAMPAIGNS)
    def result(request: Request, name: str) -> Response:
        """The result that was kept."""
        return pages.show(request, name, "campaign_result", "result")

    @router.post(f"{path}/result")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def measure(request: Request, name: str) -> Response:
        """Measure it by the last run, and show that."""
        try:
            measured = pages.measure(context_of(request), name)
        except PatronError as error:
            return pages.show(request, name, "campaign_result", "result", error)
        return pages.show(request, name, "campaign_result", "result", result=msgspec.to_builtins(measured))

    @router.get(f"{path}/history")
    @needs(Action.READ, Area.CAMPAIGNS)
    def history(request: Request, name: str) -> Response:
        """Who did what when, and what each version changed."""
        versions = version_contents(shop_of(request), drafts, name)
        steps = list(version_steps(versions, pages.changes(request)))
        return pages.show(request, name, "campaign_history", "history", versions=steps)

    _add_life_pages(router, pages)


def _add_life_pages(router: APIRouter, pages: DraftPages) -> None:
    """Add the forms of the steps that people take with one; a refusal is shown on its page."""
    drafts, path = pages.drafts, f"/{pages.kind}s/{{name}}"

    @router.post(f"{path}/plan")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def plan(request: Request, name: str) -> Response:
        """Plan it: a campaign in money, a journey by replay."""
        try:
            pages.plan(context_of(request), name)
        except PatronError as error:
            return pages.overview(request, name, error)
        return after(drafts, name, "planned")

    @router.post(f"{path}/approve")
    @needs(Action.APPROVE, Area.CAMPAIGNS)
    def approve(request: Request, name: str) -> Response:
        """Approve the version and the plan that were looked at."""
        version = bounded_integer(form_of(request).get("version", ""), 1, MAX_COUNT) or MAX_COUNT
        looked_at = {key: form_of(request).get(key, "") for key in ("planned_at", "terms")}
        try:
            campaign_steps.approve(context_of(request), drafts, name, version=version, **looked_at)
        except PatronError as error:
            return pages.approval(request, name, error)
        return after(drafts, name, "approved")

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
        reason = form_of(request).get("reason", "")
        try:
            campaign_steps.take_step(context_of(request), drafts, name, step, reason=reason)
        except PatronError as error:
            return pages.overview(request, name, error)
        return after(drafts, name, step)

    _add_settlement(router, pages)


def _add_settlement(router: APIRouter, pages: DraftPages) -> None:
    """Add the form that settles a message of unknown outcome."""
    drafts = pages.drafts

    @router.post(f"/{pages.kind}s/{{name}}/settle")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def settle(request: Request, name: str) -> Response:
        """Say of a message of unknown outcome whether it was sent."""
        message, outcome = form_of(request).get("message", ""), form_of(request).get("outcome", "")
        try:
            if outcome not in ("sent", "not_sent"):
                raise BadRequest(422, SENT_OR_NOT, where="outcome", todo=RELOAD_PAGE)
            settle_message(context_of(request), name, message, is_sent=outcome == "sent")
        except PatronError as error:
            return pages.overview(request, name, error)
        return RedirectResponse(f"{path_of(drafts, name)}/messages?done=settled#unknown", 303)


def chosen_version(request: Request, drafts: VersionedDrafts[Any], name: str) -> Mapping[str, Any]:
    """Content of the version that an address names, else of the newest. Raises NotFound."""
    versions = version_contents(shop_of(request), drafts, name)
    version = bounded_integer(request.query_params.get("version", ""), 1, MAX_COUNT) or versions[0].version
    chosen = next((one for one in versions if one.version == version), None)
    if chosen is None:
        raise NotFound(NO_VERSION(version=version, kind=drafts.kind, name=name), where="version")
    return chosen.content


def approval_obstacle(request: Request, drafts: VersionedDrafts[Any], name: str) -> str:
    """Text that says why the reader cannot approve a version: nobody can, or somebody else has to; else empty."""
    shop, reader = shop_of(request), actor_of(request).name
    saved = drafts.saved_in(shop.store, name)
    if saved.content.budget < shop.policy.campaigns.approval_free_below:
        return ""
    if is_in_any_hand(saved.saved_by):
        return "campaigns.needs_author"
    if not is_second_person(reader, saved.saved_by):
        return "campaigns.needs_other"
    authors = campaign_steps.rule_authors(shop, saved)
    return "" if all(is_second_person(reader, author) for author in authors) else "campaigns.needs_other_rule"


def version_steps(versions: Sequence[VersionContent], changes: Any) -> Iterator[VersionStep]:
    """Versions, the newest first, each with what it changed of the one before."""
    for one, before in pairwise((*versions, None)):
        if one is not None:
            yield VersionStep(one, before, changes(before.content, one.content) if before else ())


def since_approval(versions: Sequence[VersionContent], steps: Sequence[Any], changes: Any) -> VersionStep:
    """The newest version, and what it changed of the one that was approved last."""
    approved = next((step.version for step in reversed(steps) if step.step in campaign_steps.APPROVALS), 0)
    before = next((version for version in versions if version.version == approved), None)
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
