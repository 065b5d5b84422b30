"""Amendment of the lake: a new version of a table from an earlier one, of which only what changed is written."""

import time
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from patron.schema.table_definition import Table
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake import Lake
from patron.storage.lake.lake_log import table_errors
from patron.storage.lake.parquet_rows import declared_rows, file_rows


class Amender(Lake):
    """A lake whose tables can be amended."""

    def amend(self, table: Table, engine: DuckEngine, *, version: int | None, gone: pa.Table, added: pa.Table) -> int:
        """Make a version of an earlier one: without the rows `gone`, with the rows `added`; return its number.

        Only files with rows that go are written again. Keys of added rows are checked among themselves only.
        Raises InvalidTable when added rows break the table's declaration.
        """
        with table_errors(self.path(table)), engine.cursor({"gone": gone, "added": added}) as con:
            delta = self._evolved(table, added.schema)
            old = self.files(table, version)
            near, is_gone = _is_in("gone", table.sorted_by or table.key), _is_in("gone", table.key)
            gone_files: set[str] = set()
            if old and gone.num_rows:
                touched = f"select distinct r.filename from {file_rows(*old, with_names=True)} r where {near}"
                gone_files = {file for (file,) in con.execute(touched).fetchall()}
            rests = [f"select * from {file_rows(file)} r where not {is_gone}" for file in sorted(gone_files)]
            actions: list[AddAction | RemoveAction] = []
            for rows in [*rests, *(["select * from added"] if added.num_rows else [])]:
                actions += self._write_query(table, con, declared_rows(table, table.schema(), rows, None), None)
            kept = set(old) - gone_files
            return self._add(table, delta, [*actions, *self._moves(table, delta, kept)], mode="append")

    def _moves(self, table: Table, delta: DeltaTable, kept: Iterable[str]) -> list[AddAction | RemoveAction]:
        """What makes the newest version hold the kept files only: others go, and those that had gone come again."""
        now, kept_names = time.time_ns() // 1_000_000, {str(Path(file).relative_to(self.path(table))) for file in kept}
        newest = {
            file["path"]: file["size_bytes"] for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist()
        }
        removed: list[AddAction | RemoveAction] = [
            RemoveAction(name, data_change=True, deletion_timestamp=now, size=size, partition_values={})
            for name, size in newest.items()
            if name not in kept_names
        ]
        return removed + [
            self._added(table, self.path(table) / name, None) for name in sorted(kept_names - newest.keys())
        ]


def _is_in(rows: str, columns: Iterable[str]) -> str:
    """SQL condition: row r is equal in these columns to one of the rows."""
    return f"exists (select 1 from {rows} g where {' and '.join(f'g.{name} = r.{name}' for name in columns)})"
