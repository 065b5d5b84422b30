"""One open database over the snapshot of the last run, shared by all who read it."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.table_definition import Table
from patron.schema.tables import BY_NAME
from patron.storage.engine import Parameters, literal
from patron.storage.lake.parquet_rows import RowGroupCache
from patron.storage.runs.last_run import is_newest_run
from patron.storage.runs.pinned_tables import THIS, rows_where, with_ctes
from patron.storage.runs.snapshot import Fact, customer_row
from patron.storage.shop import Shop, Snapshot

NEWEST = frozenset({"events"})
"""Tables that are read at their newest version, not as the run left them."""
CUSTOMER_ID = "customer_id"
RUN_ID = "run_id"
AGGREGATED = frozenset({"customers"})
"""Tables that take a while to rebuild as of a past run."""
CUSTOMER_ROWS = "customer_rows_"
"""Before the name of a table: the rows that it has of one customer."""
MAX_KEPT_BYTES = 128_000_000
"""Of parts of files with rows of customers: all of a shop with some ten thousand of them."""
UNREADABLE = (duckdb.Error, pa.ArrowException, OSError)
"""What reading a customer's rows may raise."""


class SnapshotReader:
    """An engine's connection that knows the run's tables as views; each query gets a cursor of its own."""

    def __init__(self, snapshot: Snapshot, row_groups: RowGroupCache) -> None:
        # why: not the snapshot, which holds the shop: a shop that is let go takes its reader with it
        self._lake, self._tables = snapshot.shop.lake, snapshot.tables
        self._resources = ExitStack()
        self._con = self._resources.enter_context(snapshot.shop.engine.connect())
        # why: the files of a version never change, so what is known about them need not be read again
        self._con.execute("set parquet_metadata_cache = true")
        self._lock = threading.Lock()
        self._files: dict[str, Sequence[str]] = {}
        """Files of each table that was asked for."""
        self._fields: dict[str, Sequence[pa.Field]] = {}
        """Columns of each table of which a customer's rows were read."""
        self._views: set[str] = set()
        """Tables that are known as views."""
        self._of_run: set[str] = set()
        """Tables whose rows of this run are known as views, too."""
        self._facts: dict[object, Any] = {}
        self.row_groups = row_groups

    def query(self, sql: str, tables: Mapping[str, pa.Table], parameters: Parameters | None = None) -> pa.Table:
        """Run one SELECT over the run's tables and the Arrow tables given by name. Raises duckdb.Error, LakeDamaged."""
        with self._cursor(re.findall(r"\w+", sql)) as cursor:
            for name, rows in tables.items():
                cursor.register(name, rows)
            return cursor.sql(sql, params=parameters or None).to_arrow_table()

    def query_customer(self, customer_id: str, sql: str) -> pa.Table:
        """Run one SELECT over the run's tables as if they had rows of one customer only, who is the table `customer`.

        Raises duckdb.Error, pa.ArrowException, OSError, LakeDamaged.
        """
        named = self._tables.engine.table_names(sql)
        of_run = {name.removeprefix(THIS) for name in named if name.startswith(THIS)} & BY_NAME.keys()
        names = (named | of_run) & BY_NAME.keys() - NEWEST
        about = {name for name in names - self._tables.rebuilt.keys() if CUSTOMER_ID in BY_NAME[name].names}
        rows = {name: self.customer_rows(name, customer_id) for name in sorted(about)}
        with self._cursor(named - about - {THIS + name for name in about}) as cursor:
            cursor.register("customer", customer_row(customer_id))
            for name, of_customer in rows.items():
                cursor.register(CUSTOMER_ROWS + name, of_customer)
            relations = [(name, f"select * from {CUSTOMER_ROWS}{name}") for name in rows]
            relations += [(THIS + name, self._of_this_run(name)) for name in sorted(of_run & rows.keys())]
            return cursor.sql(with_ctes(sql, relations)).to_arrow_table()

    def customer_rows(self, name: str, customer_id: str, run_id: str | None = None) -> pa.Table:
        """Rows that a table has of one customer, perhaps only those of a run.

        They are read from the parts of files that may hold some by their order. Raises duckdb.Error,
        pa.ArrowException, OSError, LakeDamaged.
        """
        table = BY_NAME[name]
        files = self._files_of(table)
        if run_id is not None and table.partition_by == RUN_ID:
            files = [path for path in files if Path(path).parent.name == f"{RUN_ID}={run_id}"]
        # why: before any is left out, as a damaged footer might hide rows
        self._lake.verifier.verify_files(table, files)
        if table.name not in self._fields:
            self._fields[table.name] = self._lake.fields(table, self._tables.versions.get(table.name))
        rows = self.row_groups.find_rows(CUSTOMER_ID, customer_id, files, self._fields[table.name], table.partition_by)
        if run_id is not None and table.partition_by != RUN_ID:
            rows = rows.filter(pc.equal(rows[RUN_ID], run_id))
        condition = self._tables.conditions.get(table.name)
        if condition is None or not rows.num_rows:
            return rows
        with self._con.cursor() as cursor:
            cursor.register("rows_of_customer", rows)
            return cursor.sql(rows_where("select * from rows_of_customer", condition)).to_arrow_table()

    def once(self, name: object, make: Callable[[], Fact]) -> Fact:
        """What `make` returned when it was first asked for; two who ask at once may both compute it."""
        if name not in self._facts:
            self._facts[name] = make()
        return self._facts[name]

    def _cursor(self, names: Iterable[str]) -> duckdb.DuckDBPyConnection:
        """A connection of one query, which knows the tables that it may name as views."""
        with self._lock:
            named = set(names)
            of_run = {name.removeprefix(THIS) for name in named if name.startswith(THIS)}
            for name in sorted((named | of_run) & BY_NAME.keys() - NEWEST):
                self._open_table(BY_NAME[name])
            for name in sorted(of_run & BY_NAME.keys() - self._of_run):
                self._con.execute(f"create view {THIS}{name} as {self._of_this_run(name)}")
                self._of_run.add(name)
            return self._con.cursor()

    def _open_table(self, table: Table) -> None:
        """Make a table known as a view; one that is known already is verified again if a file of it has changed."""
        if table.name in self._views:
            self._lake.verifier.verify_files(table, self._files_of(table))
            return
        kind = "table" if table.name in self._tables.rebuilt.keys() & AGGREGATED else "view"
        self._con.execute(f"create {kind} {table.name} as {self._tables.relation(table.name)}")
        self._views.add(table.name)

    def _of_this_run(self, name: str) -> str:
        return f"select * from {name} where {RUN_ID} = {literal(self._tables.run_id)}"

    def _files_of(self, table: Table) -> Sequence[str]:
        if table.name not in self._files:
            self._files[table.name] = self._tables.files(table.name)
        return self._files[table.name]


@dataclass(frozen=True)
class CachedSnapshot(Snapshot):
    """The last run, read through a shared connection; only the engine's own way is slower."""

    def query(self, sql: str, parameters: Parameters | None = None, **tables: pa.Table) -> pa.Table:
        """Run a portable SELECT over the run's tables and the Arrow tables given by name."""
        try:
            return reader_of(self).query(sql, tables, parameters)
        except duckdb.Error:
            # why: the slow way reads what is newest too, and reports what is wrong in the project's own errors
            return super().query(sql, parameters, **tables)

    def query_customer(self, customer_id: str, sql: str) -> pa.Table:
        """Run a portable SELECT about one customer, who is the only row of the table `customer`."""
        try:
            return reader_of(self).query_customer(customer_id, sql)
        except UNREADABLE:
            return super().query_customer(customer_id, sql)

    def customer_rows(self, name: str, customer_id: str, *, is_of_run: bool = False) -> pa.Table:
        """Rows that a table has of one customer, with every column; perhaps only those of this run."""
        if name in self.tables.rebuilt:
            return super().customer_rows(name, customer_id, is_of_run=is_of_run)
        try:
            return reader_of(self).customer_rows(name, customer_id, self.run.run_id if is_of_run else None)
        except UNREADABLE:
            return super().customer_rows(name, customer_id, is_of_run=is_of_run)

    def once(self, name: object, make: Callable[[], Fact]) -> Fact:
        """What `make` returns about the run as a whole: computed once until another run is read."""
        return reader_of(self).once(name, make)

    @cached_property
    def own_reader(self) -> SnapshotReader:
        """A reader for one request that began before the newest run completed."""
        return SnapshotReader(self, RowGroupCache(MAX_KEPT_BYTES))


_READERS: WeakKeyDictionary[Shop, tuple[object, SnapshotReader]] = WeakKeyDictionary()
_READERS_LOCK = threading.Lock()


def reader_of(snapshot: CachedSnapshot) -> SnapshotReader:
    """Reader of a run: opened once a shop, until another run completes."""
    version = snapshot.version
    with _READERS_LOCK:
        cached, reader = _READERS.get(snapshot.shop, (None, None))
        if reader is not None and cached == version:
            return reader
    if not is_newest_run(snapshot):
        return snapshot.own_reader
    with _READERS_LOCK:
        cached, reader = _READERS.get(snapshot.shop, (None, None))
        if reader is None or cached != version:
            # why: an erasure writes few files anew, and a run leaves those of others
            row_groups = reader.row_groups if reader else RowGroupCache(MAX_KEPT_BYTES)
            row_groups.drop_deleted()
            reader = SnapshotReader(snapshot, row_groups)
            _READERS[snapshot.shop] = (version, reader)
        return reader
