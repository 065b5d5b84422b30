"""The tables of the store that a stage declares: a connection that refuses every statement about another table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ColumnClause, TextClause
from sqlalchemy.sql.selectable import SelectBase, TableClause, TextualSelect

from patron.schema.common_sentences import DECLARE_IN_READS, DECLARE_IN_WRITES
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.store.store import Store

STORE_MAY_NOT_READ = Sentence(
    "store_may_not_read", "a stage that declares {names} of the store may not read {undeclared}"
)
STORE_MAY_NOT_WRITE = Sentence(
    "store_may_not_write", "a stage that declares {names} of the store may not write {undeclared}"
)
NO_SQL_AS_TEXT = Sentence("no_sql_as_text", "a stage may not send the store SQL as text ({text!r})")
BUILD_STATEMENT = Sentence("build_statement", "Build the statement from the tables of patron.storage.store.store.")

EVERYTHING = "*"
"""The one literal that a checked statement may hold: count(*)."""


class DeclaredStore:
    """The operational store, reduced to the tables that one stage reads and writes."""

    def __init__(self, store: Store, reads: frozenset[str], writes: frozenset[str]) -> None:
        self._store = store
        self._reads = reads
        self._writes = writes

    @contextmanager
    def begin(self) -> Iterator["DeclaredConnection"]:
        """Open a transaction that commits at the end of the block. Raises NoSpace on a full disk."""
        with self._store.begin() as connection:
            yield DeclaredConnection(connection, self._reads, self._writes)


class DeclaredConnection:
    """Runs a statement once all tables that it reads or writes are declared; raises WorkspaceError otherwise."""

    def __init__(self, connection: sa.Connection, reads: frozenset[str], writes: frozenset[str]) -> None:
        self._connection = connection
        self._reads = reads
        self._writes = writes

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run a statement."""
        self._check(statement)
        return self._connection.execute(statement, parameters)

    def scalar(self, statement: sa.Executable, parameters: Any = None) -> Any:
        """Run a statement and return the first column of its first row; None without a row."""
        self._check(statement)
        return self._connection.scalar(statement, parameters)

    def scalars(self, statement: sa.Executable, parameters: Any = None) -> sa.ScalarResult[Any]:
        """Run a statement and return the first column of every row."""
        self._check(statement)
        return self._connection.scalars(statement, parameters)

    def _check(self, statement: sa.Executable) -> None:
        writes = written_tables(statement)
        reads = mentioned_tables(statement) - writes
        for may_not, undeclared, todo in (
            (STORE_MAY_NOT_WRITE, writes - self._writes, DECLARE_IN_WRITES),
            (STORE_MAY_NOT_READ, reads - self._reads - self._writes, DECLARE_IN_READS),
        ):
            if undeclared:
                declared = ", ".join(sorted(self._reads | self._writes))
                raise WorkspaceError(may_not(names=declared, undeclared=", ".join(sorted(undeclared))), todo=todo)


def written_tables(statement: sa.Executable) -> set[str]:
    """Names of the tables that a statement inserts into, updates or deletes from."""
    return {
        part.table.name  # pyright: ignore[reportAttributeAccessIssue] - INSERT, UPDATE and DELETE have one table
        for part in _parts(statement)
        if isinstance(part, UpdateBase)
    }


def mentioned_tables(statement: sa.Executable) -> set[str]:
    """Names of all tables in a statement, those of its subqueries and columns included."""
    parts = list(_parts(statement))
    of_columns = (part.table for part in parts if isinstance(part, ColumnClause))
    return {part.name for part in (*parts, *of_columns) if isinstance(part, TableClause)}


def _parts(statement: sa.Executable) -> Iterator[visitors.ExternallyTraversible]:
    """Every part of a statement. Raises WorkspaceError for SQL as text, whose tables nobody can name."""
    if not isinstance(statement, (SelectBase, UpdateBase)):
        raise _refusal(statement)
    for part in visitors.iterate(statement):
        is_literal = isinstance(part, ColumnClause) and part.is_literal and part.name != EVERYTHING
        if isinstance(part, (TextClause, TextualSelect)) or is_literal:
            raise _refusal(part)
        yield part


def _refusal(part: object) -> WorkspaceError:
    return WorkspaceError(NO_SQL_AS_TEXT(text=str(part)[:80]), todo=BUILD_STATEMENT)
