"""Campaigns for programs: read with a read key; steps are taken with a secret key, which counts as their actor.

The body may name who uses the key: the name is kept with it. What a key saved, the same key cannot approve.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from patron.answers.campaign_list import CampaignDetail, CampaignLine, list_campaigns, show_campaign
from patron.commands.campaign_steps import approve, pause, resume, withdraw
from patron.commands.measure_campaign import CampaignResult, measure_campaign
from patron.commands.plan_campaign import CampaignPlan, plan_campaign
from patron.commands.save_campaign import save_campaign
from patron.interfaces.http.api_routes import answers_of
from patron.interfaces.http.keyed_routes import ReadKeyRoute, SecretKeyRoute, actor_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.storage.campaign_file import Campaign
from patron.storage.campaigns import SavedCampaign

Name = Annotated[str, Path(max_length=100, description="Name of the campaign.")]


class StepBody(BaseModel):
    """Who takes the step."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(default="", max_length=100, description="Name of whoever uses the key; kept with the key.")


class ApprovalBody(StepBody):
    """Who approves, and what."""

    version: int | None = Field(
        default=None, ge=1, description="Version that is approved; refused where another one was saved since."
    )


class ReasonBody(StepBody):
    """Who takes the step, and why."""

    reason: str = Field(default="", max_length=300)


class CampaignBody(StepBody):
    """A campaign as its file has it, with the bodies of its templates, and who saves it."""

    campaign: dict[str, object]


class CampaignState(BaseModel):
    """A campaign after a step."""

    name: str
    version: int
    state: str

    @classmethod
    def of(cls, saved: SavedCampaign) -> "CampaignState":
        """The state of a saved campaign."""
        return cls(name=saved.name, version=saved.version, state=saved.state)


router = APIRouter(
    prefix="/api/campaigns",
    tags=["campaigns"],
    route_class=ReadKeyRoute,
    dependencies=[Depends(require_known_parameters)],
)
steps = APIRouter(
    prefix="/api/campaigns",
    tags=["steps of campaigns"],
    route_class=SecretKeyRoute,
    dependencies=[Depends(require_known_parameters)],
)
ROUTERS = (router, steps)


@router.get("")
def campaigns(request: Request) -> tuple[CampaignLine, ...]:
    """Every campaign: its state, messages, forecast and measured effect."""
    return list_campaigns(answers_of(request).shop)


@router.get("/{name}")
def campaign(request: Request, name: Name) -> CampaignDetail:
    """One campaign: its versions, steps, plan, messages and result."""
    return show_campaign(answers_of(request).shop, name)


@steps.post("")
def save(request: Request, body: CampaignBody) -> CampaignState:
    """Save a campaign as a draft: a new version, or none where nothing changed."""
    content = Campaign.of(body.campaign, where="campaign")
    saved = save_campaign(answers_of(request).shop, content, by=actor_of(request, body.by), now=datetime.now(UTC))
    return CampaignState.of(saved)


@steps.post("/{name}/plan")
def plan(request: Request, name: Name, body: StepBody) -> CampaignPlan:
    """Plan a campaign in money."""
    return plan_campaign(answers_of(request).shop, name, by=actor_of(request, body.by), now=datetime.now(UTC))


@steps.post("/{name}/approve")
def approve_(request: Request, name: Name, body: ApprovalBody) -> CampaignState:
    """Approve a plan; neither the author of the version can, nor the key that saved it."""
    shop, by = answers_of(request).shop, actor_of(request, body.by)
    return CampaignState.of(approve(shop, name, by=by, now=datetime.now(UTC), version=body.version))


@steps.post("/{name}/pause")
def pause_(request: Request, name: Name, body: ReasonBody) -> CampaignState:
    """Stop sending for now."""
    saved = pause(
        answers_of(request).shop, name, by=actor_of(request, body.by), now=datetime.now(UTC), reason=body.reason
    )
    return CampaignState.of(saved)


@steps.post("/{name}/resume")
def resume_(request: Request, name: Name, body: StepBody) -> CampaignState:
    """Go on where it was stopped."""
    return CampaignState.of(
        resume(answers_of(request).shop, name, by=actor_of(request, body.by), now=datetime.now(UTC))
    )


@steps.post("/{name}/withdraw")
def withdraw_(request: Request, name: Name, body: ReasonBody) -> CampaignState:
    """Stop for good; what was sent stays on record."""
    saved = withdraw(
        answers_of(request).shop, name, by=actor_of(request, body.by), now=datetime.now(UTC), reason=body.reason
    )
    return CampaignState.of(saved)


@steps.post("/{name}/result")
def result(request: Request, name: Name, body: StepBody) -> CampaignResult:
    """Measure against the holdout by the last run; before the end this is the result so far."""
    return measure_campaign(answers_of(request).shop, name, by=actor_of(request, body.by), now=datetime.now(UTC))
