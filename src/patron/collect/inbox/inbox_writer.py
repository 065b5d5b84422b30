"""The inbox writer: requests that arrive together share one durable commit; too many at once are refused."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from patron.collect.inbox.inbox import Inbox
from patron.collect.request import Request
from patron.schema.common_sentences import CANNOT_BE_WRITTEN, TOO_MUCH_AT_ONCE, TRY_IN_A_SECOND
from patron.schema.data.counts import IngestionCounts
from patron.schema.errors import InboxDamaged, Overloaded, PatronError
from patron.schema.sentences import Sentence

INBOX_CLOSED = Sentence("inbox_closed", "the inbox is closed")

MAX_WAITING_MESSAGES = 20_000
"""Messages that may wait for a commit; more are answered with 503."""
MAX_MESSAGES_PER_COMMIT = 5_000
REOPEN_SECONDS = 1.0


@dataclass
class InboxWriter:
    """One thread that owns the inbox; after any failure it reopens it, as a failed descriptor cannot be trusted."""

    open_inbox: Callable[[], Inbox]
    on_commit: Callable[[list[tuple[Request, IngestionCounts]]], None] = lambda _: None
    """Called after every commit."""
    trouble: PatronError | None = None
    """Why nothing is accepted at the moment."""
    _waiting: list[tuple[Request, Future[IngestionCounts]]] = field(default_factory=list)
    _size: int = 0
    _condition: threading.Condition = field(default_factory=threading.Condition)
    _is_ending: bool = False
    _thread: threading.Thread | None = None
    _inbox: Inbox | None = None

    def start(self) -> None:
        """Open the inbox and start the thread; if it cannot be opened, `submit` raises why."""
        self._reopen()
        self._thread = threading.Thread(target=self._run, name="inbox writer", daemon=True)
        self._thread.start()

    def check_open(self) -> None:
        """Refuse before anything is read. Raises Overloaded, or why the inbox is closed."""
        if self.trouble:
            raise self.trouble.with_traceback(None)  # why: one that is raised again keeps every traceback
        if self._is_ending or self._size >= MAX_WAITING_MESSAGES:
            raise Overloaded(TOO_MUCH_AT_ONCE, where="collector", todo=TRY_IN_A_SECOND)

    def submit(self, request: Request) -> "Future[IngestionCounts]":
        """Queue a request; the counts come once it is on disk. Raises Overloaded, or why the inbox is closed."""
        with self._condition:
            if self.trouble:
                raise self.trouble.with_traceback(None)
            if self._is_ending or self._size + len(request.messages) > max(MAX_WAITING_MESSAGES, len(request.messages)):
                raise Overloaded(TOO_MUCH_AT_ONCE, where="collector", todo=TRY_IN_A_SECOND)
            future: Future[IngestionCounts] = Future()
            self._waiting.append((request, future))
            self._size += len(request.messages)
            self._condition.notify()
        return future

    def stop(self) -> None:
        """Write what waits, and end."""
        with self._condition:
            self._is_ending = True
            self._condition.notify()
        if self._thread:
            self._thread.join()
        if self._inbox:
            self._inbox.close()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: self._waiting or self._is_ending, timeout=REOPEN_SECONDS if self._may_reopen() else None
                )
                group = self._next_requests()
            if group:
                self._write(group)
            elif self._is_ending and not self._waiting:
                return
            elif self._may_reopen():
                self._reopen()

    def _may_reopen(self) -> bool:
        """Whether the trouble may pass: a damaged file stays shut until a person has fixed it."""
        return self.trouble is not None and not isinstance(self.trouble, InboxDamaged)

    def _next_requests(self) -> list[tuple[Request, Future[IngestionCounts]]]:
        """The next requests to write; those whose client has left are let go, the others can no longer leave."""
        count = size = 0
        for request, _ in self._waiting:
            if count and size + len(request.messages) > MAX_MESSAGES_PER_COMMIT:
                break
            count, size = count + 1, size + len(request.messages)
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self._size -= size
        return [(request, future) for request, future in group if future.set_running_or_notify_cancel()]

    def _write(self, group: list[tuple[Request, Future[IngestionCounts]]]) -> None:
        try:
            counts = self._open().append([request for request, _ in group])
        except Exception as error:  # noqa: BLE001 - whatever it is, every promise must be answered
            self._close_with(error)
            for _, future in group:
                future.set_exception(error)
            return
        with suppress(Exception):  # why: it is committed, whatever the callback does
            self.on_commit([(request, one) for (request, _), one in zip(group, counts, strict=True)])
        for (_, future), one in zip(group, counts, strict=True):
            future.set_result(one)

    def _open(self) -> Inbox:
        if self._inbox is None:
            raise self.trouble or Overloaded(INBOX_CLOSED, where="collector", todo=TRY_IN_A_SECOND)
        return self._inbox

    def _close_with(self, error: Exception) -> None:
        self.trouble = error if isinstance(error, PatronError) else PatronError(CANNOT_BE_WRITTEN(cause=error))
        if self._inbox is not None:
            with suppress(Exception):
                self._inbox.abandon()
        self._inbox = None

    def _reopen(self) -> None:
        try:
            self._inbox = self.open_inbox()
            if self.trouble:
                self._inbox.settle()
            self.trouble = None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            self._close_with(error)
