"""Processes that answer what people and programs read of the last run, next to the one that collects.

Python computes in one thread of a process at a time: a page would wait for events, and events and pages for pages.
While no such process can be started, the server answers itself.
"""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
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
MAX_WAITING_REQUESTS = 128
"""Most requests that wait while no process is free."""
MIN_LIFETIME = timedelta(minutes=1)
"""A process that lived for at least this long is restarted at once when it dies."""


@dataclass
class AnswerProcess(DueProcess):
    """Keeps a process running that answers requests at a Unix socket."""

    module: ClassVar = "patron.interfaces.http.server.answer_server"
    work: ClassVar = "answers"
    is_demo: bool = False
    check_seconds: float = CHECK_SECONDS
    listener: socket.socket | None = None
    """Where it listens."""
    is_available: bool = False
    """Whether it runs, or is about to start."""

    def is_due(self, now: datetime) -> bool:  # noqa: ARG002 - it answers all the time
        """Whether it should run: always."""
        return True

    def _pause(self) -> None:
        """Pause before the next start, unless the process had run for a minute."""
        now = self.clock()
        if self.ran_at is None or now - self.ran_at < MIN_LIFETIME:
            super()._pause()
            self.is_available = False
            self._close_waiting_connections()

    def _run_process(self) -> str:
        self.is_available = True
        return super()._run_process()

    def _close_waiting_connections(self) -> None:
        """Close the connections that wait for a process: the server passes those requests on again, or answers."""
        with suppress(OSError):
            while self.listener:
                self.listener.setblocking(False)  # why: each time, as the process shares the socket and its mode
                self.listener.accept()[0].close()

    def _new_child(self) -> ChildProcess:
        files = (self.listener.fileno(),) if self.listener else ()
        arguments = (*map(str, files), *(["--demo"] if self.is_demo else []))
        return LastingProcess(self.module, self.shop.folder, on_line=LOG.warning, arguments=arguments, files=files)


@dataclass
class AnswerProcesses:
    """Processes that answer at one Unix socket: whichever is free takes the next request."""

    shop: Shop
    clock: Callable[[], datetime]
    is_demo: bool = False
    count: int = field(default_factory=lambda: min(MAX_PROCESSES, os.cpu_count() or 1))
    kind: type[AnswerProcess] = AnswerProcess
    socket_path: Path = Path()
    """Where they listen, once they have started."""
    _processes: list[AnswerProcess] = field(default_factory=list)
    _listener: socket.socket | None = None

    @property
    def is_available(self) -> bool:
        """Whether one of them runs, or is about to start."""
        return any(one.is_available for one in self._processes)

    def start(self) -> None:
        """Listen, and start the processes; requests that arrive before one is ready wait at the socket."""
        # why: nobody else may open it
        self.socket_path = Path(tempfile.mkdtemp(prefix="patron-")) / "answers"
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(self.socket_path))
        except OSError as error:  # why: a name has some hundred characters at most; the server then answers itself
            LOG.warning("answers: no process of their own, as %s cannot be a socket (%s)", self.socket_path, error)
            return
        self._listener.listen(MAX_WAITING_REQUESTS)
        for _ in range(self.count):
            one = self.kind(self.shop, self.clock, is_demo=self.is_demo, listener=self._listener)
            one.start()
            self._processes.append(one)

    def stop(self) -> None:
        """Let what is on its way be answered, and end."""
        for one in self._processes:
            one.stop()
        if self._listener:
            self._listener.close()
            shutil.rmtree(self.socket_path.parent, ignore_errors=True)
