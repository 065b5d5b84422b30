"""Jobs whose process is gone, as after a kill or a loss of power: whoever looks writes that they failed."""

from datetime import datetime, timedelta

from patron.schema.errors import PatronError, WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.storage.runs.jobs import FAILED, IMPORT, PREVIEW, RUN, RUNNING, TRIAL, Job, jobs_under_way, update_job
from patron.storage.shop import Shop
from patron.storage.workspace.work_lock import hold_work_lock

UNDER_WAY = Sentence("under_way", "it is under way")
PROCESS_ENDED = Sentence("process_ended", "the process ended before it was finished")
START_AGAIN = Sentence("start_again", "Start it again; nothing was half-written.")

LANES = {RUN: (RUN, PREVIEW), PREVIEW: (RUN, PREVIEW), IMPORT: (IMPORT,), TRIAL: (TRIAL,)}
"""Kinds of which one job is under way at a time, by kind."""
TIME_TO_START = timedelta(minutes=2)
"""A process that has not begun by then has died."""
WORK = "job"
LOST = PatronError(PROCESS_ENDED, todo=START_AGAIN)


def settle_lost_jobs(shop: Shop, *, now: datetime) -> None:
    """Write that jobs failed whose process is gone, as after a kill or a loss of power."""
    with shop.store.begin() as connection:
        jobs = jobs_under_way(connection)
    for job in jobs:
        is_starting = job.state != RUNNING and abs(now - job.requested_at) < TIME_TO_START
        if not is_starting and not _is_alive(shop, job):
            fail_job(shop, job.job_id, LOST, now)


def _is_alive(shop: Shop, job: Job) -> bool:
    try:
        with hold_work_lock(shop.folder, WORK, LANES[job.kind][0], WorkspaceBusy(UNDER_WAY)):
            return False
    except WorkspaceBusy:
        return True


def fail_job(shop: Shop, job_id: str, problem: PatronError, now: datetime) -> None:
    """Write that a job failed, and why."""
    update_job(shop.store, job_id, state=FAILED, finished_at=now, problem=problem.plain())
