"""`patron sql`: one read-only SELECT over the lake's tables, and which tables and columns there are."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import sqlalchemy as sa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from patron.answers.data.query_limits import SQL_LISTED, GiveUp, QueryLimits, Watch, memory_cap, spill_folder
from patron.schema.common_sentences import SQL_NO_TABLE, SQL_SELECT, TOO_LONG
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean
from patron.schema.sql_syntax import syntax_problem
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME, Personal, Table, sql_type
from patron.schema.tables import BY_NAME
from patron.storage.outreach.campaign_tables import ASSIGNMENTS
from patron.storage.runs.pinned_tables import pinned_relation, with_ctes
from patron.storage.runs.snapshot import Past
from patron.storage.shop import Shop
from patron.storage.store.store import EXPERIMENT_ARMS

SQL_READ_ONLY = Sentence("sql_read_only", "Write one SELECT; Patron's tables are read-only here.")
SQL_TABLES_ALONE = Sentence("sql_tables_alone", "Tables are {names}.")
SQL_ONLY_SELECT = Sentence("sql_only_select", "only one SELECT can be run")
SQL_FORBIDDEN = Sentence("sql_forbidden", "{name} cannot be run here")
SQL_DEEP = Sentence("sql_deep", "is nested too deeply")
SQL_SHORTER = Sentence("sql_shorter", "Write a shorter SELECT.")
SQL_WITHOUT = Sentence("sql_without", "Write one SELECT without it.")
SQL_PARENTHESES = Sentence("sql_parentheses", "Write it with fewer parentheses and subqueries.")

FORBIDDEN = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Create,
    exp.Drop,
    exp.Command,
    exp.Set,
    exp.Pragma,
    exp.Attach,
    exp.Copy,
    exp.Into,
)

STORE_TABLES = {table.name: table for table in (EXPERIMENT_ARMS, ASSIGNMENTS)}
"""Tables of the store that can be queried too: those without personal data."""
STORE_ROWS = {
    EXPERIMENT_ARMS.name: "one row per experiment and customer",
    ASSIGNMENTS.name: "one row per campaign and customer of its segment",
}

STORE_TYPES = {sa.Text: TEXT, sa.DateTime: TIME, sa.Boolean: FLAG, sa.Integer: INT, sa.Float: NUMBER}

MAX_QUERY_LENGTH = 100_000
ROWS_PER_BATCH = 10_000
MEMORY_BESIDES_GB = 1.0
"""What the process may take besides the engine: rows on their way out."""
"""Where to look for names."""


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
    known = sorted([*BY_NAME, *STORE_TABLES])
    if name and name not in known:
        raise _no_table(name)
    return tuple(_info(shop, one) for one in known if name in {"", one})


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
    try:
        names = _tables_of(_parsed(text))
    except RecursionError as error:
        raise BadQuery(SQL_DEEP, todo=SQL_PARENTHESES) from error
    relations = [(name, _without(BY_NAME[name], hidden, _relation(shop, name))) for name in names if name in BY_NAME]
    stored = {name: _stored_rows(shop, STORE_TABLES[name]) for name in names if name in STORE_TABLES}
    limits = QueryLimits.of(shop.settings.engine, seconds)
    with (
        spill_folder(shop.folder / "tmp", f"sql-{os.getpid()}") as spill,
        shop.engine.connect(stored, limits.engine_config(spill)) as con,
        memory_cap(limits.memory_gb + MEMORY_BESIDES_GB),
    ):
        # Only the files of these snapshots may be opened, and no setting may be changed any more.
        folder = str(shop.lake.folder).replace("'", "''")
        con.execute(f"set allowed_directories = ['{folder}/']")
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
        watch = Watch(con, limits, spill, give_up)
        try:
            with _refusals(watch, limits), watch.work():
                reader = con.sql(with_ctes(text.strip().rstrip(";"), relations)).to_arrow_reader(ROWS_PER_BATCH)
            yield QueryResult(reader.schema, _batches(reader, watch, limits))
        except MemoryError as error:
            raise limits.out_of_memory(error) from error
        finally:
            watch.end()


def _relation(shop: Shop, name: str) -> str:
    """SQL of a table, with the rows of withdrawn runs: they stay on record."""
    snapshot = shop.snapshot()
    if snapshot and snapshot.past is not Past.NOT:
        return snapshot.tables.relation(name)
    return pinned_relation(shop.lake, BY_NAME[name], snapshot.pinned if snapshot else {})


def _without(table: Table, hidden: Collection[Personal], relation: str) -> str:
    """SQL of a table without its columns of some personal-data classes."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.personal in hidden)
    return f"select * exclude ({columns}) from ({relation})" if columns else relation


def _batches(reader: pa.RecordBatchReader, watch: Watch, limits: QueryLimits) -> Iterator[pa.RecordBatch]:
    while True:
        with _refusals(watch, limits), watch.work():
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _refusals(watch: Watch, limits: QueryLimits) -> Iterator[None]:
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
        if isinstance(error, (duckdb.InterruptException, RuntimeError)):  # why: so the engine reports Ctrl-C
            raise KeyboardInterrupt from error
        raise BadQuery(_words_of(error), todo=SQL_LISTED) from error


def _words_of(error: Exception) -> str:
    """What the engine says is wrong, without its advice about settings, which nobody may change here."""
    return str(error).strip().partition("\n\nPossible solutions")[0]


def _parsed(text: str) -> exp.Expr:
    if len(text) > MAX_QUERY_LENGTH:
        raise BadQuery(TOO_LONG(count=f"{MAX_QUERY_LENGTH:,}"), todo=SQL_SHORTER)
    try:
        statements = [one for one in sqlglot.parse(text, read="duckdb") if one is not None]
    except SqlglotError as error:
        raise BadQuery(syntax_problem(error), todo=SQL_SELECT) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise BadQuery(SQL_ONLY_SELECT, todo=both(SQL_READ_ONLY, SQL_LISTED))
    forbidden = next(statements[0].find_all(*FORBIDDEN), None)
    if forbidden is not None:
        raise BadQuery(SQL_FORBIDDEN(name=forbidden.key.upper()), todo=SQL_WITHOUT)
    return statements[0]


def _tables_of(query: exp.Expr) -> list[str]:
    """Names of the declared tables a query reads. Raises BadQuery for files, functions and unknown tables."""
    cte_names = {cte.alias for cte in query.find_all(exp.CTE)}
    names = set()
    for table in query.find_all(exp.Table):
        if table.name in cte_names:
            continue
        if (
            table.name not in BY_NAME.keys() | STORE_TABLES.keys()
            or table.db
            or not isinstance(table.this, exp.Identifier)
        ):
            raise _no_table(table.sql(dialect="duckdb"))
        names.add(table.name)
    return sorted(names)


def _no_table(name: str) -> BadQuery:
    known = sorted(BY_NAME.keys() | STORE_TABLES.keys())
    meant = did_you_mean(name, known) or SQL_TABLES_ALONE(names=", ".join(known))
    return BadQuery(SQL_NO_TABLE(name=name), todo=both(meant, SQL_LISTED))


def _stored_rows(shop: Shop, table: sa.Table) -> pa.Table:
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    schema = pa.schema([(column.name, STORE_TYPES[type(column.type)]) for column in table.c])
    return pa.Table.from_pylist(rows, schema=schema)
