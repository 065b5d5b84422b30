"""Queries of the console: each runs in a process of its own, so that none of them holds up or fells the server.

What may be taken is what `patron sql` may take; a process that goes past it is ended, and the next query has another.
The processes open the workspace themselves, so that they are bounded but not confined.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from patron.answers.data.query_limits import SQL_LISTED, SQL_STOPPED
from patron.schema.errors import BadQuery, code_of
from patron.schema.sentences import Sentence, Text
from patron.schema.spelling import TWO_TEXTS
from patron.storage.runs.past_shop import past_shop
from patron.storage.sandbox.sandbox import Sandbox, Stop, Stopped
from patron.storage.sandbox.sandbox_process import Bounds
from patron.storage.shop import Shop

CHANGE_OR_RUN_AGAIN = Sentence("change_or_run_again", "Change it, or run it again.")

SQL_FINISHED = Sentence("sql_finished", "Try again when one has finished.")
SQL_BUSY = Sentence("sql_busy", "{count} queries are running already")

HIDDEN = ("token", "trait")
"""Personal-data classes whose columns do not exist for the console's queries."""
MAX_TEXT_LENGTH = 500
MAX_COLUMNS, MAX_CELLS = 500, 5_000_000
"""Of a result: whoever reads it holds all of it in memory, and page or file besides."""
MAX_INTEGER, MAX_NUMBER = 2**63 - 1, 1e20
"""Of a value: a larger integer is a number with decimals, a larger number is none."""
CELL_BYTES = 60
"""Of a value beside its text."""
LIMIT_SECONDS = 4.0
"""How much longer a query has to notice that its time is over, before its process is ended."""
NARROWER = Sentence("sql_fewer", "Read fewer rows or columns, or aggregate earlier.")
PAGE_LISTS = Sentence("sql_page_lists", "The page lists all tables and columns.")
SQL_EXHAUSTED = Sentence("sql_exhausted", "the query took more than there is, and was stopped")
SQL_WIDE = Sentence("sql_wide", "its result has {count:,} columns, more than {most:,}")
SQL_LARGE = Sentence("sql_large", "its result has more than {most:,} values")
SQL_YOU_STOPPED = Sentence("sql_you_stopped", "you stopped the query")
BOUNDS = Bounds(
    processes=2,
    seconds=30.0,
    threads=os.cpu_count() or 1,
    memory_bytes=8 << 30,
    answer_bytes=256 << 20,
    is_confined=False,
)
"""Of a query at most, as people wait for it; the settings bound it further."""
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

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        texts = sum(len(cell) for row in self.rows for cell in row if isinstance(cell, str))
        return texts + CELL_BYTES * len(self.rows) * len(self.columns)


class QueryWorkers:
    """Processes that run the console's queries over one workspace; they start when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sandbox = Sandbox(BOUNDS)

    def run(self, sql: str, *, seconds: float, most_rows: int, asker: str = "", as_of: str = "") -> QuestionResult:
        """Run one SELECT over the tables as of the last run or a past one; `asker` may stop it. Raises BadQuery."""
        seconds = min(seconds, BOUNDS.seconds)
        arguments = (str(self._folder), sql, most_rows, seconds, as_of)
        try:
            result = self._sandbox.call(run_query, *arguments, seconds=seconds + LIMIT_SECONDS, asker=asker)
        except Stopped as stopped:
            raise _refusal(stopped.stop, seconds) from stopped
        times = {n for n, column in enumerate(result.columns) if column.kind == "time"}
        rows = tuple(tuple(_time(cell) if n in times else cell for n, cell in enumerate(row)) for row in result.rows)
        return QuestionResult(result.columns, rows, result.is_cut)

    def stop(self, asker: str) -> int:
        """End the queries that somebody runs; how many there were. Their next ones have other processes."""
        return self._sandbox.stop(asker)

    def close(self) -> None:
        """End the processes."""
        self._sandbox.close()


def _refusal(stop: Stop, seconds: float) -> BadQuery:
    if stop is Stop.ASKER:
        return BadQuery(SQL_YOU_STOPPED, todo=CHANGE_OR_RUN_AGAIN)
    if stop is Stop.BUSY:
        return BadQuery(SQL_BUSY(count=BOUNDS.processes), todo=SQL_FINISHED)
    if stop is Stop.TIME:
        return BadQuery(SQL_STOPPED(seconds=seconds), todo=NARROWER)
    return BadQuery(SQL_EXHAUSTED, todo=NARROWER)


def _time(cell: Cell) -> Cell:
    return datetime.fromisoformat(cell) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class PlainResult:
    """A result as one process tells another: times are texts."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[str | int | float | bool | None, ...], ...]
    is_cut: bool


def run_query(folder: str, sql: str, most_rows: int, seconds: float, as_of: str) -> PlainResult:
    """Run a query in this process. Raises BadQuery."""
    from patron.answers.data.sql_query import open_query  # noqa: PLC0415 - why: the server needs none of it

    batches, count = [], 0
    shop = _open_shop(folder)
    shop = (past_shop(shop, as_of) if as_of else None) or shop
    try:
        with open_query(shop, sql, seconds=seconds, hidden=HIDDEN) as result:
            schema = result.schema
            _require_small(len(schema), 0)
            for batch in result.batches:
                batches.append(batch)
                count += batch.num_rows
                _require_small(len(schema), min(count, most_rows))
                if count > most_rows:
                    break
    except BadQuery as error:
        raise BadQuery(error.what, todo=_todo(error)) from error
    table = pa.Table.from_batches(batches, schema).slice(0, most_rows)
    columns = tuple(ResultColumn(field.name, _kind(field.type)) for field in schema)
    cells = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    rows = tuple(zip(*cells, strict=True)) if cells else ()
    return PlainResult(columns, rows, count > most_rows)


def _require_small(columns: int, rows: int) -> None:
    """Raise BadQuery for a result that would take the memory of whoever reads it."""
    if columns > MAX_COLUMNS:
        raise BadQuery(SQL_WIDE(count=columns, most=MAX_COLUMNS), todo=NARROWER)
    if columns * rows > MAX_CELLS:
        raise BadQuery(SQL_LARGE(most=MAX_CELLS), todo=NARROWER)


@lru_cache(1)
def _open_shop(folder: str) -> Shop:
    return Shop.open(Path(folder))


def _todo(refusal: BadQuery) -> str:
    """What to do, for who has no command line."""
    if code_of(refusal.what) == SQL_STOPPED.code:
        return NARROWER
    todo = refusal.todo
    if todo == NARROWER:
        return NARROWER
    if isinstance(todo, Text) and todo.code == TWO_TEXTS.code and code_of(todo.values["second"]) == SQL_LISTED.code:
        return todo.values["first"]
    return PAGE_LISTS if code_of(todo) in {"", SQL_LISTED.code} else todo


def _kind(of: pa.DataType) -> str:
    if pa.types.is_temporal(of) and not pa.types.is_time(of) and not pa.types.is_duration(of):
        return "time" if not pa.types.is_interval(of) else "text"
    if pa.types.is_boolean(of):
        return "flag"
    return "number" if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of) else "text"


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        value = float(value)
    if isinstance(value, float) and not abs(value) <= MAX_NUMBER:
        return None  # why: neither JSON, nor a page, nor an axis has it, infinity and what is not a number
    if hasattr(value, "isoformat"):
        return value.isoformat()  # pyright: ignore[reportAttributeAccessIssue]
    if value is None or isinstance(value, int | float | bool):
        return value
    return str(value)[:MAX_TEXT_LENGTH]
