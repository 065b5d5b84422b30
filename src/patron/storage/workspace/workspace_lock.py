"""A lock between processes and threads, as a file of the workspace; who holds it may take it again."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patron.schema.errors import WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.storage.durable_files import disk_errors

PROCESS_AT_WORK = Sentence("process_at_work", "another process ({name}) is at work here")
WAIT_OR_END = Sentence("wait_or_end", "Wait until it has finished, as --wait SECONDS does, or end it, and try again.")

RETRY_SECONDS = 0.05


class WorkspaceLock:
    """One process and thread at a time; the file names the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._depth = 0

    @contextmanager
    def hold(self, *, timeout_seconds: float) -> Iterator[None]:
        """Hold the lock. Raises WorkspaceBusy when another one keeps it for longer than that, NoSpace."""
        if not self._mutex.acquire(timeout=max(timeout_seconds, 0)):
            raise self._busy(str(os.getpid()))
        try:
            if self._depth:
                yield
                return
            handle = self._locked_file(timeout_seconds)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                os.close(handle)
        finally:
            self._mutex.release()

    def _locked_file(self, timeout_seconds: float) -> int:
        with disk_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait(handle, timeout_seconds)
            with suppress(OSError):  # why: the name is for people, and a full disk keeps nobody from making room
                os.truncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _wait(self, handle: int, timeout_seconds: float) -> None:
        until = time.monotonic() + timeout_seconds
        while not _is_locked(handle):
            if time.monotonic() >= until:
                raise self._busy(os.read(handle, 32).decode(errors="replace").strip())
            time.sleep(RETRY_SECONDS)

    def _busy(self, pid: str) -> WorkspaceBusy:
        return WorkspaceBusy(
            PROCESS_AT_WORK(name=pid or "unknown"),
            where=str(self.path.parent),
            todo=WAIT_OR_END,
        )


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
