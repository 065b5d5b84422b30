"""Campaigns for programs: read with a read key; steps are taken with a secret key, which counts as their actor.

The body may name who uses the key: the name is kept with it. What somebody's key saved, they cannot approve.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Request

from patron.answers.outreach.campaign_list import CampaignDetail, CampaignLine, list_campaigns, show_campaign
from patron.commands.outreach.campaigns.measure_campaign import CampaignResult, measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import CampaignPlan, plan_campaign
from patron.commands.outreach.campaigns.save_campaign import save_campaign
from patron.commands.outreach.messages.message_reach import MessageReach, message_reach
from patron.interfaces.http.access.access_control import context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.outreach.life_routes import Name, StepBody, VersionState, add_life_routes, routers_of
from patron.schema.access.access_rights import Action, Area
from patron.service.jobs import start_trial
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.runs.jobs import Job

Exclude = Annotated[Sequence[str], Query(description="segments whose members are left out")]


class CampaignBody(StepBody):
    """A campaign as its file has it, with the bodies of its templates, and who saves it."""

    campaign: dict[str, object]


router, steps = routers_of("campaign")
ROUTERS = (router, steps)


@router.get("")
@needs(Action.READ, Area.CAMPAIGNS)
def campaigns(request: Request) -> tuple[CampaignLine, ...]:
    """Every campaign: its state, messages, forecast and measured effect."""
    return list_campaigns(answers_of(request).shop)


@router.get("/reach/{segment}")
@needs(Action.ACT, Area.CAMPAIGNS)
def reach(
    request: Request, segment: Name, channel: str = "email", topic: str = "", exclude: Exclude = ()
) -> MessageReach:
    """How many of a segment a message may go to today, and why not to the others."""
    shop, now = answers_of(request).shop, datetime.now(UTC)
    return message_reach(shop, segment, channel=channel, topic=topic, exclude=exclude, now=now)


@router.get("/{name}")
@needs(Action.READ, Area.CAMPAIGNS)
def campaign(request: Request, name: Name) -> CampaignDetail:
    """One campaign: its versions, steps, plan, messages and result."""
    return show_campaign(answers_of(request).shop, name)


@steps.post("")
@needs(Action.ACT, Area.CAMPAIGNS)
def save(request: Request, body: CampaignBody) -> VersionState:
    """Save a campaign as a draft: a new version, or none where nothing changed."""
    content = Campaign.of(body.campaign, where="campaign")
    saved = save_campaign(context_of(request, body.by), content)
    return VersionState.of(saved)


@steps.post("/{name}/plan")
@needs(Action.ACT, Area.CAMPAIGNS)
def plan(request: Request, name: Name, body: StepBody) -> CampaignPlan:
    """Plan a campaign in money."""
    return plan_campaign(context_of(request, body.by), name)


@steps.post("/{name}/result")
@needs(Action.ACT, Area.CAMPAIGNS)
def result(request: Request, name: Name, body: StepBody) -> CampaignResult:
    """Measure against the holdout by the last run; before the end this is the result so far."""
    return measure_campaign(context_of(request, body.by), name)


@steps.post("/{name}/trial")
@needs(Action.ACT, Area.CAMPAIGNS)
def trial(request: Request, name: Name, body: StepBody) -> Job:
    """Try the newest version on a simulated shop whose truth is known, in the background: some minutes."""
    return start_trial(context_of(request, body.by), name)


add_life_routes(steps, CAMPAIGN)
