"""Work in the background as its row in the store says: what was requested, how far it is, and what came of it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.schema.errors import NotFound, read_texts
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import utc
from patron.storage.runs.job_tables import JOBS, RUN_SCHEDULES
from patron.storage.store.store import Store, upsert

NO_JOB = Sentence("no_job", "no such job")
SEE_RUNS_KEPT = Sentence("see_runs_kept", "See /runs for the jobs that are kept.")

Kind = Literal["run", "preview", "import", "trial"]
RUN = "run"
PREVIEW = "preview"
IMPORT = "import"
TRIAL = "trial"
WAITING = "waiting"
RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"
UNDER_WAY = (WAITING, RUNNING)
SCHEDULE = "schedule"
"""Who requests the runs that start by themselves."""
NIGHTLY = "nightly"
MAX_JOBS = 200
"""Finished jobs that are kept, the newest."""


@dataclass(frozen=True)
class Job:
    """One piece of work in the background."""

    job_id: str
    kind: Kind
    state: str
    """waiting, running, finished or failed."""
    options: Mapping[str, Any]
    requested_at: datetime
    requested_by: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    step: str = ""
    """Step of the run, or of the import."""
    done_count: int = 0
    """Steps or rows that are done."""
    whole_count: int | None = None
    """Steps or rows in all; None where it is not known."""
    problem: Mapping[str, Any] | None = None
    """Of one that failed: what, where and todo."""
    result: Mapping[str, Any] | None = None
    """Of one that finished."""

    @property
    def is_under_way(self) -> bool:
        """Whether it is not over yet."""
        return self.state in UNDER_WAY

    @property
    def done_share(self) -> float | None:
        """Share that is done, 0 to 1; None where the whole is not known."""
        return min(self.done_count / self.whole_count, 1.0) if self.whole_count else None


@dataclass(frozen=True)
class RunSchedule:
    """When runs start by themselves."""

    local_time: str
    """HH:MM by the shop's clock; empty: never."""
    changed_at: datetime | None = None
    changed_by: str = ""


def new_job(kind: Kind, options: Mapping[str, Any], *, by: str, now: datetime) -> Job:
    """A job that was just requested."""
    return Job(secrets.token_hex(8), kind, state=WAITING, options=options, requested_at=now, requested_by=by)


def add_job(connection: sa.Connection, job: Job) -> None:
    """Keep a job, and no more than the newest of those before."""
    kept = sa.select(JOBS.c.job_id).order_by(JOBS.c.requested_at.desc()).limit(MAX_JOBS)
    connection.execute(sa.delete(JOBS).where(JOBS.c.job_id.not_in(kept), JOBS.c.state.not_in(UNDER_WAY)))
    connection.execute(sa.insert(JOBS).values(vars(job)))


def update_job(store: Store, job_id: str, **values: Any) -> None:
    """Change a job that is not over; one that is over stays as it is."""
    changed = sa.update(JOBS).where(JOBS.c.job_id == job_id, JOBS.c.state.in_(UNDER_WAY)).values(values)
    with store.begin() as connection:
        connection.execute(changed)


def job_of(store: Store, job_id: str) -> Job:
    """One job. Raises NotFound."""
    with store.begin() as connection:
        row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).mappings().first()
    if row is None:
        raise NotFound(NO_JOB, where=job_id, todo=SEE_RUNS_KEPT)
    return _job(row)


def newest_jobs(store: Store, *kinds: str, limit: int = 20) -> tuple[Job, ...]:
    """Jobs of these kinds, the newest first."""
    with store.begin() as connection:
        return jobs_in(connection, *kinds, limit=limit)


def jobs_in(connection: sa.Connection, *kinds: str, limit: int = 20) -> tuple[Job, ...]:
    """The same within a transaction."""
    chosen = sa.select(JOBS).where(JOBS.c.kind.in_(kinds)).order_by(JOBS.c.requested_at.desc(), JOBS.c.job_id)
    return tuple(_job(row) for row in connection.execute(chosen.limit(limit)).mappings())


def jobs_under_way(connection: sa.Connection, *kinds: str) -> tuple[Job, ...]:
    """Jobs of these kinds, or of all, that are not over."""
    chosen = sa.select(JOBS).where(JOBS.c.state.in_(UNDER_WAY)).order_by(JOBS.c.requested_at)
    if kinds:
        chosen = chosen.where(JOBS.c.kind.in_(kinds))
    return tuple(_job(row) for row in connection.execute(chosen).mappings())


def _job(row: sa.RowMapping) -> Job:
    times = {name: utc(row[name]) if row[name] else None for name in ("requested_at", "started_at", "finished_at")}
    problem = read_texts(row["problem"]) if row["problem"] else None
    return Job(**{**row, **times, "kind": cast("Kind", row["kind"]), "problem": problem})


def run_schedule(store: Store) -> RunSchedule:
    """When runs start by themselves; never, before anybody chose a time."""
    with store.begin() as connection:
        row = connection.execute(sa.select(RUN_SCHEDULES).where(RUN_SCHEDULES.c.name == NIGHTLY)).mappings().first()
    return RunSchedule(row["local_time"], utc(row["changed_at"]), row["changed_by"]) if row else RunSchedule("")


def write_run_schedule(connection: sa.Connection, schedule: RunSchedule) -> None:
    """Change when runs start by themselves."""
    upsert(connection, RUN_SCHEDULES, [{"name": NIGHTLY, **vars(schedule)}], update=tuple(vars(schedule)))


def last_time(schedule: RunSchedule, now: datetime, time_zone: str) -> datetime | None:
    """The last time of a schedule up to now; None where there is no schedule."""
    if not schedule.local_time:
        return None
    local = now.astimezone(ZoneInfo(time_zone))
    hour, minute = (int(part) for part in schedule.local_time.split(":"))
    today = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= local else today - timedelta(days=1)


def next_time(schedule: RunSchedule, now: datetime, time_zone: str) -> datetime | None:
    """The next time of a schedule; None where there is no schedule."""
    last = last_time(schedule, now, time_zone)
    return last + timedelta(days=1) if last else None
