"""The pages of journeys: list, one journey with numbers on each step, from its plan to its result."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.outreach.journey_list import JourneyDetail, JourneyLine, list_journeys, show_journey
from patron.answers.segments.saved_segments import segment_names
from patron.commands.outreach.journeys.journey_step_results import StepResult, step_results
from patron.commands.outreach.journeys.measure_journey import measure_journey
from patron.commands.outreach.journeys.plan_journey import REPLAYED_DAYS, plan_journey
from patron.commands.outreach.messages.sample_message import sample_message
from patron.interfaces.console.outreach.campaign_pages import campaign_texts
from patron.interfaces.console.outreach.engagement_pages import (
    TONES,
    DraftPages,
    add_draft_pages,
    approval_obstacle,
    engagement_texts,
    message_page,
    path_of,
    refused_message,
    shop_of,
)
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.console.segments.rule_options import rule_texts
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.journey_texts import JourneyTexts
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.common_sentences import NO_SUCH_MESSAGE
from patron.schema.errors import NotFound, PatronError
from patron.storage.outreach.journey_file import JOURNEY, Journey, Send

router = APIRouter(route_class=GuardedRoute)
FILE_COLUMNS = tuple(column.name for column in fields(JourneyLine))


@dataclass(frozen=True)
class StepLine:
    """One step of the newest version, as the page shows it."""

    number: int
    step_id: str
    do: str
    text: str
    waiting_count: int
    result: StepResult | None
    """What it sent; None for a step that sends nothing, or has sent nothing yet."""
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
    sent = {result.step: result for result in results if result.version == version}
    for place, step in enumerate(journey.steps):
        step_id = journey.step_id(place)
        languages = {code: one.format for code, one in step.template.items()} if isinstance(step, Send) else {}
        text = write.step(journey, place)
        yield StepLine(
            place + 1,
            step_id,
            do=step.do,
            text=text,
            waiting_count=waiting.get(place, 0),
            result=sent.get(step_id),
            languages=languages,
        )


@router.get("/journeys")
@needs(Action.READ, Area.CAMPAIGNS)
def journeys(request: Request) -> Response:
    """Every journey."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("format", *FRAME_PARAMETERS))
    lines = list_journeys(console.answers.shop)
    if request.query_params.get("format") == "csv":
        rows = [fields_of(line) for line in lines]
        return list_file(request, ExportedList.JOURNEYS, rows, area=Area.CAMPAIGNS, columns=FILE_COLUMNS)
    return console.page(
        request,
        "outreach/journeys.html",
        here="journeys",
        twin="/api/journeys",
        lines=lines,
        tones=TONES,
    )


@router.get("/journeys/{name}/message/{number}/{language}")
@needs(Action.READ, Area.CAMPAIGNS)
def message(request: Request, name: str, number: int, language: str) -> Response:
    """The message of one step in one language, alone, to nobody: for a frame."""
    content = Journey.of(dict(show_journey(shop_of(request), name).content), where=name)
    try:
        step = content.steps[number - 1] if 1 <= number <= len(content.steps) else None
        if not isinstance(step, Send) or language not in step.template:
            raise NotFound(NO_SUCH_MESSAGE, where=f"{number}/{language}")
        shown = sample_message(
            shop_of(request), step.template[language], language=language, offer=step.offer, now=datetime.now(UTC)
        )
    except PatronError as error:
        return refused_message(request, error)
    return message_page(shown, is_text=request.query_params.get("as") == "text", subject=shown.subject)


def _facts(request: Request, detail: JourneyDetail) -> Mapping[str, Any]:
    console: Console = request.app.state.console
    shop = shop_of(request)
    write = journey_texts(request)
    texts = console.words(request)
    name = detail.line.name
    content, path = Journey.of(dict(detail.content), where=name), path_of(JOURNEY, name)
    start = engagement_texts(request).moment(content.start) if content.start else ""
    lines = list(step_lines(detail, step_results(shop.store, name), write))
    return {
        "rows": list(write.rows(content)),
        "lines": lines,
        "older_count": sum(one.count for one in detail.waiting if one.version != detail.line.version),
        "start": start or texts("journeys.start_once"),
        "start_at": start,
        "replayed_days": REPLAYED_DAYS,
        "approval_obstacle": approval_obstacle(request, JOURNEY, name),
        "frames": [
            (
                f"{texts('journeys.step_number', number=line.number)} · {texts.code('language', language)}",
                f"{path}/message/{line.number}/{language}",
                way == "text",
            )
            for line in lines
            for language, way in line.languages.items()
        ],
    }


PAGES = DraftPages(
    drafts=JOURNEY,
    detail=show_journey,
    facts=_facts,
    changes=lambda request: journey_texts(request).changes,
    plan=plan_journey,
    measure=measure_journey,
    fragments={"journey-steps": "outreach/_journey_steps.html"},
)
add_draft_pages(router, PAGES)
