"""The process that answers what people and programs read of the last run, next to the one that collects.

Python computes in one thread of a process at a time: a page would wait for events, and events for pages. While no
such process can be started, the server answers itself.
"""

import logging
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from patron.service.child_process import ChildProcess, LastingProcess
from patron.service.due_process import DueProcess

LOG = logging.getLogger(__name__)
CHECK_SECONDS = 0.2
WAITING_REQUESTS = 128
"""Requests that wait for the process to start."""
STEADY = timedelta(minutes=1)
"""What lived for so long died of something from outside, and another will live."""


@dataclass
class AnswerProcess(DueProcess):
    """Keeps a process that answers requests at a socket of this machine, `place`."""

    module: ClassVar = "patron.interfaces.http.server.answer_server"
    work: ClassVar = "answers"
    is_demo: bool = False
    check_seconds: float = CHECK_SECONDS
    place: Path = Path()
    """The socket, once it has started."""
    is_expected: bool = False
    """Whether it answers, or is about to."""
    _listener: socket.socket | None = None

    def start(self) -> None:
        """Listen, and start the process: whoever asks before it answers waits for it."""
        # why: nobody else may open it
        self.place = Path(tempfile.mkdtemp(prefix="patron-")) / "answers"
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(self.place))
        except OSError as error:  # why: a name has some hundred characters at most; the server then answers itself
            LOG.warning("answers: no process of their own, as %s cannot be a socket (%s)", self.place, error)
            return
        self._listener.listen(WAITING_REQUESTS)
        self._child = self._new_child()
        super().start()

    def is_due(self, now: datetime) -> bool:  # noqa: ARG002 - it answers all the time
        """Whether it should run: always."""
        return True

    def stop(self) -> None:
        """Let what is on its way be answered, and end."""
        super().stop()
        if self._listener:
            self._listener.close()
            shutil.rmtree(self.place.parent, ignore_errors=True)

    def _pause(self) -> None:
        """Start again at once what has answered for a while: whoever asks waits for it. Else let the server answer."""
        now = self.clock()
        if self.ran_at is None or now - self.ran_at < STEADY:
            super()._pause()
            self.is_expected = False
            self._refuse_waiting()

    def _run_process(self) -> str:
        self.is_expected = True
        return super()._run_process()

    def _refuse_waiting(self) -> None:
        """Let nobody wait for a process that may not come."""
        with suppress(OSError):
            while self._listener:
                self._listener.setblocking(False)  # why: each time, as the process shares the socket and its mode
                self._listener.accept()[0].close()

    def _new_child(self) -> ChildProcess:
        files = (self._listener.fileno(),) if self._listener else ()
        arguments = (*map(str, files), *(["--demo"] if self.is_demo else []))
        return LastingProcess(self.module, self.shop.folder, on_line=LOG.warning, arguments=arguments, files=files)
