"""The policy for programs: what is in force, and the proposals to change it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel

from patron.answers.offers.policy_history import PolicyProposal, policy_proposal, policy_proposals
from patron.answers.offers.policy_in_force import policy_in_force
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.integer_bounds import MAX_COUNT
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area

router = APIRouter(
    prefix="/api/policy", tags=["policy"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)


class PolicyInForce(BaseModel):
    """The policy that the next run keeps to."""

    version: str
    policy: dict[str, Any]


@router.get("")
@needs(Action.READ, Area.OFFERS)
def in_force(request: Request) -> PolicyInForce:
    """The policy in force, all of its values."""
    policy = policy_in_force(answers_of(request).shop)
    return PolicyInForce(version=policy.version, policy=policy.model_dump(mode="json"))


@router.get("/proposals")
@needs(Action.READ, Area.OFFERS)
def proposals(request: Request) -> tuple[PolicyProposal, ...]:
    """Every proposal, newest first, with what it changes."""
    return policy_proposals(answers_of(request).shop)


@router.get("/proposals/{number}")
@needs(Action.READ, Area.OFFERS)
def proposal(request: Request, number: Annotated[int, Path(ge=1, le=MAX_COUNT)]) -> PolicyProposal:
    """One proposal."""
    return policy_proposal(answers_of(request).shop, number)
