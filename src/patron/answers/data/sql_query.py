"""`patron sql`: one read-only SELECT over the lake's tables, and which tables and columns there are."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from patron.answers.data.query_check import SQL_DEEP, SQL_PARENTHESES, TOO_DEEP, declared_tables, no_table
from patron.answers.data.query_limits import BYTES_PER_GB, SQL_LISTED, GiveUp, QueryLimits, Watch, spill_folder
from patron.schema.errors import BadQuery
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME, Personal, Table, sql_type
from patron.schema.tables import BY_NAME
from patron.storage.duck_engine import DuckEngine
from patron.storage.engine import literal
from patron.storage.outreach.campaign_tables import ASSIGNMENTS
from patron.storage.runs.pinned_tables import pinned_relation
from patron.storage.runs.snapshot import Past
from patron.storage.sandbox.confinement import memory_cap
from patron.storage.settings import EngineSettings
from patron.storage.shop import Shop
from patron.storage.store.store import EXPERIMENT_ARMS

STORE_TABLES = {table.name: table for table in (EXPERIMENT_ARMS, ASSIGNMENTS)}
"""Tables of the store that can be queried too: those without personal data."""
STORE_ROWS = {
    EXPERIMENT_ARMS.name: "one row per experiment and customer",
    ASSIGNMENTS.name: "one row per campaign and customer of its segment",
}

STORE_TYPES = {sa.Text: TEXT, sa.DateTime: TIME, sa.Boolean: FLAG, sa.Integer: INT, sa.Float: NUMBER}

TABLE_NAMES = frozenset(BY_NAME.keys() | STORE_TABLES.keys())
"""Every table that can be queried."""

TRAIT_FEATURE = "declared_"
"""How features begin that are traits which customers declared."""
ROWS_PER_BATCH = 10_000
MEMORY_BESIDES_GB = 1.0
"""What the process may take besides the engine: rows on their way out."""
TEXTS = "select json_extract_string(json_serialize_sql($sql), '$..literal.text')"
"""Texts in a SELECT."""
SEAL = (
    "set enable_external_access = false",
    "set python_enable_replacements = false",
    "set autoload_known_extensions = false",
    "set autoinstall_known_extensions = false",
)
"""What keeps an engine from anything but its tables and the files that were allowed before, for good."""
BINDER = DuckEngine(EngineSettings(memory_gb=0.5, threads=1))
"""An engine without any file or row, in which a query is parsed and bound before it runs."""
PATH = re.compile(r"""(?<=")/[^"]+|(?<=')/[^']+|(?<![\w./])(?:/[^\s/"',;:()\[\]]+){2,}/?""")
"""A path from the root, in a message."""


@dataclass(frozen=True)
class ColumnInfo:
    """One column of a table."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class TableInfo:
    """One table that can be queried."""

    name: str
    row: str
    """What one row is."""
    columns: tuple[ColumnInfo, ...]


def tables(shop: Shop, name: str = "") -> tuple[TableInfo, ...]:
    """Every table that can be queried, or the one of a name. Raises BadQuery for an unknown name."""
    if name and name not in TABLE_NAMES:
        raise no_table(name, TABLE_NAMES)
    return tuple(_info(shop, one) for one in sorted(TABLE_NAMES) if name in {"", one})


def _info(shop: Shop, name: str) -> TableInfo:
    if name in STORE_TABLES:
        stored = (
            ColumnInfo(c.name, sql_type(STORE_TYPES[type(c.type)]), "", c.comment or "") for c in STORE_TABLES[name].c
        )
        return TableInfo(name, STORE_ROWS[name], tuple(stored))
    declared = {column.name: column for column in BY_NAME[name].columns}
    columns = (
        ColumnInfo(f.name, sql_type(f.type), declared[f.name].unit, declared[f.name].meaning)
        if f.name in declared
        else ColumnInfo(f.name, sql_type(f.type), "", "")
        for f in shop.lake.fields(BY_NAME[name])
    )
    return TableInfo(name, BY_NAME[name].row, tuple(columns))


@dataclass(frozen=True)
class QueryResult:
    """Rows of a query as the engine makes them, some at a time; they can be read once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def sql(shop: Shop, text: str, *, seconds: float | None = None) -> pa.Table:
    """Run one SELECT over the tables and return the whole result; see `open_query`."""
    with open_query(shop, text, seconds=seconds) as result:
        return pa.Table.from_batches(result.batches, result.schema)


@contextmanager
def open_query(
    shop: Shop,
    text: str,
    *,
    seconds: float | None = None,
    give_up: GiveUp | None = None,
    hidden: Collection[Personal] = (),
) -> Iterator[QueryResult]:
    """Run one SELECT over the tables as the last finished run left them; events are as of now, or as of a past run.

    The rows come in no particular order unless the query has an ORDER BY. `seconds` replaces the time limit of the
    settings; `give_up` is called with the refusal when the engine does not notice that it is interrupted. Columns of
    the personal-data classes `hidden` do not exist for the query.
    Raises BadQuery for anything but one SELECT over declared tables, and for one that takes too much.
    """
    limits = QueryLimits.of(shop.settings.engine, seconds)
    with spill_folder(shop.folder / "tmp", f"sql-{os.getpid()}") as spill, BINDER.cursor() as binder:
        watch = Watch(limits, spill, give_up)
        try:
            with _refusals(watch, limits, text), watch.work(binder):
                names = declared_tables(binder, text, TABLE_NAMES)
            relations = {
                name: _without(BY_NAME[name], hidden, _relation(shop, name)) for name in names if name in BY_NAME
            }
            stored = {name: _stored_rows(shop, STORE_TABLES[name]) for name in names if name in STORE_TABLES}
            with (
                shop.engine.connect(stored, limits.engine_config(spill)) as con,
                memory_cap(round((limits.memory_gb + MEMORY_BESIDES_GB) * BYTES_PER_GB)),
            ):
                refusals = partial(_refusals, watch, limits, text)
                with refusals(), watch.work(con):
                    _lock_down(con, _define_views(con, relations))
                with refusals(), watch.work(binder):
                    _bind_without_files(binder, con, names, text)
                with refusals(), watch.work(con):
                    reader = con.sql(text).to_arrow_reader(ROWS_PER_BATCH)
                yield QueryResult(reader.schema, _batches(reader, con, watch, refusals))
        except MemoryError as error:
            raise limits.out_of_memory(error) from error
        finally:
            watch.end()


def _define_views(con: duckdb.DuckDBPyConnection, relations: Mapping[str, str]) -> list[str]:
    """Give an engine the SQL of tables under their names, and return the files that it names."""
    files: set[str] = set()
    for name, relation in relations.items():
        con.execute(f"create view {name} as {relation}")
        [[texts]] = con.execute(TEXTS, {"sql": relation}).fetchall()
        files.update(text for text in texts if text.endswith(".parquet"))
    return sorted(files)


def _bind_without_files(
    binder: duckdb.DuckDBPyConnection, con: duckdb.DuckDBPyConnection, names: Iterable[str], text: str
) -> None:
    """Bind a query where the tables are empty and no file can be opened: what is not a column of theirs fails here.

    It holds the query to the declared tables and the columns that are shown even where a check has been passed by.
    """
    for name in names:
        table = con.view(name)
        columns = (f'"{column}" {type_}' for column, type_ in zip(table.columns, table.types, strict=True))
        binder.execute(f"create temp table {name} ({', '.join(columns)})")
    for statement in SEAL:
        binder.execute(statement)
    binder.sql(text)


def _lock_down(con: duckdb.DuckDBPyConnection, files: Collection[str]) -> None:
    """Let the engine open these files alone, and let no setting be changed any more."""
    if files:
        con.execute(f"set allowed_paths = [{', '.join(map(literal, files))}]")
    for statement in (*SEAL, "set lock_configuration = true"):
        con.execute(statement)


def _relation(shop: Shop, name: str) -> str:
    """SQL of a table, with the rows of withdrawn runs: they stay on record."""
    snapshot = shop.snapshot()
    if snapshot and snapshot.past is not Past.NOT:
        return snapshot.tables.relation(name)
    return pinned_relation(shop.lake, BY_NAME[name], snapshot.pinned if snapshot else {})


def _without(table: Table, hidden: Collection[Personal], relation: str) -> str:
    """SQL of a table without its columns of some personal-data classes."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.personal in hidden)
    shown = f"select * exclude ({columns}) from ({relation})" if columns else relation
    if table.is_open and "trait" in hidden:
        return f"select columns(lambda name: not starts_with(name, '{TRAIT_FEATURE}')) from ({shown})"
    return shown


def _batches(
    reader: pa.RecordBatchReader,
    con: duckdb.DuckDBPyConnection,
    watch: Watch,
    refusals: Callable[[], AbstractContextManager[None]],
) -> Iterator[pa.RecordBatch]:
    while True:
        with refusals(), watch.work(con):
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _refusals(watch: Watch, limits: QueryLimits, text: str) -> Iterator[None]:
    """Say in our words why the engine did not answer; Arrow passes the engine's errors on as those of a file."""
    try:
        yield
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise limits.out_of_memory(error) from error
    except duckdb.IOException:
        raise  # why: what is wrong with a file is said for every query alike
    except (duckdb.Error, OSError, RuntimeError) as error:
        if watch.is_out_of_time:
            raise limits.out_of_time() from error
        if "Out of Memory" in str(error):
            raise limits.out_of_memory(error) from error
        if TOO_DEEP in str(error):
            raise BadQuery(SQL_DEEP, todo=SQL_PARENTHESES) from error
        if isinstance(error, (duckdb.InterruptException, RuntimeError)):  # why: so the engine reports Ctrl-C
            raise KeyboardInterrupt from error
        raise BadQuery(_words_of(error, text), todo=SQL_LISTED) from error


def _words_of(error: Exception, text: str) -> str:
    """What the engine says is wrong, without advice about settings and without paths that the query does not have."""
    words = str(error).strip().partition("\n\nPossible solutions")[0]
    return PATH.sub(lambda path: path[0] if path[0] in text else "...", words)


def _stored_rows(shop: Shop, table: sa.Table) -> pa.Table:
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    schema = pa.schema([(column.name, STORE_TYPES[type(column.type)]) for column in table.c])
    return pa.Table.from_pylist(rows, schema=schema)
