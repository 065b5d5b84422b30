"""Erasure from the lake: rows leave all files, and no older version or log names them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from patron.schema.table_definition import Table, sql_type
from patron.storage.duck_engine import DuckEngine
from patron.storage.durable_files import sync
from patron.storage.lake.lake import Lake
from patron.storage.lake.lake_checkpoint import NO_CHECKPOINT, write_checkpoint
from patron.storage.lake.lake_log import LOG, paths_of, table_errors


@dataclass(frozen=True)
class ErasureConditions:
    """What to erase, as SQL conditions on a row; they are stored nowhere."""

    rows: str = "false"
    """Rows to delete."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Columns to set to NULL in other rows, each with its condition."""


class Eraser(Lake):
    """A lake whose rows can be erased."""

    def restore_version(self, table: Table, version: int | None) -> None:
        """Make the version that readers are pinned to the newest one; one that can no longer be read is ignored."""
        if version is None or version == self.version(table) or not self._is_in_log(table, version):
            return
        with table_errors(self.path(table)):
            delta = self._open(table)
            self.verifier.adopt_newest(table)
            delta.restore(version, post_commithook_properties=NO_CHECKPOINT)
            self._record_commit(table)

    def erase(
        self, table: Table, engine: DuckEngine, conditions: ErasureConditions, tables: Mapping[str, pa.Table]
    ) -> int:
        """Rewrite the files with matching rows, in one durable commit; return how many rows were deleted or changed.

        File statistics stay counts of rows only.
        """
        delta = self._open(table)
        count = 0
        actions = []
        self.files(table)
        now = time.time_ns() // 1_000_000
        with table_errors(self.path(table)), engine.cursor(tables) as con:
            for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
                part = file.get(f"partition.{table.partition_by}")
                rows = self._rows(table, delta, file["path"])
                gone, touched, total = _count_rows(con, rows, conditions)
                if not gone + touched:
                    continue
                count += gone + touched
                if gone < total:
                    with self._copy_to_files(table, con, _remaining_sql(rows, conditions), part) as written:
                        actions += [self._added(table, path, part) for path in written]
                values = {table.partition_by: part} if table.partition_by and part is not None else {}
                actions.append(
                    RemoveAction(
                        file["path"],
                        data_change=True,
                        deletion_timestamp=now,
                        size=file["size_bytes"],
                        partition_values=values,
                    )
                )
            if actions:
                self._add(table, delta, actions, mode="append")
        return count

    def delete_history(self, table: Table) -> None:
        """Delete all versions but the newest, with their files and logs; an interrupted call is simply repeated."""
        folder, log = self.path(table), self.path(table) / LOG
        delta = self._open(table)
        self.verifier.adopt_newest(table)
        with table_errors(folder):
            write_checkpoint(folder)
            newest = f"{self._record_commit(table):020d}"
            needed = set(paths_of(folder, delta))
            known = (entry.path for entry in self.record.all_files(table.name))
            self.record.delete_files(table.name, [path for path in known if folder / path not in needed])
            self.record.delete_commits(table.name, before=delta.version())
            for path in folder.rglob("*"):
                is_log = log in path.parents
                is_past = path.name < newest and path.name[:1].isdigit() if is_log else path not in needed
                if path.is_file() and is_past:
                    path.unlink()
            for path in (log, *(one for one in folder.iterdir() if one.is_dir()), folder):
                sync(path)

    def _rows(self, table: Table, delta: DeltaTable, file: str) -> str:
        """SQL of one file's rows with every column of the table but the partition's."""
        fields = [f for f in table.schema(list(pa.schema(delta.schema().to_arrow()))) if f.name != table.partition_by]
        nothing = ", ".join(f'cast(null as {sql_type(f.type)}) as "{f.name}"' for f in fields)
        path = str(self.path(table) / file).replace("'", "''")
        scan = f"select * from read_parquet('{path}', hive_partitioning = false)"
        return f"({scan} union all by name select {nothing} where false)"


def _count_rows(con: duckdb.DuckDBPyConnection, rows: str, conditions: ErasureConditions) -> tuple[int, int, int]:
    """How many rows to delete, how many others lose a value, and how many there are."""
    gone = f"coalesce({conditions.rows}, false)"
    touched = " or ".join(f"coalesce({where}, false)" for where in conditions.values.values()) or "false"
    selected = f"count(*) filter ({gone}), count(*) filter (not {gone} and ({touched})), count(*)"
    [counts] = con.execute(f"select {selected} from {rows} r").fetchall()
    return counts


def _remaining_sql(rows: str, conditions: ErasureConditions) -> str:
    changed = ", ".join(
        f"case when {where} then null else {name} end as {name}" for name, where in conditions.values.items()
    )
    replaced = f"replace ({changed})" if changed else ""
    return f"select * {replaced} from {rows} r where not coalesce({conditions.rows}, false)"
