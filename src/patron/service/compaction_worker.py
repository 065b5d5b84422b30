"""The process that moves requests from the inbox into the lake, and the lake's new events into the live profiles.

    python -m patron.service.compaction_worker WORKSPACE

is what `patron serve` starts next to the collector, so that compaction takes no time from accepting. It works at once,
every COMPACT_SECONDS, and after a line on its standard input. When its input is closed, because the collector ends or
was killed, it works once more and ends. After each round it writes its trouble, or null, as a line of JSON.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patron.collect.inbox.compaction import compact_inbox
from patron.collect.inbox.workspace_inbox import inbox_position, release_inbox
from patron.schema.common_sentences import CONTINUES_BY_ITSELF, RETRIED_AUTOMATICALLY
from patron.schema.errors import InboxDamaged, PatronError, WorkspaceBusy, read_texts
from patron.schema.sentences import Sentence
from patron.schema.tables import EVENTS
from patron.service.child_process import OWN_GROUP
from patron.storage.profile_state import profile_state
from patron.storage.shop import Shop
from patron.understand.profiles.profile_writer import update_profiles

CANNOT_BE_MOVED = Sentence("cannot_be_moved", "waiting requests cannot be moved into the lake ({cause})")
MOVER_ENDED = Sentence("mover_ended", "the process that moves events into the lake ended (exit status {status})")
MOVER_NOT_STARTED = Sentence(
    "mover_not_started", "the process that moves events into the lake cannot be started ({cause})"
)
MOVER_REPORTED = Sentence("mover_reported", "the process that moves events reported {text}")
RESTARTED_AUTOMATICALLY = Sentence("restarted_automatically", "It is restarted automatically.")

COMPACT_SECONDS = 10.0
"""Longest wait of a request for the lake, which gets a file and a commit each time."""
MAX_JOINED_FILE_BYTES = 1_000_000
"""Files of events up to this size are joined as they pile up, larger ones by a run: each is written few times."""
RESTART_SECONDS = 1.0
STOP_TIMEOUT_SECONDS = 60.0
INPUT, READ_BYTES = 0, 65_536
LOWER_PRIORITY = 5


@dataclass
class CompactionWorker:
    """Compacts the inbox and updates the profiles, once a call; `trouble` is that of the last call."""

    shop: Shop
    trouble: PatronError | None = None

    def run_once(self) -> None:
        """Move pending requests into the lake and the profiles, unless another process holds the lock."""
        try:
            self.shop.reload_settings()
            with self.shop.commit_lock(timeout_seconds=0):
                moved = compact_inbox(self.shop)
                update_profiles(self.shop, inbox_position(self.shop))
                release_inbox(self.shop, profile_state(self.shop.store).last_seq_of)
                if moved.stored:
                    self.shop.lake.compact(EVENTS, self.shop.engine, smaller_than=MAX_JOINED_FILE_BYTES)
            self.trouble = None
        except WorkspaceBusy:
            return  # why: another process stores or erases; what waits is safe and moves afterwards
        except PatronError as error:
            self.trouble = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported and tried again
            what = CANNOT_BE_MOVED(cause=error)
            self.trouble = PatronError(what, todo=RETRIED_AUTOMATICALLY)


@dataclass
class CompactionProcess:
    """The worker as a process next to this one, restarted when it dies."""

    folder: Path
    on_report: Callable[[PatronError | None], None] = lambda _: None
    """Called after each round with its trouble."""
    trouble: PatronError | None = None
    process: subprocess.Popen[bytes] | None = None
    _is_ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the process, and the thread that watches it."""
        self._thread = threading.Thread(target=self._keep_running, name="compaction", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Request a round now."""
        self._write_input(b"\n")

    def stop(self) -> None:
        """Let the process finish a last round, and end it."""
        self._is_ending.set()
        self._write_input(None)
        if self._thread:
            self._thread.join(STOP_TIMEOUT_SECONDS)

    def _write_input(self, line: bytes | None) -> None:
        """Write to the process's input, or close it for None; the watching thread restarts a process that has died."""
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
                what = MOVER_ENDED(status=self._run(command))
            except OSError as error:
                what = MOVER_NOT_STARTED(cause=error)
            if not self._is_ending.is_set():
                self._report(PatronError(what, todo=RESTARTED_AUTOMATICALLY))
                self._is_ending.wait(RESTART_SECONDS)

    def _run(self, command: list[str]) -> int:
        pipe = subprocess.PIPE
        # why: our module, and a workspace that is open already
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=OWN_GROUP) as process:  # noqa: S603
            self.process = process
            if self._is_ending.is_set():  # why: it had to end before there was a process to stop
                self._write_input(None)
            for line in process.stdout or ():
                self._report(_trouble_of(line))
            self._write_input(None)  # why: what it did not read before it died would raise when its input is closed
        return process.returncode

    def _report(self, trouble: PatronError | None) -> None:
        # why: in this order, as whoever reads the trouble may count on what was done about it
        self.on_report(trouble)
        self.trouble = trouble


def _line_of(trouble: PatronError | None) -> bytes:
    fields = None if trouble is None else trouble.plain()
    return json.dumps([fields, isinstance(trouble, InboxDamaged)]).encode() + b"\n"


def _trouble(fields: Mapping[str, Any], *, is_damaged: bool) -> PatronError:
    kind = InboxDamaged if is_damaged else PatronError
    return kind(fields["what"], where=fields["where"], todo=fields["todo"])


def _trouble_of(line: bytes) -> PatronError | None:
    try:
        fields, is_damaged = json.loads(line)
        return fields and _trouble(read_texts(fields), is_damaged=is_damaged)
    except (ValueError, TypeError):  # why: a line that was cut off, or a library that speaks
        return PatronError(MOVER_REPORTED(text=repr(line[:200])), todo=CONTINUES_BY_ITSELF)


def main(folder: Path) -> None:
    """Work until the input is closed."""
    for one in (signal.SIGINT, signal.SIGTERM):  # why: they are for the collector, which tells us by closing the input
        signal.signal(one, signal.SIG_IGN)
    os.nice(LOWER_PRIORITY)  # why: whoever waits for an answer comes first
    worker = CompactionWorker(Shop.open(folder))
    is_last = False
    wait = 0.0
    while not is_last:
        ready, _, _ = select.select([INPUT], [], [], wait)
        is_last, wait = bool(ready) and not os.read(INPUT, READ_BYTES), COMPACT_SECONDS
        worker.run_once()
        with suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), _line_of(worker.trouble))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
