"""`patron sql`: one read-only SELECT over the lake's tables, and which tables and columns there are."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import sqlalchemy as sa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from patron.schema.errors import BadQuery
from patron.schema.spelling import did_you_mean
from patron.schema.table_definition import TEXT, TIME, sql_type
from patron.schema.tables import BY_NAME
from patron.storage.engine import syntax_problem
from patron.storage.pinned_tables import pinned_relation, with_ctes
from patron.storage.shop import Shop
from patron.storage.store import ASSIGNMENTS

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

STORE_TABLES = {ASSIGNMENTS.name: ASSIGNMENTS}
"""Tables of the store that can be queried too: those without personal data."""
STORE_ROWS = {ASSIGNMENTS.name: "one row per experiment and customer"}

STORE_TYPES = {sa.Text: TEXT, sa.DateTime: TIME}

LISTED = "`patron sql` alone lists all tables, and `patron sql TABLE` its columns."
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


def sql(shop: Shop, text: str) -> pa.Table:
    """Run one SELECT over the tables as the last finished run left them; events are as of now.

    Raises BadQuery for anything but one SELECT over declared tables.
    """
    snapshot = shop.snapshot()
    pinned = snapshot.pinned if snapshot else {}
    names = _tables_of(_parsed(text))
    relations = [(name, pinned_relation(shop.lake, BY_NAME[name], pinned)) for name in names if name in BY_NAME]
    stored = {name: _stored_rows(shop, STORE_TABLES[name]) for name in names if name in STORE_TABLES}
    with shop.engine.connect(stored) as con:
        # Only the files of these snapshots may be opened, and no setting may be changed any more.
        folder = str(shop.lake.folder).replace("'", "''")
        con.execute(f"set allowed_directories = ['{folder}/']")
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
        try:
            return con.sql(with_ctes(text.strip().rstrip(";"), relations)).to_arrow_table()
        except duckdb.Error as error:
            raise BadQuery(str(error).strip(), todo=LISTED) from error


def _parsed(text: str) -> exp.Expr:
    try:
        statements = [one for one in sqlglot.parse(text, read="duckdb") if one is not None]
    except SqlglotError as error:
        raise BadQuery(syntax_problem(error), todo="Write one SELECT.") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        todo = f"Write one SELECT; Patron's tables are read-only here. {LISTED}"
        raise BadQuery("only one SELECT can be run", todo=todo)
    forbidden = next(statements[0].find_all(*FORBIDDEN), None)
    if forbidden is not None:
        raise BadQuery(f"{forbidden.key.upper()} can not be run here", todo="Write one SELECT without it.")
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
    meant = did_you_mean(name, known) or f"Tables are {', '.join(known)}."
    return BadQuery(f"there is no table {name}", todo=f"{meant} {LISTED}")


def _stored_rows(shop: Shop, table: sa.Table) -> pa.Table:
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    schema = pa.schema([(column.name, STORE_TYPES[type(column.type)]) for column in table.c])
    return pa.Table.from_pylist(rows, schema=schema)
