"""`patron sql`: one read-only SELECT over the lake's tables."""

import duckdb
import pyarrow as pa
import sqlalchemy as sa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from patron.schema.errors import BadQuery
from patron.schema.table_definition import TEXT, TIME
from patron.schema.tables import BY_NAME
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

STORE_TABLES = {table.name: table for table in (ASSIGNMENTS,)}
"""Tables of the store that can be queried too: those without personal data."""


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
            raise BadQuery(str(error), todo="See docs/reference/tables.md for tables and columns.") from error


def _parsed(text: str) -> exp.Expr:
    try:
        statements = [one for one in sqlglot.parse(text, read="duckdb") if one is not None]
    except SqlglotError as error:
        raise BadQuery(f"is not SQL ({error})", todo="Write one SELECT.") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise BadQuery("only one SELECT can be run", todo="Write one SELECT; Patron's tables are read-only here.")
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
            raise BadQuery(
                f"there is no table {table.sql(dialect='duckdb')}",
                todo=f"Tables are {', '.join(sorted(BY_NAME.keys() | STORE_TABLES.keys()))}.",
            )
        names.add(table.name)
    return sorted(names)


def _stored_rows(shop: Shop, table: sa.Table) -> pa.Table:
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    kinds = {sa.Text: TEXT, sa.DateTime: TIME}
    schema = pa.schema([(column.name, kinds[type(column.type)]) for column in table.c])
    return pa.Table.from_pylist(rows, schema=schema)
