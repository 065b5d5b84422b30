"""The daily work for programs: what needs a decision, the overview of a period, runs and work in the background."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from patron.answers.data.run_history import (
    PAGE_SIZE,
    RunComparison,
    RunDetail,
    RunPage,
    compare_runs,
    run_detail,
    run_history,
)
from patron.answers.insight.overview import Overview
from patron.answers.insight.period_figures import PeriodFigures
from patron.answers.insight.periods import Compare, Period
from patron.answers.insight.today import RunItems, Today, run_items, today
from patron.commands.data.uploaded_files import Upload, look_into_upload
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, needs
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.answer_cache import Answers
from patron.interfaces.http.api_routes import answers_of
from patron.interfaces.http.cursors import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.interfaces.http.insight.period_parameters import period_query
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import NoRunYet
from patron.service.jobs import look_up_job, settle_lost_jobs
from patron.service.run_timer import next_time
from patron.storage.runs.jobs import PREVIEW, RUN, Job, RunSchedule, newest_jobs, run_schedule
from patron.storage.runs.last_run import last_run

JOBS_LISTED = 8
RunId = Annotated[str, Query(max_length=40, description="Run by its name.")]

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


@dataclass(frozen=True)
class PeriodOverview:
    """The overview of the last run, with the key figures of a period."""

    overview: Overview
    period: PeriodFigures


@dataclass(frozen=True)
class Runs:
    """Runs that completed, work under way, and when runs start by themselves."""

    history: RunPage
    jobs: tuple[Job, ...]
    """Runs and previews from the console and of the schedule, the newest first."""
    schedule: RunSchedule
    next_at: datetime | None
    """When the next run starts by itself; None where none does."""
    next_cursor: str | None
    """Where the next page of runs begins; null after the last."""


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


def runs_of(request: Request, before: datetime | None, *, length: int = PAGE_SIZE) -> Runs:
    """Runs as they are now."""
    shop, now = answers_of(request).shop, datetime.now(UTC)
    settle_lost_jobs(shop, now=now)
    schedule = run_schedule(shop.store)
    jobs = newest_jobs(shop.store, RUN, PREVIEW, limit=JOBS_LISTED)
    next_at = next_time(schedule, now, shop.settings.shop.time_zone)
    history = run_history(shop, before=before, limit=length)
    following = str(Cursor("runs", (microseconds_of(history.next_before),))) if history.next_before else None
    return Runs(history, jobs, schedule, next_at, following)


@router.get("/api/today")
@needs(Action.READ, Area.OVERVIEW)
def today_now(request: Request) -> Today:
    """What needs a decision: approvals, alarms, what stopped, tasks and requests; by the money at stake."""
    return today_of(request)


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


@router.get("/api/runs")
@needs(Action.READ, Area.RUNS)
def runs(request: Request, before: datetime | None = None, cursor: CursorText = "", limit: Limit = None) -> Runs:
    """Completed runs, the latest cutoff first, and work under way."""
    if cursor:
        before = time_of(*Cursor.in_list(cursor, "runs", int).place)
    return runs_of(request, before, length=limit or PAGE_SIZE)


@router.get("/api/runs/compare")
@needs(Action.READ, Area.RUNS)
def comparison(request: Request, before: RunId, now: RunId) -> RunComparison:
    """What changed from one run to another: champions, totals, segments, decisions, settings."""
    return compare_runs(answers_of(request).shop, before, now)


@router.get("/api/runs/{run_id}")
@needs(Action.READ, Area.RUNS)
def run(request: Request, run_id: str) -> RunDetail:
    """One run: steps with their seconds, totals, champions, segments and decisions."""
    return run_detail(answers_of(request).shop, run_id)


@router.get("/api/jobs/{job_id}")
@needs(Action.READ, Area.RUNS)
def job(request: Request, job_id: Annotated[str, Field(max_length=40)]) -> Job:
    """One run, preview or import in the background, as it is now."""
    return look_up_job(answers_of(request).shop, job_id, now=datetime.now(UTC))


@router.get("/api/uploads/{upload_id}")
@needs(Action.ACT, Area.DATA)
def upload(request: Request, upload_id: str, encoding: Annotated[str, Query(max_length=20)] = "") -> Upload:
    """An uploaded file that is not imported yet: its columns, masked samples, and the mapping that fits it."""
    return look_into_upload(answers_of(request).shop, upload_id, encoding=encoding)
