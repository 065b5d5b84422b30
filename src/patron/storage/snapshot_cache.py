"""One open database over the snapshot of the last run, shared by all who read it."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import duckdb
import pyarrow as pa

from patron.schema.table_definition import Table
from patron.schema.tables import BY_NAME
from patron.storage.engine import Parameters
from patron.storage.parquet_rows import files_with
from patron.storage.pinned_tables import with_ctes
from patron.storage.shop import Shop, Snapshot
from patron.storage.snapshot import Fact, customer_row

NEWEST = frozenset({"events"})
"""Tables that are read at their newest version, not as the run left them."""
CUSTOMER_ID = "customer_id"
AGGREGATED = frozenset({"customers"})
"""Tables that take a while to rebuild as of a past run."""


class SnapshotReader:
    """An engine's connection that knows the run's tables as views; each query gets a cursor of its own."""

    def __init__(self, snapshot: Snapshot) -> None:
        # why: not the snapshot, which holds the shop: a shop that is let go takes its reader with it
        self._lake, self._tables = snapshot.shop.lake, snapshot.tables
        self._resources = ExitStack()
        self._con = self._resources.enter_context(snapshot.shop.engine.connect())
        # why: the files of a version never change, so what is known about them need not be read again
        self._con.execute("set parquet_metadata_cache = true")
        self._lock = threading.Lock()
        self._files: dict[str, Sequence[str]] = {}
        """Files of each table that is known as a view."""
        self._facts: dict[object, Any] = {}

    def query(
        self,
        sql: str,
        tables: Mapping[str, pa.Table],
        parameters: Parameters | None = None,
        *,
        customer_id: str | None = None,
    ) -> pa.Table:
        """Run one SELECT over the run's tables and the Arrow tables given by name. Raises duckdb.Error, LakeDamaged.

        One about a single `customer_id` reads only files that may hold rows of theirs.
        """
        names = sorted(set(re.findall(r"\w+", sql)) & BY_NAME.keys() - NEWEST)
        with self._lock:
            for name in names:
                self._open_table(BY_NAME[name])
            cursor = self._con.cursor()
        if customer_id is not None:
            sql = with_ctes(sql, self._relations_about(customer_id, names))
        with cursor:
            for name, rows in tables.items():
                cursor.register(name, rows)
            return cursor.sql(sql, params=parameters or None).to_arrow_table()

    def once(self, name: object, make: Callable[[], Fact]) -> Fact:
        """What `make` returned when it was first asked for; two who ask at once may both compute it."""
        if name not in self._facts:
            self._facts[name] = make()
        return self._facts[name]

    def _relations_about(self, customer_id: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Relations in place of the views of tables of which some files hold nothing of the customer's."""
        for name in names:
            table, files = BY_NAME[name], self._files[name]
            if CUSTOMER_ID in table.names and name not in self._tables.rebuilt:
                some = files_with(CUSTOMER_ID, customer_id, files)
                if len(some) < len(files):
                    yield name, self._tables.relation_of_files(name, some)

    def _open_table(self, table: Table) -> None:
        """Make a table known as a view; one that is known already is verified again if a file of it has changed."""
        if table.name in self._files:
            self._lake.verifier.verify_files(table, self._files[table.name])
            return
        files = self._tables.files(table.name)
        kind = "temporary table" if table.name in self._tables.rebuilt.keys() & AGGREGATED else "view"
        self._con.execute(f"create {kind} {table.name} as {self._tables.relation(table.name)}")
        self._files[table.name] = files


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
            return reader_of(self).query(sql, {"customer": customer_row(customer_id)}, customer_id=customer_id)
        except duckdb.Error:
            return super().query_customer(customer_id, sql)

    def once(self, name: object, make: Callable[[], Fact]) -> Fact:
        """What `make` returns about the run as a whole: computed once until another run is read."""
        return reader_of(self).once(name, make)


_READERS: WeakKeyDictionary[Shop, tuple[object, SnapshotReader]] = WeakKeyDictionary()
_READERS_LOCK = threading.Lock()


def reader_of(snapshot: Snapshot) -> SnapshotReader:
    """Reader of a run: opened once a shop, until another run is read."""
    version = snapshot.version
    with _READERS_LOCK:
        cached, reader = _READERS.get(snapshot.shop, (None, None))
        if reader is None or cached != version:
            reader = SnapshotReader(snapshot)
            _READERS[snapshot.shop] = (version, reader)
        return reader
