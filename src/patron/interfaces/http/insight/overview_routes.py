"""The shop as a whole: what needs a decision, key figures of the last run and of a period, the brief."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from patron.answers.insight.brief import Brief
from patron.answers.insight.overview import Overview
from patron.answers.insight.period_figures import PeriodFigures
from patron.answers.insight.periods import Compare, Period
from patron.answers.insight.today import RunItems, Today, run_items, today
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, needs, of_whole_shop
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.answer_cache import Answers, answers_of
from patron.interfaces.http.insight.period_parameters import period_query
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import NoRunYet
from patron.service.jobs import settle_lost_jobs
from patron.storage.runs.last_run import last_run

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


@dataclass(frozen=True)
class PeriodOverview:
    """The overview of the last run, with the key figures of a period."""

    overview: Overview
    period: PeriodFigures


def run_items_of(answers: Answers) -> RunItems | None:
    """Lines of Today that follow from the last run; None before any."""
    try:
        return answers.cached("run items", lambda: run_items(last_run(answers.shop)))
    except NoRunYet:
        return None


def today_of(request: Request) -> Today:
    """What needs a decision of whoever asks."""
    answers, now = answers_of(request), datetime.now(UTC)
    settle_lost_jobs(answers.shop, now=now)
    visible = visible_of(request)
    among = frozenset() if visible is None else visible
    return today(answers.shop, actor_of(request), run_items_of(answers), now=now, among=among)


@router.get("/api/today")
@needs(Action.READ, Area.OVERVIEW)
def today_now(request: Request) -> Today:
    """What needs a decision: approvals, alarms, what stopped, tasks and requests; by the money at stake."""
    return today_of(request)


@router.get("/api/overview")
@needs(Action.READ, Area.OVERVIEW)
def overview(request: Request) -> Overview:
    """Key figures, trend, people, risk and decisions of the last run."""
    return answers_of(request).overview(visible_of(request))


@router.get("/api/overview/period")
@needs(Action.READ, Area.OVERVIEW)
def overview_of_period(
    request: Request,
    period: Period = "90",
    month: Annotated[str, Query(max_length=7)] = "",
    first_day: Annotated[str, Query(alias="from", max_length=10)] = "",
    last_day: Annotated[str, Query(alias="to", max_length=10)] = "",
    compare: Compare = "previous",
) -> PeriodOverview:
    """The last run with the key figures of a period, next to those of another one."""
    answers = answers_of(request)
    named = {"period": period, "month": month, "from": first_day, "to": last_day, "compare": compare}
    return PeriodOverview(answers.overview(visible_of(request)), answers.period_figures(period_query(named)))


@router.get("/api/brief")
@needs(Action.READ, Area.OVERVIEW)
@of_whole_shop
def brief(request: Request) -> Brief:
    """What offers earned, what to change, what is not known, and which forecasts were wrong."""
    return answers_of(request).brief()
