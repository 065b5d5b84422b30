"""A module of Patron as a process of its own, which the server that started it ends softly."""

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path


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
        command, pipe = [sys.executable, "-m", self.module, str(self.folder)], subprocess.PIPE
        # why: our module, and a workspace that is open already
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, stdin=subprocess.DEVNULL) as process:  # noqa: S603
            self._process = process
            if self.is_ending.is_set():  # why: it had to end before there was a process to stop
                process.terminate()
            output, errors = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def end(self) -> None:
        """Terminate the process (SIGTERM), so that it finishes what is on its way, and start no other."""
        self.is_ending.set()
        process = self._process
        if process and process.poll() is None:
            process.terminate()
