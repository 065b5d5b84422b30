"""Runs, and work in the background."""

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
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.service.jobs import look_up_job, settle_lost_jobs
from patron.service.run_timer import next_time
from patron.storage.runs.jobs import PREVIEW, RUN, Job, RunSchedule, newest_jobs, run_schedule

JOBS_LISTED = 8
RunId = Annotated[str, Query(max_length=40, description="Run by its name.")]

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


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
