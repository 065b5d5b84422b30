"""What a table is: its grain, key, columns and checks, and what follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

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


def ddl(table: Table) -> str:
    """Write the table's CREATE TABLE statement, with its meaning as comments."""
    lines = [
        f'  "{c.name}" {sql_type(c.type)}{"" if c.nullable else " not null"}, -- {c.meaning}' for c in table.columns
    ]
    key = ", ".join(f'"{name}"' for name in table.key)
    # why: a primary key takes no NULL
    kind = "unique" if any(column.nullable for column in table.columns if column.name in table.key) else "primary key"
    return "\n".join([f"-- {table.row}", f'create table "{table.name}" (', *lines, f"  {kind} ({key})", ")"])
