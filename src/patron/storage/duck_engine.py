"""Portable queries on this machine: DuckDB, embedded."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow as pa

from patron.schema.common_sentences import FREE_AND_RUN_AGAIN, RUN_DOCTOR
from patron.schema.errors import NoSpace, PatronError, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.engine import PORTABLE, Parameters
from patron.storage.settings import EngineSettings

A_FILE_UNREADABLE = Sentence("a_file_unreadable", "a file cannot be read ({cause})")
ENGINE_MEMORY = Sentence("engine_memory", "the query needs more memory than engine.memory_gb allows")
RAISE_IN_SETTINGS = Sentence("raise_in_settings", "Raise it in patron.toml.")
DISK_IS_FULL = Sentence("disk_is_full", "the disk is full")

QUOTED = re.compile(r"(\"[^\"]*\")|'[^']*'")
"""A name in quotes, or a text."""
OTHER_QUOTING = ("--", "/*", "$", "\\")
"""Marks of comments and of other ways to write texts, in which a quote may mean something else."""
NAMES_OF_TABLES = "select json_extract_string(json_serialize_sql($sql), '$..table_name')"
MAX_QUERIES = 512
"""Queries whose tables are remembered."""
INTERRUPTED = "Query interrupted"
"""What the engine makes of Python's KeyboardInterrupt while a statement runs."""


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
        self._table_names: dict[str, frozenset[str]] = {}
        """Tables of queries that were looked into."""
        self._database: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def connect(
        self, tables: Mapping[str, pa.Table] | None = None, config: Mapping[str, str | int] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a separate database that knows Patron's functions and these tables; `config` overrides its settings.

        Raises NoSpace.
        """
        with self._open_database(config or {}) as con, _refusals():
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

    def table_names(self, sql: str) -> frozenset[str]:
        """Names of the tables that a query reads, its own CTEs among them; none where it is not a valid SELECT."""
        # why: to parse a long query takes longer than to run it, and runs differ in texts only, which name no table
        if not any(mark in sql for mark in OTHER_QUOTING):
            sql = QUOTED.sub(lambda quoted: quoted[1] or "''", sql)
        names = self._table_names.get(sql)
        if names is None:
            with self.cursor() as con:
                [[found]] = con.execute(NAMES_OF_TABLES, {"sql": sql}).fetchall()
            names = frozenset(found)
            if len(self._table_names) >= MAX_QUERIES:
                self._table_names.clear()
            self._table_names[sql] = names
        return names

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
        with _refusals():
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
