"""Statements in the dialect of a connection: SQLite on one machine, PostgreSQL on a server."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import sqlalchemy as sa


def insert_into(connection: sa.Connection, table: sa.Table) -> Any:
    """An insert that may meet rows that are there already, in the dialect of a connection."""
    # why by name: the dialect of a connection is imported already, and the other one takes as long as a small command
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def insert_many(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[str | bytes | int, ...]]) -> None:
    """Insert many rows of plain values, in the order of the columns, keeping stored ones; faster than `upsert`."""
    insert = insert_into(connection, table).on_conflict_do_nothing(index_elements=list(table.primary_key.columns))
    compiled = insert.compile(dialect=connection.dialect)
    names = [column.name for column in table.columns]
    if compiled.positiontup is None:
        connection.exec_driver_sql(str(compiled), [dict(zip(names, row, strict=True)) for row in rows])
        return
    place = [names.index(name) for name in compiled.positiontup]
    connection.exec_driver_sql(str(compiled), [tuple(row[n] for n in place) for row in rows])


def lock_table(connection: sa.Connection, table: sa.Table) -> None:
    """Let no other process write to a table until the transaction of a connection ends."""
    if connection.dialect.name == "sqlite":  # why: a write, although of no row, takes SQLite's lock
        column = next(iter(table.columns))
        connection.execute(sa.update(table).where(sa.false()).values({column.name: column}))
    else:
        connection.execute(sa.text(f"lock table {table.name} in share row exclusive mode"))
