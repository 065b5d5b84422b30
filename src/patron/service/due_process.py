"""Work that `patron serve` does by itself in a process of its own, whenever there is some.

It is no part of this process, so that the collector's answers do not wait for templates, signatures and slow receivers.
A process that failed is started again after a pause, whether or not there is news: what it left undone is still to do.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from patron.service.child_process import ChildProcess
from patron.storage.shop import Shop

log = logging.getLogger(__name__)
CHECK_SECONDS = 5.0
STOP_SECONDS = 60.0
"""How long a process has for what is on its way when the server ends."""
MAX_TEXT_LENGTH = 20_000
"""Characters of what a process wrote to its errors, the last ones, that the log gets."""
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300))
"""Pauses after each process in a row that failed; the last one from then on."""


@dataclass
class DueProcess(ABC):
    """Looks every few seconds whether there is work, and runs a module on the workspace when there is."""

    module: ClassVar[str]
    """By name, as a service imports no command."""
    work: ClassVar[str]
    """What it is about, in the plural."""
    shop: Shop
    clock: Callable[[], datetime]
    check_seconds: float = CHECK_SECONDS
    trouble: str = ""
    """What went wrong last."""
    ran_at: datetime | None = None
    """When the process was last started."""
    _failure_count: int = 0
    """Processes in a row that failed."""
    _rests_until: datetime | None = None
    _child: ChildProcess = field(init=False)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._child = self._new_child()

    def start(self) -> None:
        """Start looking for work."""
        self._thread = threading.Thread(target=self._keep_looking, name=self.work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let what is on its way be answered, and end."""
        self._child.end()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    @abstractmethod
    def is_due(self, now: datetime) -> bool:
        """Whether there is work."""

    def is_clock_back(self, now: datetime) -> bool:
        """Whether the clock went back behind the last start: nothing waits for a time that it said before."""
        return self.ran_at is not None and now < self.ran_at

    def run_if_due(self) -> bool:
        """Run the process where there is work or the last one failed, a pause after that; returns whether it ran."""
        now = self.clock()
        if self._rests_until and now < self._rests_until and not self.is_clock_back(now):
            return False
        if not (self.is_due(now) or self._failure_count):
            return False
        self.ran_at = now
        try:
            trouble = self._run_process()
        except Exception as error:  # noqa: BLE001 - whatever it wrote or did not: it rests before it starts again
            self._pause()
            trouble = str(error)
        else:
            self._failure_count, self._rests_until = 0, None
        self._report(trouble)
        return True

    def _run_process(self) -> str:
        """Run the process; returns what it says went wrong. Raises OSError where it failed, ValueError for nonsense."""
        finished = self._child.run()
        if self._child.is_ending.is_set():  # why: it was ended, maybe before it could say anything
            return ""
        text = finished.stderr.strip()[-MAX_TEXT_LENGTH:]
        if finished.returncode:
            raise ChildProcessError(f"the process ended with {finished.returncode}. {text}".rstrip())
        if text:  # why: a warning is no failure, and the log is where it belongs
            log.warning("the process of the %s wrote: %s", self.work, text)
        return self._trouble_in(finished.stdout)

    def _new_child(self) -> ChildProcess:
        return ChildProcess(self.module, self.shop.folder)

    def _trouble_in(self, _output: str) -> str:
        """What went wrong, as a process that ended well wrote it. Raises ValueError for what it cannot have written."""
        return ""

    def _keep_looking(self) -> None:
        while not self._child.is_ending.wait(self.check_seconds):
            try:
                self.run_if_due()
            except Exception as error:  # noqa: BLE001 - such as a database that restarts: it is looked again
                self._report(str(error))

    def _pause(self) -> None:
        """Pause after a failure; a process that lived for longer than any pause is the first that failed."""
        now = self.clock()
        if self.ran_at and now - self.ran_at > PAUSES[-1]:
            self._failure_count = 0
        self._rests_until = now + PAUSES[min(self._failure_count, len(PAUSES) - 1)]
        self._failure_count += 1

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("%s: %s", self.work, trouble)
        self.trouble = trouble
