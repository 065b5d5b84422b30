"""What one query of `patron sql` may take: seconds, memory and space on disk; past that it is refused."""

import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import duckdb

from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.storage.settings import EngineSettings

SQL_LISTED = Sentence("sql_listed", "`patron sql` alone lists all tables, and `patron sql TABLE` its columns.")
SQL_NARROWER = Sentence(
    "sql_narrower", "Read fewer rows or aggregate earlier; or allow more: --timeout SECONDS, or engine.sql_seconds."
)
SQL_STOPPED = Sentence("sql_stopped", "the query was stopped after {seconds:g} seconds")
SQL_MEMORY = Sentence("sql_memory", "the query needs more memory than engine.sql_memory_gb = {size:g}")
SQL_DISK = Sentence("sql_disk", "the query needs more space on disk than engine.sql_spill_gb = {size:g}")

BYTES_PER_GB = 1_000_000_000
CHECK_SECONDS = 0.05
GRACE_SECONDS = 2.0
"""How long an interrupted query may take to end: the engine looks between two chunks of rows only."""
GiveUp = Callable[[BadQuery], None]
"""Called with the refusal when the engine does not notice that it is interrupted; it ends the process."""
NARROWER = Sentence(
    "sql_narrower_or_raise", "Read fewer rows or columns, or aggregate earlier; or raise it in patron.toml."
)


@dataclass(frozen=True)
class QueryLimits:
    """What one query may take."""

    seconds: float
    memory_gb: float
    spill_gb: float

    @classmethod
    def of(cls, settings: EngineSettings, seconds: float | None = None) -> "QueryLimits":
        """The limits of a workspace; `seconds` replaces its time limit."""
        return cls(seconds or settings.sql_seconds, settings.sql_memory_gb, settings.sql_spill_gb)

    def engine_config(self, spill: Path) -> dict[str, str | int]:
        """The limits in the engine's words."""
        return {
            "memory_limit": f"{self.memory_gb}GB",
            "max_temp_directory_size": f"{self.spill_gb}GB",
            "temp_directory": str(spill),
        }

    def out_of_time(self) -> BadQuery:
        """Refusal of a query that takes too long."""
        todo = SQL_NARROWER
        return BadQuery(SQL_STOPPED(seconds=self.seconds), todo=todo)

    def out_of_memory(self, error: BaseException) -> BadQuery:
        """Refusal of a query that needs more memory or space on disk."""
        if "max_temp_directory_size" in str(error):
            return BadQuery(SQL_DISK(size=self.spill_gb), todo=NARROWER)
        return BadQuery(SQL_MEMORY(size=self.memory_gb), todo=NARROWER)


class Watch:
    """Interrupts the engine at work on Ctrl-C, for good, and when its own work takes too long.

    The time in which others read rows does not count.
    """

    def __init__(self, limits: QueryLimits, spill: Path, give_up: GiveUp | None) -> None:
        self._con: duckdb.DuckDBPyConnection | None = None
        """What works now."""
        self._limits = limits
        self._spill = spill
        self._give_up = give_up
        self._ended = threading.Event()
        self._is_interrupted = False
        self._signals = _signals_of_this_process()
        self._handler = signal.getsignal(signal.SIGINT) or signal.SIG_DFL
        if self._signals:
            signal.signal(signal.SIGINT, self._on_ctrl_c)
        self.is_out_of_time = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @contextmanager
    def work(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Count the time of this block, in which an engine works."""
        self._con = con
        try:
            yield
        finally:
            self._con = None

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()
        if self._signals:
            signal.signal(signal.SIGINT, self._handler)
            signal.set_wakeup_fd(-1)
            for end in self._signals:
                end.close()

    def _on_ctrl_c(self, number: int, frame: FrameType | None) -> None:
        """Note it before anything that the engine calls may swallow Python's own exception."""
        self._is_interrupted = True
        if callable(self._handler):
            self._handler(number, frame)

    def _watch(self) -> None:
        spent, before = 0.0, time.monotonic()
        while not self._ended.wait(CHECK_SECONDS):
            now, con = time.monotonic(), self._con
            spent += now - before if con else 0.0
            before = now
            self._is_interrupted = self._is_interrupted or self._has_ctrl_c()
            self.is_out_of_time = self.is_out_of_time or spent > self._limits.seconds
            if con and (self._is_interrupted or self.is_out_of_time):
                with suppress(duckdb.ConnectionException):  # why: it may be closed by now
                    con.interrupt()  # why each time: before a query has begun, the engine forgets it
            if spent > self._limits.seconds + GRACE_SECONDS and self._give_up:
                shutil.rmtree(self._spill, ignore_errors=True)
                self._give_up(self._limits.out_of_time())

    def _has_ctrl_c(self) -> bool:
        """Whether Ctrl-C came; the engine does not look for it while rows are read."""
        with suppress(BlockingIOError):
            return bool(self._signals) and signal.SIGINT in self._signals[0].recv(100)
        return False


def _signals_of_this_process() -> tuple[socket.socket, socket.socket] | None:
    """Where the numbers of signals arrive at once, and where they are written; only a command has them."""
    if threading.current_thread() is not threading.main_thread():
        return None
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    others = signal.set_wakeup_fd(ends[1].fileno(), warn_on_full_buffer=False)
    if others == -1:
        return ends
    signal.set_wakeup_fd(others)  # why: an event loop listens already, as in a notebook
    for end in ends:
        end.close()
    return None


@contextmanager
def spill_folder(tmp: Path, name: str) -> Iterator[Path]:
    """Make a folder for what one query spills, gone afterwards."""
    folder = tmp / name
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
