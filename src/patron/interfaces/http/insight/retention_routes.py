"""Retention, value by cohort, and payback for programs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from patron.answers.insight.cohort_sums import Grouping
from patron.answers.insight.retention import Measure, Retention
from patron.commands.insight.enter_acquisition_costs import EnteredCosts, enter_acquisition_costs
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.insight.retention_view import MAX_GROUP_LENGTH, PaybackView, payback_of, retention_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area

MAX_TEXT_LENGTH = 500_000
Group = Annotated[str | None, Query(max_length=MAX_GROUP_LENGTH, description="Cohorts of one group only, by month.")]
Months = Annotated[Literal[12, 24, 36], Query(description="Cohorts of so many months until the run.")]


class CostLines(BaseModel):
    """Lines of a CSV text: channel, month (YYYY-MM), cost in units of the shop's currency."""

    costs: str = Field(max_length=MAX_TEXT_LENGTH, examples=["web,2026-03,1250.00"])


router = APIRouter(
    prefix="/api/retention",
    tags=["last run"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)

entries = APIRouter(
    prefix="/api/retention",
    tags=["steps of campaigns"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)
ROUTERS = (router, entries)


@router.get("")
@needs(Action.READ, Area.OVERVIEW)
def cohorts(
    request: Request, measure: Measure = "share", by: Grouping = "month", group: Group = None, months: Months = 12
) -> Retention:
    """Who ordered again, or what customers have brought so far, by cohort, with intervals and what is expected."""
    return retention_of(answers_of(request), measure, by, None if by == "month" else group, months)


@router.get("/payback")
@needs(Action.READ, Area.OVERVIEW)
def payback(request: Request) -> PaybackView:
    """When customers have brought what it cost to win them, by channel."""
    return payback_of(answers_of(request))


@entries.post("/costs")
@needs(Action.ACT, Area.CAMPAIGNS)
def costs(request: Request, body: CostLines) -> EnteredCosts:
    """Enter what was spent on winning customers, by channel and month; all lines, or none."""
    return enter_acquisition_costs(context_of(request), body.costs)
