"""The pages of journeys: list, one journey with numbers on each step, from its plan to its result."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.outreach.campaign_list import version_contents
from patron.answers.outreach.journey_list import JourneyDetail, list_journeys, show_journey
from patron.answers.segments.saved_segments import segment_names
from patron.commands.outreach.journeys.journey_step_results import StepResult, step_results
from patron.commands.outreach.journeys.measure_journey import measure_journey
from patron.commands.outreach.journeys.plan_journey import REPLAYED_DAYS, plan_journey
from patron.commands.outreach.messages.sample_message import sample_message
from patron.interfaces.console.outreach.campaign_pages import campaign_texts, engagement_texts
from patron.interfaces.console.outreach.engagement_pages import (
    TONES,
    add_life_pages,
    add_settlement,
    after,
    approval_obstacle,
    framing,
    life_of,
    may_approve,
    message_page,
    path_of,
    refused_message,
    shop_of,
    since_approval,
    unsettled_messages,
    version_steps,
)
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.console.segments.rule_options import rule_texts
from patron.interfaces.http.access.access_control import GuardedRoute, needs, step_actor_of
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.journey_texts import JourneyTexts
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import NotFound, PatronError
from patron.storage.outreach.journey_file import JOURNEY, Journey, Send

router = APIRouter(route_class=GuardedRoute)
FILE_COLUMNS = (
    "name",
    "version",
    "state",
    "trigger",
    "channel",
    "step_count",
    "monthly_budget_cents",
    "start",
    "end",
    "entry_count",
    "active_count",
    "sent_messages",
    "saved_by",
    "saved_at",
)


@dataclass(frozen=True)
class StepLine:
    """One step of the newest version, as the page shows it."""

    number: int
    step_id: str
    do: str
    text: str
    waiting_count: int
    result: StepResult | None
    """What it sent; None for a step that sends nothing, or did not yet."""
    languages: dict[str, str]
    """Of the message of a step that sends, each with its format."""


def journey_texts(request: Request) -> JourneyTexts:
    """Writes journeys in the reader's language."""
    console: Console = request.app.state.console
    rules = rule_texts(console, console.words(request), segment_names(console.answers.shop))
    return JourneyTexts(campaign_texts(request), rules)


def step_lines(detail: JourneyDetail, results: tuple[StepResult, ...], write: JourneyTexts) -> Iterator[StepLine]:
    """Steps of the newest version with their numbers."""
    journey, version = Journey.of(dict(detail.content), where=detail.line.name), detail.line.version
    waiting = {one.place: one.count for one in detail.waiting if one.version == version}
    sent = {one.step: one for one in results if one.version == version}
    for place, step in enumerate(journey.steps):
        step_id = journey.step_id(place)
        languages = {code: one.format for code, one in step.template.items()} if isinstance(step, Send) else {}
        text = write.step(journey, place)
        yield StepLine(place + 1, step_id, step.do, text, waiting.get(place, 0), sent.get(step_id), languages)


@router.get("/journeys")
@needs(Action.READ, Area.CAMPAIGNS)
def journeys(request: Request) -> Response:
    """Every journey."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("format", *FRAME_PARAMETERS))
    lines = list_journeys(console.answers.shop)
    if request.query_params.get("format") == "csv":
        rows = [fields_of(line) for line in lines]
        return list_file(request, "journeys", rows, area=Area.CAMPAIGNS, columns=FILE_COLUMNS)
    return console.page(
        request,
        "outreach/journeys.html",
        here="journeys",
        twin="/api/journeys",
        lines=lines,
        tones=TONES,
    )


@router.get("/journeys/{name}")
@needs(Action.READ, Area.CAMPAIGNS)
def journey(request: Request, name: str) -> Response:
    """One journey: its state, its steps with numbers, and its plan."""
    require_known(request.query_params, ("done", *FRAME_PARAMETERS))
    return _page(request, name)


def _page(request: Request, name: str, error: PatronError | None = None) -> Response:
    return _show(request, name, "outreach/journey.html", "overview", error=error)


@router.get("/journeys/{name}/approval")
@needs(Action.READ, Area.CAMPAIGNS)
def approval(request: Request, name: str) -> Response:
    """What somebody else has to look at before they approve: changes, steps, money, texts."""
    return _approval(request, name)


def _approval(request: Request, name: str, error: PatronError | None = None) -> Response:
    versions = version_contents(shop_of(request), JOURNEY, name)
    detail = show_journey(shop_of(request), name)
    change = since_approval(versions, detail.steps, journey_texts(request).changes)
    return framing(_show(request, name, "outreach/journey_approval.html", "overview", error=error, change=change))


@router.get("/journeys/{name}/messages")
@needs(Action.READ, Area.CAMPAIGNS)
def messages(request: Request, name: str) -> Response:
    """Its texts as they are read."""
    return framing(
        _show(request, name, "outreach/journey_messages.html", "messages", unsettled=unsettled_messages(request, name))
    )


@router.get("/journeys/{name}/message/{number}/{language}")
@needs(Action.READ, Area.CAMPAIGNS)
def message(request: Request, name: str, number: int, language: str) -> Response:
    """The message of one step in one language, alone, to nobody: for a frame."""
    content = Journey.of(dict(show_journey(shop_of(request), name).content), where=name)
    try:
        step = content.steps[number - 1] if 1 <= number <= len(content.steps) else None
        if not isinstance(step, Send) or language not in step.template:
            raise NotFound("no such message", where=f"{number}/{language}")
        shown = sample_message(
            shop_of(request), step.template[language], language=language, offer=step.offer, now=datetime.now(UTC)
        )
    except PatronError as error:
        return refused_message(request, error)
    return message_page(shown, is_text=request.query_params.get("as") == "text", subject=shown.subject)


@router.get("/journeys/{name}/result")
@needs(Action.READ, Area.CAMPAIGNS)
def result(request: Request, name: str) -> Response:
    """The result that was kept."""
    return _show(request, name, "outreach/campaign_result.html", "result")


@router.post("/journeys/{name}/result")
@needs(Action.ACT, Area.CAMPAIGNS)
def measure(request: Request, name: str) -> Response:
    """Measure it by the last run, and show that."""
    try:
        measured = measure_journey(shop_of(request), name, by=step_actor_of(request), now=datetime.now(UTC))
    except PatronError as error:
        return _show(request, name, "outreach/campaign_result.html", "result", error=error)
    return _show(request, name, "outreach/campaign_result.html", "result", result=msgspec.to_builtins(measured))


@router.get("/journeys/{name}/history")
@needs(Action.READ, Area.CAMPAIGNS)
def history(request: Request, name: str) -> Response:
    """Who did what when, and what each version changed."""
    versions = version_contents(shop_of(request), JOURNEY, name)
    steps = list(version_steps(versions, journey_texts(request).changes))
    return _show(request, name, "outreach/campaign_history.html", "history", versions=steps)


@router.post("/journeys/{name}/plan")
@needs(Action.ACT, Area.CAMPAIGNS)
def plan(request: Request, name: str) -> Response:
    """Plan it by replay."""
    try:
        plan_journey(shop_of(request), name, by=step_actor_of(request), now=datetime.now(UTC))
    except PatronError as error:
        return _page(request, name, error)
    return after(JOURNEY, name, "planned")


add_life_pages(router, JOURNEY, page=_page, approval=_approval)
add_settlement(router, JOURNEY, page=_page)


def _show(
    request: Request, name: str, template: str, tab: str, error: PatronError | None = None, **facts: Any
) -> Response:
    console: Console = request.app.state.console
    shop = shop_of(request)
    detail, write = show_journey(shop, name), journey_texts(request)
    content = Journey.of(dict(detail.content), where=name)
    engagement = engagement_texts(request)
    values: Mapping[str, Any] = {
        "detail": detail,
        "line": detail.line,
        "path": path_of(JOURNEY, name),
        "kind": JOURNEY.kind,
        "tab": tab,
        "error": error,
        "rows": list(write.rows(content)),
        "lines": list(step_lines(detail, step_results(shop.store, name), write)),
        "older_count": sum(one.count for one in detail.waiting if one.version != detail.line.version),
        "start": engagement.moment(content.start) if content.start else console.words(request)("journeys.start_once"),
        "start_at": engagement.moment(content.start) if content.start else "",
        "write": engagement,
        "moment_of": datetime.fromisoformat,
        "replayed_days": REPLAYED_DAYS,
        "approval_obstacle": approval_obstacle(request, detail.line.saved_by, detail.line.monthly_budget_cents),
        "may_approve": may_approve(request),
        "result": detail.result,
        **life_of(detail.line.state, console, request),
    }
    return console.page(
        request,
        template,
        here="journeys",
        twin=f"/api/journeys/{quote(name, safe='')}",
        status=status_of(error) if error else 200,
        fragments={"journey-steps": "outreach/_journey_steps.html"},
        **{**values, **facts},
    )
