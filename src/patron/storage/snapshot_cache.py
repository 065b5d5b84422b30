"""One open database over the snapshot of the last run, shared by all who read it."""

import re
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import duckdb
import pyarrow as pa

from patron.schema.tables import BY_NAME
from patron.storage.pinned_tables import pinned_relation
from patron.storage.shop import Shop, Snapshot

NEWEST = frozenset({"events"})
"""Tables that are read at their newest version, not as the run left them."""


class SnapshotReader:
    """An engine's connection that knows the run's tables as views; each query gets a cursor of its own."""

    def __init__(self, snapshot: Snapshot) -> None:
        # why: not the snapshot, which holds the shop: a shop that is let go takes its reader with it
        self._lake, self._pinned = snapshot.shop.lake, snapshot.pinned
        self._resources = ExitStack()
        self._con = self._resources.enter_context(snapshot.shop.engine.connect())
        # why: the files of a version never change, so what is known about them need not be read again
        self._con.execute("set parquet_metadata_cache = true")
        self._lock = threading.Lock()
        self._views: set[str] = set()

    def query(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Run one SELECT over the run's tables and the Arrow tables given by name. Raises duckdb.Error."""
        with self._lock:
            self._create_views(set(re.findall(r"\w+", sql)) & BY_NAME.keys())
            cursor = self._con.cursor()
        with cursor:
            for name, rows in tables.items():
                cursor.register(name, rows)
            return cursor.sql(sql).to_arrow_table()

    def _create_views(self, names: set[str]) -> None:
        for name in sorted(names - self._views - NEWEST):
            self._con.execute(f"create view {name} as {pinned_relation(self._lake, BY_NAME[name], self._pinned)}")
            self._views.add(name)


@dataclass(frozen=True)
class CachedSnapshot(Snapshot):
    """The last run, read through a shared connection; only the engine's own way is slower."""

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Run a portable SELECT over the run's tables and the Arrow tables given by name."""
        try:
            return reader_of(self).query(sql, tables)
        except duckdb.Error:
            # why: the slow way reads what is newest too, and reports what is wrong in the project's own errors
            return super().query(sql, **tables)


_READERS: WeakKeyDictionary[Shop, tuple[object, SnapshotReader]] = WeakKeyDictionary()
_READERS_LOCK = threading.Lock()


def reader_of(snapshot: Snapshot) -> SnapshotReader:
    """Reader of a run: opened once a shop, until another run is read."""
    version = (snapshot.run.run_id, tuple(sorted(snapshot.pinned.items())))
    with _READERS_LOCK:
        cached, reader = _READERS.get(snapshot.shop, (None, None))
        if reader is None or cached != version:
            reader = SnapshotReader(snapshot)
            _READERS[snapshot.shop] = (version, reader)
        return reader
