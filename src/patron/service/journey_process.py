"""Journeys that `patron serve` advances: a process of its own that lives while a journey is under way.

It is no part of this process, so that the collector's answers do not wait for templates and signatures; it stays, so
that a message that is due waits for no Python to start. It is started again when it dies.
"""

import json
import logging
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from patron.storage.journey_activity import has_journey_work
from patron.storage.shop import Shop

log = logging.getLogger(__name__)
MODULE = "patron.interfaces.cli.running_journeys"
"""What is run; by name, as a service imports no command."""
CHECK_SECONDS = 3.0
STOP_SECONDS = 60.0
"""How long the process has for what is on its way when the server ends."""


@dataclass
class JourneyProcess:
    """Keeps the process that advances journeys while one is under way."""

    shop: Shop
    check_seconds: float = CHECK_SECONDS
    trouble: str = ""
    """What went wrong in the last round."""
    _is_ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start looking for journeys that are under way."""
        self._thread = threading.Thread(target=self._keep_running, name="journeys", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the process finish what is on its way, and end it."""
        self._is_ending.set()
        self._close_input()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def _keep_running(self) -> None:
        while not self._is_ending.wait(self.check_seconds):
            try:
                if has_journey_work(self.shop.store):
                    self._run()
            except Exception as error:  # noqa: BLE001 - such as a database that restarts: it is tried again
                self._report(str(error))

    def _run(self) -> None:
        command = [sys.executable, "-m", MODULE, str(self.shop.folder)]
        # why: our module, and a workspace that is open already
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
            self._process = process
            if self._is_ending.is_set():  # why: it had to end before there was a process to stop
                self._close_input()
            for line in process.stdout or ():
                self._report(_trouble_of(line))
            self._close_input()  # why: what it did not read before it died would raise when its input is closed
        if process.returncode:
            self._report(f"the process that advances them ended ({process.returncode}); it is started again")

    def _close_input(self) -> None:
        if self._process and self._process.stdin:
            with suppress(OSError, ValueError):
                self._process.stdin.close()

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("a journey cannot go on: %s", trouble)
        self.trouble = trouble


def _trouble_of(line: bytes) -> str:
    try:
        return "\n".join(json.loads(line))
    except (ValueError, TypeError):  # why: a line that was cut off, or a library that speaks
        return f"the process that advances them reported {line[:200]!r}"
