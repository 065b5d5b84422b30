"""Lake tables at pinned versions, read by SQL: what a stage and a reader of the last run have in common."""

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa

from patron.schema.common_sentences import DECLARE_IN_READS
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.table_definition import Table
from patron.schema.tables import BY_NAME
from patron.storage.engine import Parameters, literal

if TYPE_CHECKING:
    from patron.storage.duck_engine import DuckEngine
    from patron.storage.lake.lake import Lake

STAGE_MAY_NOT_READ = Sentence("stage_may_not_read", "a stage that declares {names} may not read {name}")

LAST, THIS = "last_", "this_"
"""Before a table's name: as the last completed run left it, and rows of this run only."""
COPIED_VALUES = 16_000_000
"""Values kept in memory at once, each some 16 bytes there; of long texts, bytes in the files count instead."""
COPIES = 16
"""Tables of this size that fit: a larger one is read from its files."""
NUMBERS = count()
"""Numbers of copies in this process: a name never means another copy."""
BLANK = r"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*"
WITH_CLAUSE = re.compile(rf"{BLANK}with\b({BLANK}recursive\b)?", re.IGNORECASE)
"""How a query that has CTEs begins: comments, WITH, and maybe RECURSIVE."""


@dataclass(frozen=True)
class PinnedTables:
    """Some tables of the lake, each at a pinned version or, where none is pinned, at its newest."""

    lake: "Lake"
    engine: "DuckEngine"
    names: frozenset[str]
    versions: Mapping[str, int | None]
    run_id: str
    """Run whose rows queries read by the table's name after `this_`."""
    last_versions: Mapping[str, int | None] = field(default_factory=dict)
    """Versions that the last completed run left; queries read them by the table's name after `last_`."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """What the rows that are read meet, as SQL, by table."""
    rebuilt: Mapping[str, Callable[[Callable[[str], str]], str]] = field(default_factory=dict)
    """SQL of tables whose rows are made from those of others, given the SQL of each, by table."""
    copies: "TableCopies | None" = None
    """Where small tables are kept in memory, so that several queries read them once; None reads the files."""

    def query(self, sql: str, arrow_tables: Mapping[str, pa.Table], parameters: Parameters | None = None) -> pa.Table:
        """Run a portable SELECT over the tables and Arrow tables. Raises WorkspaceError for an undeclared table."""
        return self.engine.query(self.with_snapshots(sql, arrow_tables), arrow_tables, parameters)

    def version(self, name: str) -> int | None:
        """Version of a table that queries read; None before its first write. Raises WorkspaceError if undeclared."""
        table = self._declared(name)
        return self.versions[name] if name in self.versions else self.lake.version(table)

    def relation(self, name: str) -> str:
        """SQL of the rows of a table that queries read. Raises WorkspaceError if undeclared."""
        make = self.rebuilt.get(name)
        return (
            make(lambda part: self._rows(part) if part == name else self.relation(part)) if make else self._rows(name)
        )

    def relation_of_run(self, name: str) -> str:
        """SQL of the rows that a table has of this run. Raises WorkspaceError if undeclared."""
        return rows_where(self.relation(name), f"run_id = {literal(self.run_id)}")

    def _copied(self, table: Table, version: int | None, files: Sequence[str]) -> str:
        """SQL of the rows of some files of a table, or of their copy in memory."""

        def read_files() -> str:
            return self.lake.relation(table, version, only=files)

        if self.copies is None or not files:
            return read_files()
        # why: an open table may gain columns by a version with the same files
        number = self.lake.version(table) if version is None else version
        return self.copies.relation(table, number, files, read_files)

    def _rows(self, name: str) -> str:
        rows = self._copied(self._declared(name), self.versions.get(name), self.files(name))
        return rows_where(rows, self.conditions.get(name))

    def files(self, name: str) -> Sequence[str]:
        """Files of a table that queries read, verified. Raises LakeDamaged, WorkspaceError."""
        return pinned_files(self.lake, self._declared(name), self.versions)

    def with_snapshots(self, sql: str, arrow_tables: Iterable[str]) -> str:
        """Put the snapshots that the query names in front of it, as one CTE each."""
        names = self.engine.table_names(sql) - set(arrow_tables)
        relations = [(name, self.relation(name)) for name in sorted(names & BY_NAME.keys())]
        of_run = {name.removeprefix(THIS) for name in names if name.startswith(THIS)}
        relations += [(THIS + name, self.relation_of_run(name)) for name in sorted(of_run & BY_NAME.keys())]
        for name in sorted(self.last_versions):
            if LAST + name in names:
                table = self._declared(name)
                files = pinned_files(self.lake, table, self.last_versions)
                relations.append((LAST + name, self._copied(table, self.last_versions[name], files)))
        return with_ctes(sql, relations)

    def _declared(self, name: str) -> Table:
        if name not in self.names:
            raise WorkspaceError(
                STAGE_MAY_NOT_READ(names=", ".join(sorted(self.names)), name=name), todo=DECLARE_IN_READS
            )
        return BY_NAME[name]


class TableCopies:
    """Copies of small tables in the engine's memory, for as long as a run reads them."""

    def __init__(self, lake: "Lake", engine: "DuckEngine") -> None:
        self._lake = lake
        self._engine = engine
        self._names: dict[tuple[str, int | None, Sequence[str]], str | None] = {}
        """Name of each copy; None for what is read from its files."""
        self._size, self._is_closed = 0, False
        self._lock = threading.Lock()

    def relation(self, table: Table, version: int | None, files: Sequence[str], read_files: Callable[[], str]) -> str:
        """SQL of a copy of the rows of files, made when it is first asked for; of the files where they are large."""
        key = (table.name, version, tuple(files))
        with self._lock:
            if key not in self._names:
                self._names[key] = self._copy(table, version, files, read_files)
            name = self._names[key]
        return f"select * from {name}" if name else read_files()

    def _copy(
        self, table: Table, version: int | None, files: Sequence[str], read_files: Callable[[], str]
    ) -> str | None:
        """Copy the rows of files and return the name of the copy; None where there is no room for it."""
        names = [os.path.relpath(file, self._lake.path(table)) for file in files]
        entries = self._lake.record.files(table.name, names).values()
        row_count, byte_count = sum(entry.row_count for entry in entries), sum(entry.byte_count for entry in entries)
        size = max(row_count * len(self._lake.fields(table, version)), byte_count)
        if self._is_closed or max(size * COPIES, self._size + size) > COPIED_VALUES:
            return None
        name = f"copy_{next(NUMBERS)}_of_{table.name}"
        with self._engine.cursor() as con:
            con.execute(f"create table {name} as {read_files()}")
        self._size += size
        return name

    def close(self) -> None:
        """Let go of all copies, and make no more: whoever still reads then reads files."""
        with self._lock:
            self._is_closed, names, self._names = True, list(filter(None, self._names.values())), {}
            with self._engine.cursor() as con:
                for name in names:
                    con.execute(f"drop table if exists {name}")


def pinned_relation(lake: "Lake", table: Table, versions: Mapping[str, int | None]) -> str:
    """SQL of a table at its pinned version, or at its newest where none is pinned; None pins it to no rows at all."""
    return lake.relation(table, versions.get(table.name), only=pinned_files(lake, table, versions))


def rows_where(relation: str, condition: str | None) -> str:
    """SQL of the rows of a table that meet a condition; None is all of them."""
    return f"select * from ({relation}) where {condition}" if condition else relation


def pinned_files(lake: "Lake", table: Table, versions: Mapping[str, int | None]) -> Sequence[str]:
    """Files of a table at its pinned version, verified."""
    is_unwritten = table.name in versions and versions[table.name] is None
    return () if is_unwritten else lake.files(table, versions.get(table.name))


def select_sql(name: str, columns: Iterable[str] | None = None) -> str:
    """SELECT of a whole table, or of some columns."""
    selected = ", ".join(f'"{column}"' for column in columns) if columns is not None else "*"
    return f"select {selected} from {name}"


def with_ctes(sql: str, relations: Iterable[tuple[str, str]]) -> str:
    """Give a query named relations in front, before any of its own; each use reads only what it needs of them."""
    ctes = ", ".join(f"{name} as not materialized ({relation})" for name, relation in relations)
    if not ctes:
        return sql
    clause = WITH_CLAUSE.match(sql)
    if clause is None:
        return f"with {ctes} {sql}"
    return f"with {'recursive ' if clause[1] else ''}{ctes}, {sql[clause.end() :]}"
