"""`patron` commands as processes of their own, to be killed at a chosen time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 120
POLL_SECONDS = 0.005  # why not less: looking whether it is time takes processor time from the command
SERVER = """
import json, os, sys
import patron.commands.data.import_files, patron.run
from patron.interfaces.cli import main
for line in sys.stdin:
    args, out, variables = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.environ.update(variables)
        sys.argv, code = ["patron", *args], 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Commands:
    """Starts `patron` as processes of their own, without importing everything anew for each."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "stdout"
        self.variables: dict[str, str] = {}
        """Environment of the commands, on top of what was there when the first one was started."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen([sys.executable, "-c", SERVER], **pipes)

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait(PATIENCE_SECONDS)
        self.server.stdout.close()

    def start(self, *args: str) -> int:
        self.server.stdin.write(json.dumps([args, str(self.out), self.variables]) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self) -> int:
        return int(self.server.stdout.readline())

    def run(self, *args: str) -> int:
        self.start(*args)
        return self.wait()

    def kill(self, when: Callable[[], bool], *args: str) -> int:
        """Start a command, kill it as soon as `when` says so, and give its exit code."""
        pid = self.start(*args)
        until = time.monotonic() + PATIENCE_SECONDS
        while not when() and time.monotonic() < until and is_running(pid):
            time.sleep(POLL_SECONDS)
        os.kill(pid, signal.SIGKILL) if is_running(pid) else None
        return self.wait()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def changed(place: Path) -> Callable[[], bool]:
    """Say when something new lies under a place."""

    def trace() -> set[tuple[str, int]]:
        found = set()
        for folder, _, names in os.walk(place):
            for name in names:
                try:
                    found.add((name, (Path(folder) / name).stat().st_mtime_ns))
                except FileNotFoundError:
                    continue
        return found

    before = trace()
    return lambda: bool(trace() - before)


def after(seconds: float) -> Callable[[], bool]:
    since = time.monotonic()
    return lambda: time.monotonic() - since >= seconds
