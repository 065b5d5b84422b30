"""A process of its own moves what the inbox holds into the lake, and the lake's new events into live profiles.

    python -m patron.service.compaction_worker WORKSPACE

is what `patron serve` starts next to the collector, so that moving takes no time from accepting. A line on its standard
input asks for a move; it moves every COMPACT_SECONDS anyway. When its input is closed, because the collector ends or
was killed, it moves once more and ends. After each move it writes what troubles it, as a line of JSON.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from patron.collect.compaction import compact_inbox
from patron.schema.errors import InboxDamaged, PatronError, WorkspaceBusy
from patron.schema.tables import EVENTS
from patron.service.profile_sync import follow, release
from patron.storage.shop import Shop

COMPACT_SECONDS = 10.0
"""How long what waits may wait for the lake, which gets a file and a commit each time."""
JOINED_BYTES = 1_000_000
"""Files of events up to this size are joined as they pile up, larger ones by a run: each is written few times."""
RESTART_SECONDS = 1.0
ENDS_WITHIN_SECONDS = 60.0
INPUT, READ_AT_ONCE = 0, 65_536


@dataclass
class CompactionWorker:
    """Moves again and again; trouble is kept for who asks, and passes when a move succeeds."""

    shop: Shop
    trouble: PatronError | None = None

    def move(self) -> None:
        """Move what waits into the lake and the profiles, unless another process is at work."""
        try:
            self.shop.reread()
            with self.shop.lock(timeout_seconds=0):
                moved = compact_inbox(self.shop)
                follow(self.shop)
                release(self.shop)
                if moved.stored:
                    self.shop.lake.compact(EVENTS, self.shop.engine, smaller_than=JOINED_BYTES)
            self.trouble = None
        except WorkspaceBusy:
            return  # why: a run or an import is at work; what waits is safe and moves afterwards
        except PatronError as error:
            self.trouble = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported and tried again
            what = f"what waits cannot be moved into the lake ({error})"
            self.trouble = PatronError(what, todo="It is tried again by itself.")


@dataclass
class CompactionProcess:
    """The mover as a process next to this one, started again when it dies."""

    folder: Path
    heard: Callable[[PatronError | None], None] = lambda _: None
    """Called after each move with what troubles it."""
    trouble: PatronError | None = None
    process: subprocess.Popen[bytes] | None = None
    _is_ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to move."""
        self._thread = threading.Thread(target=self._keep_running, name="mover", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask for a move now."""
        self._tell(b"\n")

    def stop(self) -> None:
        """Let it move what waits, and end."""
        self._is_ending.set()
        self._tell(None)
        if self._thread:
            self._thread.join(ENDS_WITHIN_SECONDS)

    def _tell(self, line: bytes | None) -> None:
        """Write to its input, or close it; a process that has died is started again by the other thread."""
        if self.process and self.process.stdin:
            with suppress(OSError, ValueError):
                if line is None:
                    self.process.stdin.close()
                else:
                    self.process.stdin.write(line)
                    self.process.stdin.flush()

    def _keep_running(self) -> None:
        command = [sys.executable, "-m", "patron.service.compaction_worker", str(self.folder)]
        while not self._is_ending.is_set():
            try:
                ended = f"ended ({self._run(command)})"
            except OSError as error:
                ended = f"cannot be started ({error})"
            if not self._is_ending.is_set():
                what = f"the process that moves events into the lake {ended}"
                self._hear(PatronError(what, todo="It is started again by itself."))
                self._is_ending.wait(RESTART_SECONDS)

    def _run(self, command: list[str]) -> int:
        # why: our module, and a workspace that is open already
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
            self.process = process
            if self._is_ending.is_set():  # why: it had to end before there was a process to stop
                self._tell(None)
            for line in process.stdout or ():
                self._hear(_trouble_of(line))
        return process.returncode

    def _hear(self, trouble: PatronError | None) -> None:
        self.trouble = trouble
        self.heard(trouble)


def _line_of(trouble: PatronError | None) -> bytes:
    fields = None if trouble is None else {"what": trouble.what, "where": trouble.where, "todo": trouble.todo}
    return json.dumps([fields, isinstance(trouble, InboxDamaged)]).encode() + b"\n"


def _trouble_of(line: bytes) -> PatronError | None:
    try:
        fields, is_damaged = json.loads(line)
        return fields and (InboxDamaged if is_damaged else PatronError)(**fields)
    except (ValueError, TypeError):  # why: a line that was cut off, or a library that speaks
        return PatronError(f"the process that moves events reported {line[:200]!r}", todo="It goes on.")


def main(folder: Path) -> None:
    """Move until the input is closed."""
    for one in (signal.SIGINT, signal.SIGTERM):  # why: they are for the collector, which tells us by closing the input
        signal.signal(one, signal.SIG_IGN)
    mover, is_last = CompactionWorker(Shop.open(folder)), False
    while not is_last:
        ready, _, _ = select.select([INPUT], [], [], COMPACT_SECONDS)
        is_last = bool(ready) and not os.read(INPUT, READ_AT_ONCE)
        mover.move()
        with suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), _line_of(mover.trouble))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
