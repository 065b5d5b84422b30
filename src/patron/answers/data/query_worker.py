"""Queries of the console: each runs in a process of its own, so that none of them holds up or fells the server.

The server writes a request as a line of JSON to the process, and the process writes one answer; it ends with the
server. What may be taken is what `patron sql` may take; a process that goes past it is ended, and the next query has
another.
"""

import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import msgspec
import pyarrow as pa

from patron.answers.data.query_limits import SQL_LISTED, SQL_STOPPED
from patron.schema.errors import BadQuery, code_of, read_texts
from patron.schema.sentences import Sentence, Text
from patron.schema.spelling import TWO_TEXTS
from patron.storage.runs.past_shop import past_shop
from patron.storage.shop import Shop

CHANGE_OR_RUN_AGAIN = Sentence("change_or_run_again", "Change it, or run it again.")

SQL_FINISHED = Sentence("sql_finished", "Try again when one has finished.")
SQL_BUSY = Sentence("sql_busy", "{count} queries are running already")

MODULE = "patron.answers.data.query_worker"
WORKERS = 2
"""Queries that run at a time; others wait."""
PATIENCE_SECONDS = 20.0
"""How long a query waits for its turn, and for a process to start."""
MAX_SECONDS = 30.0
"""How long a query may take at most, as people wait for it."""
HIDDEN = ("token", "trait")
"""Personal-data classes whose columns do not exist for the console's queries."""
MAX_TEXT_LENGTH = 500
NARROWER = Sentence("sql_fewer", "Read fewer rows or columns, or aggregate earlier.")
PAGE_LISTS = Sentence("sql_page_lists", "The page lists all tables and columns.")
SQL_EXHAUSTED = Sentence("sql_exhausted", "the query took more than there is, and was stopped")
EXHAUSTED = BadQuery(SQL_EXHAUSTED, todo=NARROWER).plain()
SQL_YOU_STOPPED = Sentence("sql_you_stopped", "you stopped the query")
STOPPED = BadQuery(SQL_YOU_STOPPED, todo=CHANGE_OR_RUN_AGAIN).plain()
Cell = str | int | float | bool | datetime | None


@dataclass(frozen=True)
class ResultColumn:
    """One column of a result."""

    name: str
    kind: str
    """time, number, flag or text."""


@dataclass(frozen=True)
class QuestionResult:
    """Rows of a query, and whether there were more."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_cut: bool = False


class Request(msgspec.Struct):
    """What the process is to do."""

    sql: str
    most_rows: int
    seconds: float
    as_of: str = ""
    """Name of the past run to read as of; empty for the last one."""


class Answer(msgspec.Struct):
    """What the process answers: a result, or why there is none."""

    columns: tuple[ResultColumn, ...] = ()
    rows: tuple[tuple[str | int | float | bool | None, ...], ...] = ()
    is_cut: bool = False
    refusal: dict[str, Any] | None = None
    """What is wrong, and what to do, as the error writes it."""


class QueryWorkers:
    """Processes that run the console's queries over one workspace; they start when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * WORKERS
        self._askers: list[str] = [""] * WORKERS
        """Whose query each process runs; empty for nobody's."""
        self._stopped: set[int] = set()
        self._lock = threading.Lock()
        self._free: Queue[int] = Queue()
        for number in range(WORKERS):
            self._free.put(number)
        # why: an application may be gone without having been shut down
        self._finalizer = weakref.finalize(self, _end_all, self._processes)

    def run(self, sql: str, *, seconds: float, most_rows: int, asker: str = "", as_of: str = "") -> QuestionResult:
        """Run one SELECT over the tables as of the last run or a past one; `asker` may stop it. Raises BadQuery."""
        request = Request(sql, most_rows, min(seconds, MAX_SECONDS), as_of)
        with self._turn() as number:
            answer = self._ask(number, request, asker)
        if answer.refusal:
            refusal = read_texts(answer.refusal)
            raise BadQuery(refusal["what"], todo=refusal["todo"])
        times = {n for n, column in enumerate(answer.columns) if column.kind == "time"}
        rows = tuple(tuple(_time(cell) if n in times else cell for n, cell in enumerate(row)) for row in answer.rows)
        return QuestionResult(answer.columns, rows, answer.is_cut)

    def stop(self, asker: str) -> int:
        """End the queries that somebody runs; how many there were. Their next ones have other processes."""
        with self._lock:
            running = [number for number, one in enumerate(self._askers) if asker and one == asker]
            for number in running:
                process = self._processes[number]
                if process is not None:
                    self._stopped.add(number)
                    process.kill()
        return len(running)

    def close(self) -> None:
        """End the processes."""
        self._finalizer()

    @contextmanager
    def _turn(self) -> Iterator[int]:
        try:
            number = self._free.get(timeout=PATIENCE_SECONDS)
        except Empty:
            todo = SQL_FINISHED
            raise BadQuery(SQL_BUSY(count=WORKERS), todo=todo) from None
        try:
            yield number
        finally:
            self._free.put(number)

    def _ask(self, number: int, request: Request, asker: str) -> Answer:
        process = self._processes[number]
        if process is not None and process.poll() is not None:
            _end(process)
            process = None
        if process is None:
            process = self._processes[number] = _start(self._folder)
        # why: what the process itself does not notice
        timer = threading.Timer(request.seconds + PATIENCE_SECONDS, process.kill)
        timer.start()
        with self._lock:
            self._stopped.discard(number)
            self._askers[number] = asker
        try:
            return _exchange(process, request)
        except (OSError, msgspec.DecodeError):
            _end(process)
            self._processes[number] = None
            return Answer(refusal=STOPPED if number in self._stopped else EXHAUSTED)
        finally:
            timer.cancel()
            with self._lock:
                self._askers[number] = ""


def _exchange(process: "subprocess.Popen[bytes]", request: Request) -> Answer:
    if process.stdin is None or process.stdout is None:
        raise OSError("the process has no pipes")
    process.stdin.write(msgspec.json.encode(request) + b"\n")
    process.stdin.flush()
    return msgspec.json.decode(process.stdout.readline(), type=Answer)


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", MODULE, str(folder)]
    # why: a session of its own, so that Ctrl-C ends the server, which then ends it
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _end_all(processes: "list[subprocess.Popen[bytes] | None]") -> None:
    for process in processes:
        if process is not None:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            pipe.close() if pipe else None


def _time(cell: Cell) -> Cell:
    return datetime.fromisoformat(cell) if isinstance(cell, str) else cell


def answer_request(shop: Shop, request: Request, write: "Writer") -> Answer:
    """Run a query in this process; `write` sends the refusal of one that does not end."""
    from patron.answers.data.sql_query import open_query  # noqa: PLC0415 - why: the server needs none of it

    def give_up(refusal: BadQuery) -> None:
        write(Answer(refusal=_refused(refusal)))
        os._exit(1)

    batches, count = [], 0
    shop = (past_shop(shop, request.as_of) if request.as_of else None) or shop
    try:
        with open_query(shop, request.sql, seconds=request.seconds, give_up=give_up, hidden=HIDDEN) as result:
            schema = result.schema
            for batch in result.batches:
                batches.append(batch)
                count += batch.num_rows
                if count > request.most_rows:
                    break
    except BadQuery as error:
        return Answer(refusal=_refused(error))
    table = pa.Table.from_batches(batches, schema).slice(0, request.most_rows)
    columns = tuple(ResultColumn(field.name, _kind(field.type)) for field in schema)
    cells = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    rows = tuple(zip(*cells, strict=True)) if cells else ()
    return Answer(columns, rows, count > request.most_rows)


def _refused(refusal: BadQuery) -> dict[str, Any]:
    return BadQuery(refusal.what, todo=_todo(refusal)).plain()


def _todo(refusal: BadQuery) -> str:
    """What to do, for who has no command line."""
    if code_of(refusal.what) == SQL_STOPPED.code:
        return NARROWER
    todo = refusal.todo
    if isinstance(todo, Text) and todo.code == TWO_TEXTS.code and code_of(todo.values["second"]) == SQL_LISTED.code:
        return todo.values["first"]
    return PAGE_LISTS if code_of(todo) in {"", SQL_LISTED.code} else todo


class Writer:
    """Writes answers to where the server reads them, and nothing else does."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # why: whatever a library prints must not look like an answer

    def __call__(self, answer: Answer) -> None:
        """Write one answer."""
        self._out.write(msgspec.json.encode(answer) + b"\n")
        self._out.flush()


def _kind(of: pa.DataType) -> str:
    if pa.types.is_temporal(of) and not pa.types.is_time(of) and not pa.types.is_duration(of):
        return "time" if not pa.types.is_interval(of) else "text"
    if pa.types.is_boolean(of):
        return "flag"
    return "number" if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of) else "text"


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()  # pyright: ignore[reportAttributeAccessIssue]
    if value is None or isinstance(value, int | float | bool):
        return value
    return str(value)[:MAX_TEXT_LENGTH]


def main(folder: Path) -> None:
    """Answer requests until the server ends."""
    write, shop = Writer(), Shop.open(folder)
    for line in sys.stdin.buffer:
        write(answer_request(shop, msgspec.json.decode(line, type=Request), write))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
