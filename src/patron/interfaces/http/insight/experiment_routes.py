"""Experiments for programs: everything with a control group."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request

from patron.answers.insight.experiment_line import Kind, Verdict
from patron.answers.insight.experiments import ExperimentList
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.insight.experiment_view import ExperimentView, experiment_of, experiments_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.outreach.draft_name import DraftName

Year = Annotated[int | None, Query(ge=1970, le=9999, description="Year of the summary (default: that of the run).")]

router = APIRouter(
    prefix="/api/experiments",
    tags=["last run"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)


@router.get("")
@needs(Action.READ, Area.EXPERIMENTS)
def experiments(
    request: Request, year: Year = None, kind: Kind | Literal[""] = "", verdict: Verdict | Literal[""] = ""
) -> ExperimentList:
    """Campaigns, journeys, offers and tasks against their control groups: won, lost or not significant, in money."""
    return experiments_of(answers_of(request), year=year, kind=kind, verdict=verdict)


@router.get("/{kind}/{name}")
@needs(Action.READ, Area.EXPERIMENTS)
def experiment(request: Request, kind: Kind, name: DraftName) -> ExperimentView:
    """One experiment: adjusted and raw effect with intervals, guard-rails, arms, and how the effect grew."""
    return experiment_of(answers_of(request), kind, name, now=datetime.now(UTC))
