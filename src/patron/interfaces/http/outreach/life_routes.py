"""Steps that programs take with a campaign or a journey by a secret key: what both share."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from patron.answers.outreach.campaign_list import VersionContent, version_contents
from patron.commands.outreach.campaigns import campaign_steps
from patron.commands.outreach.messages.settle_message import settle_message
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.storage.outreach.versioned_drafts import SavedVersion, VersionedDrafts

Name = Annotated[str, Path(max_length=100, description="Name of the campaign or journey.")]


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


class SettlementBody(StepBody):
    """Who settles which message, and how."""

    message_id: str = Field(max_length=200)
    is_sent: bool


class Settlement(BaseModel):
    """A message whose outcome is known now."""

    message_id: str
    is_sent: bool


class VersionState(BaseModel):
    """A campaign or a journey after a step."""

    name: str
    version: int
    state: str

    @classmethod
    def of(cls, saved: SavedVersion[Any]) -> "VersionState":
        """The state of what is saved."""
        return cls(name=saved.name, version=saved.version, state=saved.state)


def routers_of(kind: str) -> tuple[APIRouter, APIRouter]:
    """Routers of what programs read of campaigns or journeys, and of the steps that they take."""
    shared: dict[str, Any] = {"prefix": f"/api/{kind}s", "route_class": GuardedRoute}
    shared |= {"dependencies": [Depends(require_known_parameters)]}
    return APIRouter(tags=[f"{kind}s"], **shared), APIRouter(tags=[f"steps of {kind}s"], **shared)


def add_life_routes(routes: APIRouter, kind: VersionedDrafts[Any]) -> None:
    """Add the steps that people take with a planned one: approve, pause, resume, withdraw."""

    @routes.get("/{name}/versions")
    @needs(Action.READ, Area.CAMPAIGNS)
    def versions(request: Request, name: Name) -> tuple[VersionContent, ...]:
        """Every version with its content, the newest first."""
        return version_contents(answers_of(request).shop, kind, name)

    @routes.post("/{name}/approve")
    @needs(Action.APPROVE, Area.CAMPAIGNS)
    def approve(request: Request, name: Name, body: ApprovalBody) -> VersionState:
        """Approve a plan; the author of the version cannot."""
        return VersionState.of(campaign_steps.approve(context_of(request, body.by), kind, name, version=body.version))

    @routes.post("/{name}/pause")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def pause(request: Request, name: Name, body: ReasonBody) -> VersionState:
        """Stop sending for now."""
        return take(request, name, "paused", body, body.reason)

    @routes.post("/{name}/resume")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def resume(request: Request, name: Name, body: StepBody) -> VersionState:
        """Go on where it was stopped."""
        return take(request, name, "resumed", body)

    @routes.post("/{name}/withdraw")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def withdraw(request: Request, name: Name, body: ReasonBody) -> VersionState:
        """Stop for good; what was sent stays on record."""
        return take(request, name, "withdrawn", body, body.reason)

    @routes.post("/{name}/settle")
    @needs(Action.ACT, Area.CAMPAIGNS)
    def settle(request: Request, name: Name, body: SettlementBody) -> Settlement:
        """Say of a message of unknown outcome whether it was sent."""
        settle_message(context_of(request, body.by), name, body.message_id, is_sent=body.is_sent)
        return Settlement(message_id=body.message_id, is_sent=body.is_sent)

    def take(request: Request, name: str, step: str, body: StepBody, reason: str = "") -> VersionState:
        return VersionState.of(campaign_steps.take_step(context_of(request, body.by), kind, name, step, reason=reason))
