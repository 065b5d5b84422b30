"""One open database over the snapshots of the last run, shared by everybody who reads it."""

import re
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import duckdb
import pyarrow as pa

from patron.schema.tables import BY_NAME
from patron.storage.shop import Shop, View

NEWEST = frozenset({"events"})
"""Tables that are read at their newest version, not as the run left them."""


class Reader:
    """An engine's connection that knows the run's tables as views; each query gets a cursor of its own."""

    def __init__(self, view: View) -> None:
        # why: not the view, which holds the shop: a shop that is let go takes its reader with it
        self._lake, self._pinned = view.shop.lake, view.pinned
        self._opened = ExitStack()
        self._con = self._opened.enter_context(view.shop.engine.connect())
        # why: the files of a version never change, so what is known about them need not be read again
        self._con.execute("set parquet_metadata_cache = true")
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def query(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Run one SELECT over the run's tables and the Arrow tables given by name. Raises duckdb.Error."""
        with self._lock:
            self._know(set(re.findall(r"\w+", sql)) & BY_NAME.keys())
            own = self._con.cursor()
        with own as cursor:
            for name, rows in tables.items():
                cursor.register(name, rows)
            return cursor.sql(sql).to_arrow_table()

    def _know(self, names: set[str]) -> None:
        for name in sorted(names - self._known - NEWEST):
            self._con.execute(f"create view {name} as {self._lake.relation(BY_NAME[name], self._pinned.get(name))}")
            self._known.add(name)


@dataclass(frozen=True)
class SharedView(View):
    """The last run, read through a shared connection; only the engine's own way is slower."""

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Run a portable SELECT over the run's tables and the Arrow tables given by name."""
        try:
            return reader_of(self).query(sql, tables)
        except duckdb.Error:
            # why: the slow way reads what is newest too, and says what is wrong in the project's own errors
            return super().query(sql, **tables)


_READERS: WeakKeyDictionary[Shop, tuple[object, Reader]] = WeakKeyDictionary()
_READERS_LOCK = threading.Lock()


def reader_of(view: View) -> Reader:
    """Reader of a run: opened once a shop, until another run is read."""
    version = (view.run.run_id, tuple(sorted(view.pinned.items())))
    with _READERS_LOCK:
        known, reader = _READERS.get(view.shop, (None, None))
        if reader is None or known != version:
            reader = Reader(view)
            _READERS[view.shop] = (version, reader)
        return reader
