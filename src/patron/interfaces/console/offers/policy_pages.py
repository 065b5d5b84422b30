"""Offers and policy: what is in force, proposals to change it, their preview and approval, and what was before."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.offers.policy_history import (
    PolicyProposal,
    open_proposal_count,
    policy_proposal,
    policy_proposals,
    policy_text,
    proposal_texts,
)
from patron.answers.offers.policy_in_force import policy_in_force
from patron.commands.access.actors import is_same_actor
from patron.commands.offers import propose_policy as proposals
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.offers.policy_form import KINDS, policy_form, requested_changes
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs, step_actor_of
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.i18n.policy_texts import change_rows, policy_sentences
from patron.schema.access.access_rights import Action, Area
from patron.schema.common_sentences import NO_PROPOSAL, OPEN_FROM_PROPOSALS
from patron.schema.errors import BadProposal, EditConflict, NotFound, PatronError
from patron.schema.list_pages import MAX_COUNT
from patron.schema.sentences import Sentence, problems_of
from patron.storage.outreach.pending_approvals import POLICY_SECTIONS, pending_approvals
from patron.storage.toml_edit import line_of

PREVIEW_LONG = Sentence("preview_long", "the preview took longer than {count} minutes")
USE_RUN = Sentence("use_run", "Use `patron run`.")

router = APIRouter(route_class=GuardedRoute)
HERE = "offers"
NOTICES = ("proposed", "approved", "rejected", "withdrawn", "previewing")
PREVIEW_SECONDS = 600
"""Longest time that a preview may take."""


@router.get("/offers")
@needs(Action.READ, Area.OFFERS)
def offers(request: Request) -> Response:
    """The policy in force."""
    console = _console(request)
    require_known(request.query_params, FRAME_PARAMETERS)
    texts, shop = console.words(request), console.answers.shop
    shop.reload_settings()
    policy = policy_in_force(shop)
    sentences = list(policy_sentences(policy, texts, console.formats(texts)))
    return console.page(
        request,
        "offers/offers.html",
        here=HERE,
        twin="/api/policy",
        policy=policy,
        # why: the first names the version, the last ones the offers, which have a table
        sentences=sentences[1 : len(sentences) - max(len(policy.offers), 1)],
        margin_share=shop.settings.shop.margin_share,
        awaiting=pending_approvals(shop, sections=POLICY_SECTIONS),
        open_count=open_proposal_count(shop),
    )


@router.get("/offers/edit")
@needs(Action.ACT, Area.OFFERS)
def edit(request: Request) -> Response:
    """The form of the values that shops change."""
    shop = _console(request).answers.shop
    shop.reload_settings()
    return _form(request, {}, {})


@router.post("/offers/edit")
@needs(Action.ACT, Area.OFFERS)
def propose_values(request: Request) -> Response:
    """Propose the values of the form."""
    shop, sent = _console(request).answers.shop, request.state.form
    form = {name: ", ".join(one for one in sent.getlist(name) if isinstance(one, str) and one) for name in sent}
    changes, problems = requested_changes(policy_in_force(shop), form)
    if problems:
        return _form(request, form, problems, status=422)
    base, note = form.get("base_version", ""), form.get("note", "")
    try:
        number = proposals.propose_changes(context_of(request), changes, base_version=base, note=note)
    except (BadProposal, EditConflict) as error:
        return _form(request, form, _by_field(error, form), status=status_of(error), problem=error)
    return RedirectResponse(f"/offers/proposals/{number}?notice=proposed", 303)


@router.get("/offers/text")
@needs(Action.ACT, Area.OFFERS)
def edit_text(request: Request) -> Response:
    """The whole policy.toml, or a proposal of it, to edit."""
    require_known(request.query_params, ("proposal", *FRAME_PARAMETERS))
    shop = _console(request).answers.shop
    number = bounded_integer(request.query_params.get("proposal", ""), 1, MAX_COUNT)
    return _text(request, proposal_texts(shop, number).content if number else policy_text(shop))


@router.post("/offers/text")
@needs(Action.ACT, Area.OFFERS)
def propose_text(request: Request) -> Response:
    """Propose a whole policy.toml."""
    form = form_of(request)
    content, base = form.get("content", "").replace("\r\n", "\n"), form.get("base_version", "")
    try:
        number = proposals.propose_policy(context_of(request), content, note=form.get("note", ""), base_version=base)
    except (BadProposal, EditConflict) as error:
        return _text(request, content, note=form.get("note", ""), base=base, problem=error)
    return RedirectResponse(f"/offers/proposals/{number}?notice=proposed", 303)


@router.get("/offers/proposals")
@needs(Action.READ, Area.OFFERS)
def history(request: Request) -> Response:
    """Every proposal, the open ones first."""
    console = _console(request)
    require_known(request.query_params, FRAME_PARAMETERS)
    listed = policy_proposals(console.answers.shop)
    texts = console.words(request)
    rows = {one.proposal_id: _changes(console, one, request) for one in listed}
    summaries = {number: texts("list.joint").join(row[0] for row in changes[:3]) for number, changes in rows.items()}
    return console.page(
        request,
        "offers/offer_proposals.html",
        here=HERE,
        twin="/api/policy/proposals",
        open=[one for one in listed if one.state == proposals.PROPOSED],
        decided=[one for one in listed if one.state != proposals.PROPOSED],
        summaries=summaries,
        open_count=sum(one.state == proposals.PROPOSED for one in listed),
    )


@router.get("/offers/proposals/{number}")
@needs(Action.READ, Area.OFFERS)
def proposal(request: Request, number: str) -> Response:
    """What a proposal changes, what the next run would do with it, and who decides."""
    return _proposal_page(request, _number(number))


@router.post("/offers/proposals/{number}/approval")
@needs(Action.APPROVE, Area.OFFERS)
def approve(request: Request, number: str) -> Response:
    """Put a proposal in force."""
    return _step(request, number, "approved", proposals.approve_proposal)


@router.post("/offers/proposals/{number}/rejection")
@needs(Action.APPROVE, Area.OFFERS)
def reject(request: Request, number: str) -> Response:
    """Reject a proposal."""
    return _step(request, number, "rejected", proposals.reject_proposal)


@router.post("/offers/proposals/{number}/withdrawal")
@needs(Action.ACT, Area.OFFERS)
def withdraw(request: Request, number: str) -> Response:
    """Take an own proposal back."""
    return _step(request, number, "withdrawn", proposals.withdraw_proposal)


@router.post("/offers/proposals/{number}/preview")
@needs(Action.ACT, Area.OFFERS)
def preview(request: Request, number: str) -> Response:
    """Compute what the next run would do with a proposal, while the reader goes on."""

    def begin(context: RequestContext, of: int) -> None:
        proposals.begin_preview(context.shop, of, now=context.now)
        deadline = time.monotonic() + PREVIEW_SECONDS
        values = {"now": context.now, "progress": lambda *_: _require_time(deadline)}
        previewed = (context.shop, of)
        threading.Thread(
            target=proposals.preview_proposal, args=previewed, kwargs=values, name="policy preview", daemon=True
        ).start()

    return _step(request, number, "previewing", begin)


@router.post("/offers/proposals/{number}/restore")
@needs(Action.ACT, Area.OFFERS)
def restore(request: Request, number: str) -> Response:
    """Propose an earlier policy again."""
    is_before = form_of(request).get("which") == "before"
    try:
        fresh = proposals.propose_restore(context_of(request), _number(number), is_before=is_before)
    except PatronError as error:
        return _proposal_page(request, _number(number), problem=error)
    return RedirectResponse(f"/offers/proposals/{fresh}?notice=proposed", 303)


def _console(request: Request) -> Console:
    return request.app.state.console


def _require_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise BadProposal(PREVIEW_LONG(count=PREVIEW_SECONDS // 60), todo=USE_RUN)


def _number(text: str) -> int:
    number = bounded_integer(text, 1, MAX_COUNT)
    if number is None:
        raise NotFound(NO_PROPOSAL, where=text, todo=OPEN_FROM_PROPOSALS)
    return number


def _step(request: Request, number: str, notice: str, step: Callable[[RequestContext, int], object]) -> Response:
    try:
        step(context_of(request), _number(number))
    except (BadProposal, EditConflict) as error:
        return _proposal_page(request, _number(number), problem=error)
    return RedirectResponse(f"/offers/proposals/{_number(number)}?notice={notice}", 303)


def _changes(console: Console, one: PolicyProposal, request: Request) -> list[tuple[str, str | None, str | None]]:
    texts = console.words(request)
    return change_rows(one.changes, console.answers.shop.policy.offer_names, texts, console.formats(texts))


def _proposal_page(request: Request, number: int, problem: PatronError | None = None) -> Response:
    console = _console(request)
    require_known(request.query_params, ("notice", *FRAME_PARAMETERS))
    shop, now = console.answers.shop, datetime.now(UTC)
    shop.reload_settings()
    one = policy_proposal(shop, number)
    by = step_actor_of(request)
    notice = request.query_params.get("notice", "")
    started = datetime.fromisoformat(one.preview["started_at"]) if one.preview else now
    is_late = now - started > timedelta(seconds=PREVIEW_SECONDS * 2)
    return console.page(
        request,
        "offers/offer_proposal.html",
        here=HERE,
        twin=f"/api/policy/proposals/{number}",
        status=200 if problem is None else status_of(problem),
        proposal=one,
        changes=_changes(console, one, request),
        is_author=is_same_actor(by, one.proposed_by),
        preview_state="failed" if one.preview and one.preview["state"] == "running" and is_late else "",
        problem=problem,
        notice=notice if notice in NOTICES else "",
        open_count=open_proposal_count(shop),
    )


def _form(
    request: Request,
    values: Mapping[str, str],
    problems: Mapping[str, str],
    *,
    status: int = 200,
    problem: PatronError | None = None,
) -> Response:
    console = _console(request)
    policy = policy_in_force(console.answers.shop)
    return console.page(
        request,
        "offers/offer_edit.html",
        here=HERE,
        twin="/api/policy",
        status=status,
        policy=policy,
        form=policy_form(policy),
        values=values,
        problems=problems,
        problem=problem,
        newest="/offers/edit" if isinstance(problem, EditConflict) else "",
        kinds=KINDS,
        currency=console.answers.shop.settings.shop.currency,
        open_count=open_proposal_count(console.answers.shop),
    )


def _by_field(error: PatronError, values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, by the field that it is about; the rest stays with the error."""
    named = ((str(problem).partition(" ")[0].split("."), problem) for problem in problems_of(error.what))
    # why from the longest: a problem may be about a part of what one field holds
    of_field = (
        (next((name for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in values), ""), problem)
        for parts, problem in named
    )
    return {name: problem for name, problem in of_field if name}


def _text(
    request: Request, content: str, *, note: str = "", base: str = "", problem: PatronError | None = None
) -> Response:
    console = _console(request)
    return console.page(
        request,
        "offers/offer_text.html",
        here=HERE,
        twin="/api/policy",
        status=200 if problem is None else status_of(problem),
        content=content,
        base_version=base or console.answers.shop.policy.version,
        note=note,
        problems=_by_line(content, problem) if problem else [],
        problem=problem,
        newest="/offers/text" if isinstance(problem, EditConflict) else "",
        lines=min(max(content.count("\n") + 2, 12), 40),
        open_count=open_proposal_count(console.answers.shop),
    )


def _by_line(content: str, problem: PatronError) -> list[tuple[int | None, str]]:
    """Everything that is wrong, with the line on which it stands where that is found."""
    listed: list[tuple[int | None, str]] = []
    for what in problems_of(problem.what):
        parts = [int(part) if part.isdigit() else part for part in what.partition(" ")[0].split(".")]
        listed.append((line_of(content, parts) if parts[1:] else None, what))
    return listed
