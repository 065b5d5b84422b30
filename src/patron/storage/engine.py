"""One SQL on one machine and on a cluster: DuckDB embedded, or Spark through SQLGlot.

Queries keep to the portable subset of the design (UTC, no interval arithmetic, ordered row_number for ties ...).
The few functions that the two engines spell differently are named here once and known to both.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from patron.schema.common_sentences import FREE_AND_RUN_AGAIN, RUN_DOCTOR
from patron.schema.errors import NoSpace, PatronError, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.settings import EngineSettings

A_FILE_UNREADABLE = Sentence("a_file_unreadable", "a file cannot be read ({cause})")
ENGINE_MEMORY = Sentence("engine_memory", "the query needs more memory than engine.memory_gb allows")
RAISE_IN_SETTINGS = Sentence("raise_in_settings", "Raise it in patron.toml.")
DISK_IS_FULL = Sentence("disk_is_full", "the disk is full")

PORTABLE = {
    "seconds_of": (("ts",), "cast(floor(epoch(ts)) as bigint)", "unix_timestamp({0})"),
    "local_hour": (
        ("ts", "zone"),
        "cast(extract(hour from timezone(zone, ts)) as bigint)",
        "cast(hour(from_utc_timestamp({0}, {1})) as bigint)",
    ),
    "local_day": (
        ("ts", "zone"),
        "cast(floor(epoch(timezone(zone, ts)) / 86400) as bigint)",
        "cast(unix_date(to_date(from_utc_timestamp({0}, {1}))) as bigint)",
    ),
    "local_weekday": (
        ("ts", "zone"),
        "(cast(floor(epoch(timezone(zone, ts)) / 86400) as bigint) + 3) % 7",
        "cast(weekday(from_utc_timestamp({0}, {1})) as bigint)",
    ),
    "local_month": (
        ("ts", "zone"),
        "cast(extract(month from timezone(zone, ts)) as bigint)",
        "cast(month(from_utc_timestamp({0}, {1})) as bigint)",
    ),
    "part_of": (
        ("amount", "weight", "total"),
        "cast((cast(amount as hugeint) * weight) // nullif(total, 0) as bigint)",
        "cast((cast({0} as decimal(38, 0)) * ({1})) div nullif({2}, 0) as bigint)",
    ),
    "midnight": (
        ("day", "zone"),
        "timezone(zone, try_cast(day as timestamp))",
        "to_utc_timestamp(try_cast({0} as timestamp), {1})",
    ),
    "day_text": (("ts",), "strftime(timezone('UTC', ts), '%Y-%m-%d')", "date_format({0}, 'yyyy-MM-dd')"),
}
"""Our own SQL functions: arguments, DuckDB's expression, Spark's expression. Weekdays count from Monday = 0.

`midnight` is when a day, as text, begins in a zone; NULL where it is no day. `part_of` is amount times weight over
total, rounded down; the product may be larger than 64 bits.
"""


def timestamp(moment: datetime) -> str:
    """Write a moment as a SQL literal. Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return f"timestamptz '{moment.astimezone(UTC).isoformat(sep=' ', timespec='microseconds')}'"


def literal(value: object) -> str:
    """Write a text as a SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def sql_list(values: Iterable[object]) -> str:
    """Write texts as a SQL list, in parentheses."""
    return f"({', '.join(literal(value) for value in values)})"


def exact_sum(amount: str) -> str:
    """SQL of the sum of floats to six decimals: a sum of decimals is the same in any order of the rows."""
    return f"cast(sum(cast({amount} as decimal(38, 6))) as double)"


Parameters = Mapping[str, str | int | float | bool | datetime]
"""Values of the `$name`s of a query, by name: they never become part of its text."""
INTERRUPTED = "Query interrupted"
"""What the engine makes of Python's KeyboardInterrupt while a statement runs."""


class Engine(Protocol):
    """What runs a query over Arrow tables and Parquet snapshots."""

    def query(
        self, sql: str, tables: Mapping[str, pa.Table] | None = None, parameters: Parameters | None = None
    ) -> pa.Table:
        """Run one portable SELECT with these tables visible by name, and the values of its `$name`s."""
        ...


class DuckEngine:
    """The embedded engine: memory bounded, spilling to a folder.

    Queries and writes share one database and its memory, each on its own cursor; code that creates tables or changes
    settings gets a separate one.
    """

    def __init__(self, settings: EngineSettings | None = None, spill: Path | None = None) -> None:
        settings = settings or EngineSettings()
        self._config: dict[str, str | int] = {
            "memory_limit": f"{settings.memory_gb}GB",
            "threads": settings.threads,
            "preserve_insertion_order": "false",
        }
        if spill is not None:
            self._config["temp_directory"] = str(spill)
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def connect(
        self, tables: Mapping[str, pa.Table] | None = None, config: Mapping[str, str | int] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a separate database that knows Patron's functions and these tables; `config` overrides its settings.

        Raises NoSpace.
        """
        with _refusals(), self._open_database(config or {}) as con:
            _register(con, tables)
            yield con

    @contextmanager
    def cursor(self, tables: Mapping[str, pa.Table] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a cursor that queries and copies to files: faster than a database of its own. Raises NoSpace."""
        with self._lock:
            if self._database is None:
                self._database = self._open_database()
            database = self._database
            cursor = database.cursor()
        try:
            with _refusals(), cursor as con:
                _register(con, tables)
                yield con
        except duckdb.FatalException:
            with self._lock:
                if self._database is database:
                    self._database = None  # why: it answers nothing any more; the next query opens another
            raise

    def query(
        self, sql: str, tables: Mapping[str, pa.Table] | None = None, parameters: Parameters | None = None
    ) -> pa.Table:
        """Run one portable SELECT with these tables visible by name, and the values of its `$name`s."""
        with self.cursor(tables) as con:
            return con.sql(sql, params=parameters or None).to_arrow_table()

    @contextmanager
    def single_threaded(self) -> Iterator[None]:
        """Run queries on one thread while the block runs: of small ones, threads that wait cost more."""
        threads = self._config["threads"]
        try:
            self._set_threads(1)
            yield
        finally:
            self._set_threads(threads)

    def _set_threads(self, count: int | str) -> None:
        with self._lock:
            self._config["threads"] = count
            if self._database is not None:
                self._database.execute(f"set global threads = {count}")

    def close(self) -> None:
        """Let go of the shared database; a query opens it anew."""
        with self._lock:
            database, self._database = self._database, None
        if database is not None:
            with suppress(duckdb.Error):  # why: while a cursor is at work; it goes with the cursor then
                database.close()

    def _open_database(self, config: Mapping[str, str | int] = MappingProxyType({})) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(config={**self._config, **config})
        con.execute("set global TimeZone = 'UTC'")
        for name, (args, body, _) in PORTABLE.items():
            con.execute(f"create macro {name}({', '.join(args)}) as {body}")
        return con


def _register(con: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table] | None) -> None:
    for name, rows in (tables or {}).items():
        con.register(name, rows)


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in our words what a query ran out of."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise PatronError(ENGINE_MEMORY, todo=RAISE_IN_SETTINGS) from error
    except duckdb.IOException as error:
        if "No space left" in str(error) or "ENOSPC" in str(error):
            raise NoSpace(DISK_IS_FULL, todo=FREE_AND_RUN_AGAIN) from error
        what = A_FILE_UNREADABLE(cause=str(error).splitlines()[0])
        raise WorkspaceError(what, todo=RUN_DOCTOR) from error
    except RuntimeError as error:
        if str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error
        raise


def to_spark(sql: str) -> str:
    """Transpile a portable query to Spark's dialect, with Patron's own functions in Spark's words."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Anonymous) and node.name.lower() in PORTABLE:
            template = PORTABLE[node.name.lower()][2]
            args = [arg.sql(dialect="spark") for arg in node.expressions]
            return sqlglot.parse_one(template.format(*args), read="spark")
        return node

    return sqlglot.parse_one(sql, read="duckdb").transform(rewrite).sql(dialect="spark")
