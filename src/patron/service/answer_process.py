"""Processes that answer what people and programs read of the last run, next to the one that collects.

Python computes in one thread of a process at a time: a page would wait for events, and events and pages for pages.
While no such process can be started, the server answers itself.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from patron.service.child_process import ChildProcess, LastingProcess
from patron.service.due_process import DueProcess
from patron.storage.shop import Shop

LOG = logging.getLogger(__name__)
CHECK_SECONDS = 0.2
MAX_PROCESSES = 2
"""Most processes that answer, each on a core of its own."""
MAX_PATH_BYTES = 100
"""Longest name of a Unix socket that every system takes."""
MIN_LIFETIME = timedelta(minutes=1)
"""A process that lived for at least this long is restarted at once when it dies."""


@dataclass
class AnswerProcess(DueProcess):
    """Keeps a process running that answers requests at a Unix socket of its own, once it is ready."""

    module: ClassVar = "patron.interfaces.http.server.answer_server"
    work: ClassVar = "answers"
    is_demo: bool = False
    check_seconds: float = CHECK_SECONDS
    socket_path: Path = Path()
    """Where it listens."""
    is_available: bool = False
    """Whether it runs, or is about to start."""
    open_count: int = 0
    """Requests that were passed on to it and are not answered yet."""

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self.is_available = True
        super().start()

    def is_due(self, now: datetime) -> bool:  # noqa: ARG002 - it answers all the time
        """Whether it should run: always."""
        return True

    def restart(self) -> None:
        """Kill the process, which may hang: another one starts."""
        self._child.kill()

    def _pause(self) -> None:
        """Pause before the next start, unless the process had run for a minute."""
        now = self.clock()
        if self.ran_at is None or now - self.ran_at < MIN_LIFETIME:
            super()._pause()
            self.is_available = False
        else:
            self._failure_count = 0

    def _run_process(self) -> str:
        self.is_available = True
        return super()._run_process()

    def _new_child(self) -> ChildProcess:
        arguments = (str(self.socket_path), *(["--demo"] if self.is_demo else []))
        return LastingProcess(self.module, self.shop.folder, on_line=LOG.warning, arguments=arguments)


@dataclass
class AnswerProcesses:
    """Processes that answer, each at its own socket: the server asks the one with the fewest open requests."""

    shop: Shop
    clock: Callable[[], datetime]
    is_demo: bool = False
    count: int = field(default_factory=lambda: min(MAX_PROCESSES, _core_count()))
    kind: type[AnswerProcess] = AnswerProcess
    _processes: list[AnswerProcess] = field(default_factory=list)
    _folder: Path | None = None
    """Where their sockets are."""

    def least_busy_first(self) -> list[AnswerProcess]:
        """Processes that run, or are about to start, by their open requests: the fewest first."""
        return sorted((one for one in self._processes if one.is_available), key=lambda one: one.open_count)

    def start(self) -> None:
        """Start the processes; where they can have no sockets, the server answers itself."""
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="patron-"))  # why: nobody else may open it
        except OSError as error:
            LOG.warning("answers: no process of their own, as there is no folder for their sockets (%s)", error)
            return
        for number in range(self.count):
            path = self._folder / f"answers-{number}"
            if len(os.fsencode(path)) > MAX_PATH_BYTES:
                LOG.warning("answers: no process of their own, as %s is too long for the name of a socket", path)
                return
            one = self.kind(self.shop, self.clock, is_demo=self.is_demo, socket_path=path)
            one.start()
            self._processes.append(one)

    def stop(self) -> None:
        """End the processes; by then the server has answered, or given up, what was asked."""
        for one in self._processes:
            one.stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _core_count() -> int:
    """Cores that this process may use, where the system says it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
