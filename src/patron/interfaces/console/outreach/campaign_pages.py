"""The pages of campaigns: list, calendar, one campaign from its plan to its result, and the steps of its life."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.outreach.campaign_list import (
    CampaignDetail,
    CampaignLine,
    list_campaigns,
    planned_recipients,
    show_campaign,
    version_contents,
)
from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
from patron.commands.outreach.messages.preview_message import preview_message
from patron.commands.outreach.messages.sample_message import sample_message
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
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, needs, step_actor_of
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.campaign_texts import CampaignTexts
from patron.interfaces.i18n.engagement_texts import EngagementTexts
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import NotFound, PatronError, WorkspaceBusy
from patron.service.jobs import start_trial
from patron.storage.outreach.campaign_file import CAMPAIGN, Template
from patron.storage.outreach.versioned_drafts import STATES

router = APIRouter(route_class=GuardedRoute)
DAYS_OF_WEEK = 7
FILE_COLUMNS = (
    "name",
    "version",
    "state",
    "goal",
    "channel",
    "segment",
    "start",
    "end",
    "budget_cents",
    "planned_messages",
    "sent_messages",
    "forecast_cents",
    "effect_cents",
    "saved_by",
    "saved_at",
)


def campaign_texts(request: Request) -> CampaignTexts:
    """Writes campaigns in the reader's language."""
    console: Console = request.app.state.console
    texts, policy = console.words(request), console.answers.shop.policy
    return CampaignTexts(texts, console.formats(texts), policy.offer_names, policy.topics)


def engagement_texts(request: Request) -> EngagementTexts:
    """Writes about campaigns and journeys in the reader's language."""
    console: Console = request.app.state.console
    texts = console.words(request)
    return EngagementTexts(texts, console.formats(texts))


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
        return list_file(request, "campaigns", rows, area=Area.CAMPAIGNS, columns=FILE_COLUMNS)
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
        one for one in list_campaigns(console.answers.shop) if one.start.date() <= last and one.end.date() >= first
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
        of_day = [one for one in lines if one.start.date() <= day <= one.end.date()]
        moment = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        days.append({"day": day, "moment": moment, "is_inside": first <= day <= last, "lines": of_day})
    return [days[at : at + DAYS_OF_WEEK] for at in range(0, len(days), DAYS_OF_WEEK)]


@router.get("/campaigns/{name}")
@needs(Action.READ, Area.CAMPAIGNS)
def campaign(request: Request, name: str) -> Response:
    """One campaign: its state, its plan in money, and how sending goes."""
    require_known(request.query_params, ("done", *FRAME_PARAMETERS))
    return _page(request, name)


def _page(request: Request, name: str, error: PatronError | None = None) -> Response:
    return _show(request, show_campaign(shop_of(request), name), "outreach/campaign.html", "overview", error=error)


@router.get("/campaigns/{name}/approval")
@needs(Action.READ, Area.CAMPAIGNS)
def approval(request: Request, name: str) -> Response:
    """What somebody else has to look at before they approve: changes, money, texts."""
    return _approval(request, name)


def _approval(request: Request, name: str, error: PatronError | None = None) -> Response:
    detail = show_campaign(shop_of(request), name)
    versions = version_contents(shop_of(request), CAMPAIGN, name)
    change = since_approval(versions, detail.steps, campaign_texts(request).changes)
    return framing(_show(request, detail, "outreach/campaign_approval.html", "overview", error=error, change=change))


@router.get("/campaigns/{name}/messages")
@needs(Action.READ, Area.CAMPAIGNS)
def messages(request: Request, name: str) -> Response:
    """Its texts as they are read, in each language."""
    detail = show_campaign(shop_of(request), name)
    reads_customers = actor_of(request).may(Action.READ, Area.MESSAGES) and not actor_of(request).segment
    some = planned_recipients(shop_of(request), name, limit=1) if reads_customers else ()
    return framing(
        _show(
            request,
            detail,
            "outreach/campaign_messages.html",
            "messages",
            recipients=some,
            unsettled=unsettled_messages(request, name),
        )
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
            raise NotFound("the customer is not among yours", where="customer")
        by = step_actor_of(request)
        shown = preview_message(shop_of(request), name, customer_id, now=datetime.now(UTC), by=by, is_masked=True)
    except PatronError as error:
        return refused_message(request, error)
    return message_page(shown, is_text=request.query_params.get("as") == "text", subject=shown.subject)


@router.get("/campaigns/{name}/result")
@needs(Action.READ, Area.CAMPAIGNS)
def result(request: Request, name: str) -> Response:
    """The result that was kept."""
    detail = show_campaign(shop_of(request), name)
    return _show(request, detail, "outreach/campaign_result.html", "result", result=detail.result)


@router.post("/campaigns/{name}/result")
@needs(Action.ACT, Area.CAMPAIGNS)
def measure(request: Request, name: str) -> Response:
    """Measure it by the last run, and show that."""
    try:
        measured = measure_campaign(shop_of(request), name, by=step_actor_of(request), now=datetime.now(UTC))
    except PatronError as error:
        detail = show_campaign(shop_of(request), name)
        return _show(request, detail, "outreach/campaign_result.html", "result", error=error, result=detail.result)
    detail = show_campaign(shop_of(request), name)
    return _show(request, detail, "outreach/campaign_result.html", "result", result=msgspec.to_builtins(measured))


@router.get("/campaigns/{name}/history")
@needs(Action.READ, Area.CAMPAIGNS)
def history(request: Request, name: str) -> Response:
    """Who did what when, and what each version changed."""
    detail = show_campaign(shop_of(request), name)
    versions = version_contents(shop_of(request), CAMPAIGN, name)
    steps = list(version_steps(versions, campaign_texts(request).changes))
    return _show(request, detail, "outreach/campaign_history.html", "history", versions=steps)


@router.post("/campaigns/{name}/plan")
@needs(Action.ACT, Area.CAMPAIGNS)
def plan(request: Request, name: str) -> Response:
    """Plan it in money."""
    try:
        plan_campaign(shop_of(request), name, by=step_actor_of(request), now=datetime.now(UTC))
    except PatronError as error:
        return _page(request, name, error)
    return after(CAMPAIGN, name, "planned")


@router.post("/campaigns/{name}/try")
@needs(Action.ACT, Area.CAMPAIGNS)
def try_campaign(request: Request, name: str) -> Response:
    """Try it on a simulated shop, in the background."""
    try:
        job = start_trial(shop_of(request), name, by=step_actor_of(request), now=datetime.now(UTC))
    except WorkspaceBusy as error:
        return _page(request, name, error)
    return RedirectResponse(f"/jobs/{job.job_id}", 303)


add_life_pages(router, CAMPAIGN, page=_page, approval=_approval)
add_settlement(router, CAMPAIGN, page=_page)


def _show(
    request: Request, detail: CampaignDetail, template: str, tab: str, error: PatronError | None = None, **facts: Any
) -> Response:
    console: Console = request.app.state.console
    name, line = detail.line.name, detail.line
    values: Mapping[str, Any] = {
        "detail": detail,
        "line": line,
        "path": path_of(CAMPAIGN, name),
        "kind": CAMPAIGN.kind,
        "tab": tab,
        "error": error,
        "rows": list(campaign_texts(request).rows(detail.content)),
        "write": engagement_texts(request),
        "moment_of": datetime.fromisoformat,
        "write_content": campaign_texts(request),
        "approval_obstacle": approval_obstacle(request, line.saved_by, line.budget_cents),
        "may_approve": may_approve(request),
        **life_of(line.state, console, request),
    }
    return console.page(
        request,
        template,
        here="campaigns",
        twin=f"/api/campaigns/{quote(name, safe='')}",
        status=status_of(error) if error else 200,
        fragments={"sending": "outreach/_sending.html"},
        **{**values, **facts},
    )
