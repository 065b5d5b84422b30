"""Journeys for programs: read with a read key; steps are taken with a secret key, which counts as their actor."""

from fastapi import Request

from patron.answers.outreach.journey_list import JourneyDetail, JourneyLine, list_journeys, show_journey
from patron.commands.outreach.journeys.measure_journey import JourneyResult, measure_journey
from patron.commands.outreach.journeys.plan_journey import JourneyPlan, plan_journey
from patron.commands.outreach.journeys.save_journey import save_journey
from patron.interfaces.http.access.access_control import context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.outreach.life_routes import Name, StepBody, VersionState, add_life_routes, routers_of
from patron.schema.access.access_rights import Action, Area
from patron.storage.outreach.journey_file import JOURNEY, Journey


class JourneyBody(StepBody):
    """A journey as its file has it, with the bodies of its templates, and who saves it."""

    journey: dict[str, object]


router, steps = routers_of("journey")
ROUTERS = (router, steps)


@router.get("")
@needs(Action.READ, Area.CAMPAIGNS)
def journeys(request: Request) -> tuple[JourneyLine, ...]:
    """Every journey: its state, what makes customers enter, how many did, and its messages."""
    return list_journeys(answers_of(request).shop)


@router.get("/{name}")
@needs(Action.READ, Area.CAMPAIGNS)
def journey(request: Request, name: Name) -> JourneyDetail:
    """One journey: its versions, steps, plan, entries, messages and result."""
    return show_journey(answers_of(request).shop, name)


@steps.post("")
@needs(Action.ACT, Area.CAMPAIGNS)
def save(request: Request, body: JourneyBody) -> VersionState:
    """Save a journey as a draft: a new version, or none where nothing changed."""
    content = Journey.of(body.journey, where="journey")
    saved = save_journey(context_of(request, body.by), content)
    return VersionState.of(saved)


@steps.post("/{name}/plan")
@needs(Action.ACT, Area.CAMPAIGNS)
def plan(request: Request, name: Name, body: StepBody) -> JourneyPlan:
    """Plan a journey by replay of the days before the last run."""
    return plan_journey(context_of(request, body.by), name)


@steps.post("/{name}/result")
@needs(Action.ACT, Area.CAMPAIGNS)
def result(request: Request, name: Name, body: StepBody) -> JourneyResult:
    """Measure against the holdout by the last run; before its end this is the result so far."""
    return measure_journey(context_of(request, body.by), name)


add_life_routes(steps, JOURNEY)
