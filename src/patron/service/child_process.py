"""A module of Patron as a process of its own, which the server that started it ends softly."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

OWN_GROUP = 0
"""The process gets a group of its own: Ctrl-C at the terminal is for the server, which ends what it started."""


@dataclass
class ChildProcess:
    """Runs a module on a workspace, one process at a time."""

    module: str
    """By name, as a service imports no command."""
    folder: Path
    is_ending: threading.Event = field(default_factory=threading.Event)
    """Set once the server ends."""
    _process: "subprocess.Popen[str] | None" = None

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run the module to its end, or until `end` terminates it. Raises OSError when it cannot start."""
        pipe = subprocess.PIPE
        # why: our module, and a workspace that is open already
        with subprocess.Popen(  # noqa: S603
            self.command, stdout=pipe, stderr=pipe, text=True, stdin=subprocess.DEVNULL, process_group=OWN_GROUP
        ) as process:
            self._process = process
            if self.is_ending.is_set():  # why: it had to end before there was a process to stop
                process.terminate()
            output, errors = process.communicate()
        return subprocess.CompletedProcess(self.command, process.returncode, output, errors)

    def end(self) -> None:
        """Terminate the process (SIGTERM), so that it finishes what is on its way, and start no other."""
        self.is_ending.set()
        process = self._process
        if process and process.poll() is None:
            process.terminate()

    def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        if self._process:
            self._process.kill()

    @property
    def command(self) -> list[str]:
        """What is run."""
        return [sys.executable, "-m", self.module, str(self.folder)]


@dataclass(kw_only=True)
class LastingProcess(ChildProcess):
    """A process that stays until its input is closed, also by the death of the server, and reports line by line."""

    on_line: Callable[[str], None]
    """Gets each line of its output as it comes; its errors are those of the server."""
    arguments: tuple[str, ...] = ()

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run the module until it ends, or `end` closes its input. Raises OSError when it cannot start."""
        # why: our module, and a workspace that is open already
        with subprocess.Popen(  # noqa: S603
            [*self.command, *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=OWN_GROUP,
        ) as process:
            self._process = process
            if self.is_ending.is_set():  # why: it had to end before there was a process to stop
                self._close_input()
            for line in process.stdout or ():
                self.on_line(line)
            self._close_input()  # why: what it did not read before it died would raise when its input is closed
        return subprocess.CompletedProcess(self.command, process.returncode, "", "")

    def end(self) -> None:
        """Close the input of the process, by which it is told to end, and start no other."""
        self.is_ending.set()
        self._close_input()

    def _close_input(self) -> None:
        if self._process and self._process.stdin:
            with suppress(OSError, ValueError):
                self._process.stdin.close()
