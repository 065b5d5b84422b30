"""Amendment of the lake: a new version of a table from an earlier one, of which only what changed is written."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from patron.schema.table_definition import Table, conform
from patron.storage.durable_files import disk_errors
from patron.storage.engine import DuckEngine, literal
from patron.storage.lake import Lake
from patron.storage.parquet_rows import declared_rows, file_rows


class Amender(Lake):
    """A lake whose tables can be amended."""

    def amend(
        self,
        table: Table,
        engine: DuckEngine,
        sql: str,
        tables: Mapping[str, pa.Table],
        *,
        version: int | None,
        without: str,
    ) -> int:
        """As `replace_by_query`, by the rows of an earlier version but those that meet a condition, and a query's rows.

        Only files with such rows are written again. The caller sees to it that no key is in both parts.
        """
        with disk_errors(self.path(table)), engine.connect(tables) as con:
            source_schema = con.sql(f"select * from ({sql}) q limit 0").to_arrow_table().schema
            delta = self._evolved(table, conform(table, source_schema.empty_table()).schema)
            old = self.files(table, version)
            scan = f"read_parquet([{', '.join(map(literal, old))}], union_by_name = true, filename = true)"
            touched = f"select distinct filename from {scan} where {without}"
            gone = {file for (file,) in con.execute(touched).fetchall()} if old else set()
            actions: list[AddAction | RemoveAction] = []
            for file in sorted(gone):
                rest = f"select * from {file_rows(file)} where not coalesce({without}, false)"
                actions += self._write_query(table, con, declared_rows(table, source_schema, rest, None), None)
            actions += self._write_query(table, con, declared_rows(table, source_schema, sql, None), None)
            return self._add(table, delta, [*actions, *self._moves(table, delta, set(old) - gone)], mode="append")

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
