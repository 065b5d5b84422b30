"""Work in the background: each job is a process of its own, that goes on when the page is closed or the server ends.

Its row in the store says how far it is; a lock that the process holds says whether it lives. One run or preview at a
time, one import, and one trial of a campaign.
"""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import PatronError, WorkspaceBusy
from patron.schema.outreach.draft_name import DraftName
from patron.schema.progress import Progress
from patron.schema.sentences import Sentence, named
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.runs.jobs import (
    FINISHED,
    RUNNING,
    TRIAL,
    Job,
    Kind,
    add_job,
    job_of,
    jobs_under_way,
    new_job,
    update_job,
)
from patron.storage.runs.lost_jobs import LANES, LOST, START_AGAIN, WORK, fail_job, settle_lost_jobs
from patron.storage.shop import Shop
from patron.storage.workspace.work_lock import hold_work_lock

OTHER_UNDER_WAY = Sentence("other_under_way", "another job is under way")
JOB_BUSY = Sentence("job_busy", "a job of the kind {job} is under way since {time} UTC")
JOB_WAIT = Sentence("job_wait", "Wait until it has finished, and try again.")
UNEXPECTED = Sentence("unexpected", "an unexpected error occurred ({name})")

log = logging.getLogger(__name__)
MODULE = "patron.interfaces.cli.data.job_process"
"""What is run; by name, as a service imports no command."""
MIN_PAUSE_SECONDS = 1.0
"""Progress within a step is written no more often."""
Work = Callable[[Job, Progress], Mapping[str, Any]]


def start_job(context: RequestContext, kind: Kind, options: Mapping[str, Any]) -> Job:
    """Start work in a process of its own; the audit log records who. Raises WorkspaceBusy where another is at it."""
    settle_lost_jobs(context.shop, now=context.now)
    job = new_job(kind, options, by=context.by, now=context.now)
    with context.shop.store.begin() as connection:
        busy = jobs_under_way(connection, *LANES[kind])
        if busy:
            raise WorkspaceBusy(
                JOB_BUSY(job=named("job", busy[0].kind), time=f"{busy[0].requested_at:%Y-%m-%d %H:%M}"),
                where=busy[0].job_id,
                todo=JOB_WAIT,
            )
        add_job(connection, job)
        context.record(connection, AuditAction(f"{kind} started"), {"job": job.job_id})
    command = [sys.executable, "-m", MODULE, str(context.shop.folder), job.job_id]
    # why: a session of its own, so that an interrupted server does not interrupt it
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    threading.Thread(target=_await, args=(context.shop, job, process), name=f"job {job.job_id}", daemon=True).start()
    return job


@operation(
    Right(Action.ACT, Area.CAMPAIGNS),
    "POST /api/campaigns/{name}/trial",
    audit=AuditAction.TRIAL_STARTED,
    name_field="by",
)
def start_trial(context: RequestContext, name: DraftName) -> Job:
    """Try the newest version on a simulated shop whose truth is known, in the background: some minutes.

    Raises NotFound, WorkspaceBusy.
    """
    saved = CAMPAIGN.saved_in(context.shop.store, name)
    return start_job(context, TRIAL, {"campaign": saved.name, "version": saved.version})


def _await(shop: Shop, job: Job, process: "subprocess.Popen[bytes]") -> None:
    """Say so when the process dies before it says how it ended."""
    since = time.monotonic()
    process.wait()
    ended_at = job.requested_at + timedelta(seconds=time.monotonic() - since)
    with suppress(Exception):  # why: the server may have closed the store; then the next look settles it
        fail_job(shop, job.job_id, LOST, ended_at)


def carry_out(shop: Shop, job_id: str, work: Mapping[str, Work], *, clock: Callable[[], datetime]) -> bool:
    """Do the work of a job, as the process that was started for it; returns whether it finished.

    Raises NotFound, and what is no refusal, after it was written down.
    """
    job = job_of(shop.store, job_id)
    with hold_work_lock(shop.folder, WORK, LANES[job.kind][0], WorkspaceBusy(OTHER_UNDER_WAY, where=job_id)):
        update_job(shop.store, job_id, state=RUNNING, started_at=clock())
        try:
            result = work[job.kind](job, _writer(shop, job_id))
        except PatronError as error:
            fail_job(shop, job_id, error, clock())
            return False
        except BaseException as error:
            fail_job(shop, job_id, PatronError(UNEXPECTED(name=type(error).__name__), todo=START_AGAIN), clock())
            raise
        update_job(shop.store, job_id, state=FINISHED, finished_at=clock(), step="", result=dict(result))
    return True


def _writer(shop: Shop, job_id: str) -> Progress:
    """Write progress: each step at once, and how far it is now and then."""
    last: dict[str, Any] = {"step": "", "at": 0.0}

    def write(step: str, done: int, whole: int | None) -> None:
        at = time.monotonic()
        if step == last["step"] and at - last["at"] < MIN_PAUSE_SECONDS:
            return
        last.update(step=step, at=at)
        update_job(shop.store, job_id, step=step, done_count=done, whole_count=whole)

    return write
