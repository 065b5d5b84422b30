"""The pages of campaigns: list, calendar, one campaign from its plan to its result, and the steps of its life."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.outreach.campaign_list import (
    CampaignDetail,
    CampaignLine,
    list_campaigns,
    planned_recipients,
    show_campaign,
)
from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
from patron.commands.outreach.messages.hold_sending import release_sending, show_sending
from patron.commands.outreach.messages.preview_message import preview_message
from patron.commands.outreach.messages.sample_message import sample_message
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
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs,
    of_whole_shop,
)
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.campaign_texts import CampaignTexts
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import NotFound, PatronError, WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.service.jobs import start_trial
from patron.storage.outreach.campaign_file import CAMPAIGN, Template
from patron.storage.outreach.versioned_drafts import STATES

NOT_AMONG_YOURS = Sentence("not_among_yours", "the customer is not among yours")

router = APIRouter(route_class=GuardedRoute)
DAYS_OF_WEEK = 7
FILE_COLUMNS = tuple(column.name for column in fields(CampaignLine))


def campaign_texts(request: Request) -> CampaignTexts:
    """Writes campaigns in the reader's language."""
    console: Console = request.app.state.console
    texts, policy = console.words(request), console.answers.shop.policy
    return CampaignTexts(texts, console.formats(texts), policy.offer_names, policy.topics)


@router.get("/campaigns")
@needs(Action.READ, Area.CAMPAIGNS)
def campaigns(request: Request) -> Response:
    """Every campaign, or those in one state."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("state", "format", *FRAME_PARAMETERS))
    lines, state = list_campaigns(console.answers.shop), request.query_params.get("state", "")
    chosen = [line for line in lines if state in {"", line.state}]
    if request.query_params.get("format") == "csv":
        rows = [fields_of(line) for line in chosen]
        return list_file(request, ExportedList.CAMPAIGNS, rows, area=Area.CAMPAIGNS, columns=FILE_COLUMNS)
    return console.page(
        request,
        "outreach/campaigns.html",
        here="campaigns",
        twin="/api/campaigns",
        lines=sorted(chosen, key=lambda line: line.start, reverse=True),
        is_empty=not lines,
        state=state,
        states=STATES,
        tones=TONES,
        write=engagement_texts(request),
    )


@router.get("/campaigns/calendar")
@needs(Action.READ, Area.CAMPAIGNS)
def calendar(request: Request) -> Response:
    """Campaigns by day of one month."""
    console: Console = request.app.state.console
    require_known(request.query_params, ("month", *FRAME_PARAMETERS))
    zone = ZoneInfo(console.answers.shop.settings.shop.time_zone)
    today = datetime.now(UTC).astimezone(zone).date()
    first = _month(request.query_params.get("month", ""), today)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    lines = [
        campaign
        for campaign in list_campaigns(console.answers.shop)
        if campaign.start.date() <= last and campaign.end.date() >= first
    ]
    return console.page(
        request,
        "outreach/campaign_calendar.html",
        here="campaigns",
        twin="/api/campaigns",
        first=datetime(first.year, first.month, 1, 12, tzinfo=zone),
        weeks=_weeks(first, last, lines, zone),
        before=f"{first - timedelta(days=1):%Y-%m}",
        after=f"{last + timedelta(days=1):%Y-%m}",
        today=today,
        tones=TONES,
        write=engagement_texts(request),
    )


def _month(text: str, today: date) -> date:
    """First day of the month that an address names, else of this month."""
    try:
        return datetime.strptime(text[:7], "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return today.replace(day=1)


def _weeks(first: date, last: date, lines: list[CampaignLine], zone: ZoneInfo) -> list[list[dict[str, Any]]]:
    """Weeks of a month from Monday on, each day with the campaigns of it."""
    start = first - timedelta(days=first.weekday())
    days = []
    for number in range(((last - start).days // DAYS_OF_WEEK + 1) * DAYS_OF_WEEK):
        day = start + timedelta(days=number)
        of_day = [line for line in lines if line.start.date() <= day <= line.end.date()]
        moment = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        days.append({"day": day, "moment": moment, "is_inside": first <= day <= last, "lines": of_day})
    return [days[at : at + DAYS_OF_WEEK] for at in range(0, len(days), DAYS_OF_WEEK)]


@router.get("/sending")
@needs(Action.READ, Area.CAMPAIGNS)
def sending(request: Request) -> Response:
    """Whether sending is held since a restore, and the form that releases it."""
    require_known(request.query_params, FRAME_PARAMETERS)
    return _sending_page(request)


@router.post("/sending/release")
@needs(Action.APPROVE, Area.CAMPAIGNS)
@of_whole_shop
def release(request: Request) -> Response:
    """Release sending by saying what was sent since the backup."""
    form = form_of(request)
    try:
        release_sending(
            context_of(request), sent=form.get("sent", ""), is_nothing_sent=form.get("outcome") == "nothing"
        )
    except PatronError as error:
        return _sending_page(request, error)
    return RedirectResponse("/sending", 303)


def _sending_page(request: Request, error: PatronError | None = None) -> Response:
    return request.app.state.console.page(
        request,
        "outreach/sending.html",
        here="campaigns",
        twin="/api/sending",
        status=status_of(error) if error else 200,
        state=show_sending(shop_of(request)),
        error=error,
    )


@router.get("/campaigns/{name}/message/{language}")
@needs(Action.READ, Area.CAMPAIGNS)
def message(request: Request, name: str, language: str) -> Response:
    """The message in one language, alone, to nobody: for a frame."""
    content = show_campaign(shop_of(request), name).content
    try:
        template = Template.model_validate(
            content["template"].get(language) or next(iter(content["template"].values()))
        )
        offer = next(iter(content["offers"]), "")
        shown = sample_message(shop_of(request), template, language=language, offer=offer, now=datetime.now(UTC))
    except PatronError as error:
        return refused_message(request, error)
    return message_page(shown, is_text=request.query_params.get("as") == "text", subject=shown.subject)


@router.get("/campaigns/{name}/message-to/{customer_id}")
@needs(Action.READ, Area.MESSAGES)
def message_to(request: Request, name: str, customer_id: str) -> Response:
    """The message as one customer would get it, masked: for a frame. Who sees some customers only has no such page."""
    try:
        if actor_of(request).segment:
            raise NotFound(NOT_AMONG_YOURS, where="customer")
        shown = preview_message(context_of(request), name, customer_id, is_masked=True)
    except PatronError as error:
        return refused_message(request, error)
    return message_page(shown, is_text=request.query_params.get("as") == "text", subject=shown.subject)


@router.post("/campaigns/{name}/try")
@needs(Action.ACT, Area.CAMPAIGNS)
def try_campaign(request: Request, name: str) -> Response:
    """Try it on a simulated shop, in the background."""
    try:
        job = start_trial(context_of(request), name)
    except WorkspaceBusy as error:
        return PAGES.overview(request, name, error)
    return RedirectResponse(f"/jobs/{job.job_id}", 303)


def _facts(request: Request, detail: CampaignDetail) -> Mapping[str, Any]:
    line, write = detail.line, campaign_texts(request)
    texts, path = request.app.state.console.words(request), path_of(CAMPAIGN, line.name)
    languages = detail.content["template"].items()
    return {
        "rows": list(write.rows(detail.content)),
        "write_content": write,
        "approval_obstacle": approval_obstacle(request, CAMPAIGN, line.name),
        "frames": [
            (
                texts("campaigns.form.language", language=texts.code("language", language)),
                f"{path}/message/{language}",
                template["format"] == "text",
            )
            for language, template in languages
        ],
    }


def _recipients(request: Request, name: str) -> Sequence[str]:
    if actor_of(request).segment or not actor_of(request).may(Action.READ, Area.MESSAGES):
        return ()
    return planned_recipients(shop_of(request), name, limit=1)


PAGES = DraftPages(
    drafts=CAMPAIGN,
    detail=show_campaign,
    facts=_facts,
    changes=lambda request: campaign_texts(request).changes,
    plan=plan_campaign,
    measure=measure_campaign,
    fragments={"sending": "outreach/_sending.html"},
    recipients=_recipients,
)
add_draft_pages(router, PAGES)
