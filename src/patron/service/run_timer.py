"""What `patron serve` does by the clock: daily runs, old uploads deleted, offers confirmed by receipts or expired."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from patron.govern.access.request_context import RequestContext
from patron.offer_delivery import settle_when_free
from patron.service.jobs import start_job
from patron.storage.data.sealed_uploads import delete_old_uploads
from patron.storage.runs.jobs import RUN, SCHEDULE, last_time, newest_jobs, run_schedule
from patron.storage.runs.lost_jobs import settle_lost_jobs
from patron.storage.shop import Shop

log = logging.getLogger(__name__)
CHECK_SECONDS = 20.0
STOP_SECONDS = 10.0
HALF_A_DAY = timedelta(hours=12)


@dataclass
class RunTimer:
    """Starts the nightly run when it is due; one that was missed is made up for within the day."""

    shop: Shop
    clock: Callable[[], datetime]
    check_seconds: float = CHECK_SECONDS
    problems: dict[str, str] = field(default_factory=dict)
    """By what could not be done: why; empty once it could."""
    _is_ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start looking at the clock."""
        self._thread = threading.Thread(target=self._keep_looking, name="runs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs; one that is under way goes on."""
        self._is_ending.set()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def due_at(self, now: datetime) -> datetime | None:
        """When a run was due that nobody has started; None where none is."""
        schedule = run_schedule(self.shop.store)
        last = last_time(schedule, now, self.shop.settings.shop.time_zone)
        if last is None or (schedule.changed_at and last <= schedule.changed_at):
            return None
        # why: a clock that was a day ahead started none of today's, and one that goes back an hour starts none again
        is_started = any(
            job.requested_by == SCHEDULE and last <= job.requested_at < now + HALF_A_DAY
            for job in newest_jobs(self.shop.store, RUN)
        )
        return None if is_started else last

    def start_due_run(self, now: datetime) -> None:
        """Start the run that is due, as of the last midnight by the shop's clock."""
        at = self.due_at(now)
        if at:
            start_job(RequestContext.from_name(self.shop, SCHEDULE, now=now), RUN, {"as_of": "today"})

    def _keep_looking(self) -> None:
        pause = 0.0
        while not self._is_ending.wait(pause):
            pause = self.check_seconds
            now = self.clock()
            self._attempt("old uploads cannot be deleted", partial(delete_old_uploads, self.shop, now=now))
            self._attempt("offers cannot be confirmed or expire", partial(settle_when_free, self.shop, now=now))
            self._attempt("a run that is due cannot start", partial(self._settle_and_start, now))

    def _settle_and_start(self, now: datetime) -> None:
        settle_lost_jobs(self.shop, now=now)
        self.start_due_run(now)

    def _attempt(self, what: str, step: Callable[[], object]) -> None:
        """Take a step, and log once what went wrong; it is tried again, and keeps no other step from being taken."""
        try:
            step()
            problem = ""
        except Exception as error:  # noqa: BLE001 - such as a database that restarts
            problem = str(getattr(error, "log_line", error))
        if problem and problem != self.problems.get(what):
            log.warning("%s: %s", what, problem)
        self.problems[what] = problem
