"""What a table is: its grain, key, columns and checks, and what follows from them."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import duckdb
import pyarrow as pa

from patron.schema.errors import InvalidTable

Personal = Literal["none", "token", "trait", "opaque_id"]
"""Personal-data class: nothing, a vault token, a declared trait in clear, or Patron's own opaque id of a person."""

TEXT = pa.string()
INT = pa.int64()
NUMBER = pa.float64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
TEXTS = pa.list_(pa.field("element", pa.string()))
NUMBERS = pa.list_(pa.field("element", NUMBER))

SQL_TYPES = {TEXT: "varchar", INT: "bigint", NUMBER: "double", FLAG: "boolean", TIME: "timestamptz", TEXTS: "varchar[]"}


def sql_type(of: pa.DataType) -> str:
    """Name a column's type in DuckDB's dialect, which SQLGlot carries to Spark."""
    if of in SQL_TYPES:
        return SQL_TYPES[of]
    if pa.types.is_list(of):
        return f"{sql_type(of.value_type)}[]"
    return "struct(" + ", ".join(f'"{inner.name}" {sql_type(inner.type)}' for inner in of.fields) + ")"


@dataclass(frozen=True)
class Column:
    """One column: its name carries the unit where the name can."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    personal: Personal = "none"
    choices: tuple[str, ...] = ()
    """The codes that a column of codes may hold."""


@dataclass(frozen=True)
class Table:
    """One declared table; schema, DDL, validation, reference page and test data come from it."""

    name: str
    row: str
    """The grain: 'one row per ...'."""
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_by: str | None = None
    checks: tuple[str, ...] = ()
    """SQL conditions that hold on every row."""
    is_open: bool = False
    """Whether more columns may follow the declared ones (features add theirs)."""
    clock: str | None = None
    """The column that retention and month partitions go by."""
    sorted_by: tuple[str, ...] = ()
    """The order of the rows in a file, so that readers of a few values skip the others."""
    is_for_people: bool = False
    """Whether no other stage reads it: people do, or its own stage."""
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(column.name for column in self.columns))

    def conditions(self) -> tuple[str, ...]:
        """All SQL conditions on a row: the declared checks and the choices of columns of codes."""
        coded = (column for column in self.columns if column.choices)
        return self.checks + tuple(f"{column.name} in {column.choices}" for column in coded)

    def schema(self, extra: Iterable[pa.Field] = ()) -> pa.Schema:
        """Arrow schema: the declared columns, then any extra ones of an open table."""
        declared = [pa.field(c.name, c.type, nullable=True) for c in self.columns]
        return pa.schema([*declared, *(f for f in extra if f.name not in self.names)])

    def empty(self) -> pa.Table:
        """No rows, every declared column."""
        return self.schema().empty_table()


def conform(table: Table, rows: pa.Table) -> pa.Table:
    """Give rows the declared columns, order and types; a missing nullable column becomes NULL.

    Raises InvalidTable for a column that is missing, unknown, or of a type that does not convert.
    """
    missing = [c.name for c in table.columns if not c.nullable and c.name not in rows.column_names]
    unknown = [name for name in rows.column_names if name not in table.names]
    if missing or (unknown and not table.is_open):
        raise InvalidTable(
            f"missing columns {missing}, unknown columns {unknown}",
            where=table.name,
            todo="Write exactly the columns that patron.schema.tables declares.",
        )
    schema = table.schema(rows.schema.field(name) for name in unknown)
    columns = [
        rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type) for f in schema
    ]
    try:
        return pa.Table.from_arrays(columns, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidTable(str(error), where=table.name, todo="Convert the column first.") from error


def violations(table: Table, rows: pa.Table) -> list[str]:
    """List, in words, each way rows break their table: NULLs, repeated keys, failed checks."""
    try:
        with _database_of_checks().cursor() as con:
            con.register("checked_rows", rows)
            return find_violations(table, con, "checked_rows")
    except duckdb.FatalException:
        _database_of_checks.cache_clear()  # why: it answers nothing any more; the next check opens another
        raise


@cache
def _database_of_checks() -> duckdb.DuckDBPyConnection:
    """One database for the checks of all tables: opening one takes longer than most checks."""
    return duckdb.connect(config={"threads": 2})


def find_violations(
    table: Table, con: duckdb.DuckDBPyConnection, relation: str, *, without_nulls: Container[str] = ()
) -> list[str]:
    """List, in words, each way a relation breaks its table; one pass over it where nothing is wrong.

    Columns that are known to be without NULLs are not read for that.
    """
    needed = (c.name for c in table.columns if not c.nullable and c.name not in without_nulls)
    checks = {f"rows have no {name}": f'"{name}" is null' for name in needed}
    checks |= {f"rows break ({check})": f"not ({check})" for check in table.conditions()}
    counts = ", ".join(["count(*)", *(f"count(*) filter (where {condition})" for condition in checks.values())])
    key = ", ".join(f'"{name}"' for name in table.key)
    # why: equal keys have equal hashes, and counting whole numbers is much faster than grouping by texts
    [row] = con.execute(f"select {counts}, count(distinct hash({key})) from {relation}").fetchall()
    total, failed, hashes = row[0], row[1:-1], row[-1]
    faults = [f"{count} {words}" for words, count in zip(checks, failed, strict=True) if count]
    if hashes < total:
        groups = f"select count(*) as n from {relation} group by {key} having count(*) > 1"
        repeated = con.execute(f"select cast(coalesce(sum(n - 1), 0) as bigint) from ({groups})").fetchone()
        if repeated and repeated[0]:
            faults.append(f"{repeated[0]} rows repeat key {table.key}")
    return faults


def require_valid(table: Table, faults: list[str]) -> None:
    """Raise InvalidTable when the list of faults is not empty."""
    if faults:
        raise InvalidTable("; ".join(faults), where=table.name, todo="Fix the query that wrote them.")


def validated(table: Table, rows: pa.Table) -> pa.Table:
    """Return rows in the table's own schema. Raises InvalidTable when they break its declaration."""
    rows = conform(table, rows)
    require_valid(table, violations(table, rows))
    return rows


def ddl(table: Table) -> str:
    """Write the table's CREATE TABLE statement, with its meaning as comments."""
    lines = [
        f'  "{c.name}" {sql_type(c.type)}{"" if c.nullable else " not null"}, -- {c.meaning}' for c in table.columns
    ]
    key = ", ".join(f'"{name}"' for name in table.key)
    # why: a primary key takes no NULL
    kind = "unique" if any(column.nullable for column in table.columns if column.name in table.key) else "primary key"
    return "\n".join([f"-- {table.row}", f'create table "{table.name}" (', *lines, f"  {kind} ({key})", ")"])
