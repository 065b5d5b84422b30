"""Functions called in processes of their own, within bounds: what they are given may come from anybody.

A call has bounds of time, memory and the size of its answer, no network, and no file but those that it is shown.
Whatever becomes of its process, the server tells whoever asked and goes on; the next call has another process.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from patron.schema import errors
from patron.schema.errors import PatronError, read_texts
from patron.schema.sentences import Sentence, Text, declared
from patron.storage.sandbox.sandbox_process import Answer, Bounds, Call, read_frame, write_frame
from patron.storage.workspace.workspace_files import SETTINGS_FILE

READING_TOO_LONG = Sentence("reading_too_long", "reading it took longer than {seconds:g} seconds and was stopped")
READING_TOO_LARGE = Sentence("reading_too_large", "reading it took more than {size:,} MB of memory and was stopped")
READING_FAILED = Sentence("reading_failed", "its content crashed the process that read it")
READING_BUSY = Sentence("reading_busy", "too many files and templates are being read already")
TRY_IN_A_MOMENT = Sentence("try_in_a_moment", "Try again in a moment.")

LOG = logging.getLogger(__name__)
Result = TypeVar("Result")
MODULE = "patron.storage.sandbox.sandbox_process"
PATIENCE_SECONDS = 20.0
"""How long a call waits for its turn, and for a process to start."""
MAX_WAITING, MAX_WAITING_OF_ONE = 10, 6
"""Calls that wait for a sandbox, in all and of one asker; each holds a thread of the server, which has 40."""
MAX_FAILURE_LENGTH = 4_000
GRACE_SECONDS = 2.0
"""How long a process that closed its pipes may take to end."""
PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "PYTHONHASHSEED")
"""What a confined process gets of the environment: nothing that could be secret."""
SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Few threads, and memory that counts when it is used."""


class Stop(StrEnum):
    """Why a call came to nothing."""

    TIME = "time"
    MEMORY = "memory"
    FAILURE = "failure"
    BUSY = "busy"
    ASKER = "asker"


class Stopped(Exception):
    """A call was stopped: it exceeded its bounds, its process failed, or whoever asked cancelled it."""

    def __init__(self, stop: Stop, bounds: Bounds, seconds: float) -> None:
        super().__init__(stop)
        self.stop = stop
        self._bounds = bounds
        self._seconds = seconds

    def refusal(self, kind: type[PatronError], *, where: str, todo: str) -> PatronError:
        """What to tell whoever sent it."""
        return kind(self._problem, where=where, todo=TRY_IN_A_MOMENT if self.stop is Stop.BUSY else todo)

    @property
    def _problem(self) -> Text | Sentence:
        if self.stop is Stop.TIME:
            return READING_TOO_LONG(seconds=self._seconds)
        if self.stop is Stop.MEMORY:
            return READING_TOO_LARGE(size=self._bounds.memory_bytes >> 20)
        return READING_BUSY if self.stop is Stop.BUSY else READING_FAILED


STOPPED_CALLS: ContextVar[list[tuple[str, Stop]] | None] = ContextVar("patron_stopped_calls", default=None)
"""Where the calls of a request that were stopped are noted: the function, and why."""
ASKER: ContextVar[str] = ContextVar("patron_asker", default="")
"""Who sent the request; empty where nobody did, as for a job of the server itself."""


class Sandbox:
    """Processes that call functions within bounds; they start when they are first needed, and end with this one."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * bounds.processes
        self._askers: list[str] = [""] * bounds.processes
        """Whose call each process runs; empty for nobody's."""
        self._stopped: dict[int, Stop] = {}
        self._lock = threading.Lock()
        self._turns = threading.Condition()
        self._free = list(range(bounds.processes))
        self._running: Counter[str] = Counter()
        """Processes that each asker holds."""
        self._waiting: list[_Ticket] = []
        # why: an application may be gone without having been shut down
        self._finalizer = weakref.finalize(self, _end_all, self._processes)

    def call(
        self, function: Callable[..., Result], *arguments: Any, seconds: float | None = None, asker: str = ""
    ) -> Result:
        """Call a function of a module, whose annotations say what it takes and returns; `asker` may stop it.

        Nobody occupies all processes, or the whole queue: `ASKER` says whose call it is.

        Raises Stopped, and the refusals of the function.
        """
        seconds = seconds or self._bounds.seconds
        call = Call(function.__module__, function.__qualname__, arguments=list(arguments), seconds=seconds)
        try:
            content = msgspec.msgpack.encode(call)
        except UnicodeEncodeError as error:  # why: a lone surrogate, which JSON can name and no text can hold
            raise Stopped(Stop.FAILURE, self._bounds, seconds) from error
        try:
            with self._reserve_process(seconds, ASKER.get() or asker) as number:
                answer = self._ask(number, content, seconds, asker or ASKER.get())
                return self._result_of(function, answer, number, seconds)
        except Stopped as stopped:
            calls = STOPPED_CALLS.get()
            if calls is not None and stopped.stop is not Stop.ASKER:
                calls.append((function.__name__, stopped.stop))
            raise

    def _result_of(self, function: Callable[..., Result], answer: Answer, number: int, seconds: float) -> Result:
        """Decode an answer. Raises the refusal of the function, and Stopped for a failure or a forged answer."""
        if answer.failure:
            said = ascii(answer.failure)[-MAX_FAILURE_LENGTH:]
            LOG.warning("%s failed in its process: %s", function.__name__, said)
            self._end(number)
            raise Stopped(Stop.FAILURE, self._bounds, seconds)
        try:
            if answer.refusal is None:
                return msgspec.msgpack.decode(answer.result, type=get_type_hints(function)["return"])
            refusal = _refusal(answer)
        except (msgspec.DecodeError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            self._end(number)
            raise Stopped(Stop.FAILURE, self._bounds, seconds) from error
        raise refusal

    def stop(self, asker: str) -> int:
        """Stop the calls of somebody; how many there were."""
        with self._lock:
            running = [number for number, one in enumerate(self._askers) if asker and one == asker]
            for number in running:
                self._kill(number, Stop.ASKER)
        return len(running)

    def close(self) -> None:
        """End the processes."""
        self._finalizer()

    def _kill(self, number: int, stop: Stop) -> None:
        process = self._processes[number]
        self._stopped.setdefault(number, stop)
        if process is not None:
            _kill(process)

    @contextmanager
    def _reserve_process(self, seconds: float, asker: str) -> Iterator[int]:
        """The number of a process that is free, in the order of the calls. Raises Stopped where too many wait."""
        ticket = _Ticket(asker)
        with self._turns:
            of_one = sum(one.asker == asker for one in self._waiting)
            has_place = len(self._waiting) < MAX_WAITING and of_one < MAX_WAITING_OF_ONE
            if asker and not has_place and not (self._may_run(asker) and not self._waiting):
                raise Stopped(Stop.BUSY, self._bounds, seconds)
            self._waiting.append(ticket)
            has_turn = self._turns.wait_for(lambda: self._next_ticket() is ticket, PATIENCE_SECONDS)
            self._waiting.remove(ticket)
            if not has_turn:
                self._turns.notify_all()
                raise Stopped(Stop.BUSY, self._bounds, seconds)
            number = self._free.pop()
            self._running[asker] += 1
            self._turns.notify_all()
        try:
            yield number
        finally:
            with self._turns:
                self._free.append(number)
                self._running[asker] -= 1
                self._running += Counter()  # why: forgets whoever holds none
                self._turns.notify_all()

    def _next_ticket(self) -> "_Ticket | None":
        """Who waits longest of those who may have a process that is free."""
        if not self._free:
            return None
        return next((one for one in self._waiting if self._may_run(one.asker)), None)

    def _may_run(self, asker: str) -> bool:
        """Whether somebody leaves a process to others."""
        return bool(self._free) and (not asker or self._running[asker] < max(1, self._bounds.processes - 1))

    def _ask(self, number: int, call: bytes, seconds: float, asker: str) -> Answer:
        with self._lock:
            self._stopped.pop(number, None)
            self._askers[number] = asker
        try:
            process = self._ready_process(number)
            with self._killed_after(number, seconds + self._bounds.waiting_seconds):
                write_frame(_pipe(process.stdin), call)
                content = read_frame(_pipe(process.stdout), self._bounds.answer_bytes)
            answer = msgspec.msgpack.decode(content, type=Answer)
        except OverflowError:
            answer = Answer(is_out_of_memory=True)
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            raise Stopped(self._reason(number), self._bounds, seconds) from error
        finally:
            with self._lock:
                self._askers[number] = ""
        if answer.is_out_of_memory:
            self._end(number)  # why: what was taken does not always come back
            raise Stopped(Stop.MEMORY, self._bounds, seconds)
        return answer

    @contextmanager
    def _killed_after(self, number: int, seconds: float) -> Iterator[None]:
        is_over = threading.Event()

        def kill() -> None:
            with self._lock:
                if not is_over.is_set():  # why: the call may end as its time does, and the next one has begun
                    self._kill(number, Stop.TIME)

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                is_over.set()

    def _ready_process(self, number: int) -> "subprocess.Popen[bytes]":
        """The process of a number, ready for a call. Raises OSError where it does not start."""
        process = self._processes[number]
        if process is None or process.poll() is not None:
            self._end(number)
            process = self._processes[number] = _start_process(self._bounds)
            with self._killed_after(number, PATIENCE_SECONDS):
                read_frame(_pipe(process.stdout), self._bounds.answer_bytes)
        if number in self._stopped:
            raise OSError("the process did not start, or nobody waits for it any more")
        return process

    def _reason(self, number: int) -> Stop:
        """Why the process of a number does not answer; it is ended."""
        process = self._processes[number]
        if process is not None and number not in self._stopped:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)  # why: its pipes close before it has ended
        is_out_of_time = process is not None and process.returncode == -signal.SIGXCPU
        self._end(number)
        return self._stopped.pop(number, Stop.TIME if is_out_of_time else Stop.FAILURE)

    def _end(self, number: int) -> None:
        process = self._processes[number]
        self._processes[number] = None
        if process is not None:
            _end(process)


class _Ticket:
    """A call that waits for its turn."""

    def __init__(self, asker: str) -> None:
        self.asker = asker


class _Refusal(msgspec.Struct, forbid_unknown_fields=True):
    """What `PatronError.plain` makes, of the types that it makes."""

    what: str
    where: str
    todo: str
    code: str
    values: dict[str, Any]
    todo_code: str
    todo_values: dict[str, Any]


def _refusal(answer: Answer) -> PatronError:
    """Rebuild the refusal in an answer. Raises ValueError, TypeError, LookupError for a forged one."""
    kind = getattr(errors, answer.kind)
    if not (isinstance(kind, type) and issubclass(kind, PatronError)):
        raise TypeError(answer.kind)
    texts = read_texts(msgspec.to_builtins(msgspec.convert(answer.refusal, _Refusal)))
    for text in (texts["what"], texts["todo"]):
        if text.code in declared:
            declared[text.code](**text.values)
    return kind(texts["what"], where=texts["where"], todo=texts["todo"])


def _pipe(stream: Any) -> Any:
    if stream is None:
        raise OSError("the process has no pipes")
    return stream


def _start_process(bounds: Bounds) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", MODULE, msgspec.json.encode(bounds).decode()]
    environment = dict(os.environ)
    if bounds.is_confined:
        environment = {name: value for name, value in os.environ.items() if name in PASSED_VARIABLES}
    # why: a server started in its workspace by `python -m` has it there, and what is there may be read
    paths = os.pathsep.join(path for path in sys.path if path and not (Path(path) / SETTINGS_FILE).exists())
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**environment, **SETTINGS, "PYTHONPATH": paths},
        # why: Ctrl-C ends the server, which then ends it with all that it started
        start_new_session=True,
    )


def _end_all(processes: "list[subprocess.Popen[bytes] | None]") -> None:
    for process in processes:
        if process is not None:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            pipe.close() if pipe else None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
