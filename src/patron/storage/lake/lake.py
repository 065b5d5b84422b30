"""The lake: Delta tables that are durable once written, read as snapshots, and opened by any engine.

delta-rs does not fsync, so a write is: Parquet by pyarrow, fsync of file and folder, hashes of the files into the
store, commit, fsync of the log, hash of the commit into the store. Whatever is read is compared with these hashes.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from patron.schema.common_sentences import CANNOT_BE_WRITTEN
from patron.schema.errors import InvalidTable, LakeDamaged, WorkspaceError
from patron.schema.table_checks import find_violations, require_valid
from patron.schema.table_definition import Table, conform
from patron.storage.duck_engine import DuckEngine
from patron.storage.durable_files import sync
from patron.storage.engine import literal
from patron.storage.lake.lake_checkpoint import NO_CHECKPOINT, is_checkpoint_due, write_checkpoint
from patron.storage.lake.lake_log import LOG, files_of, open_version, paths_added, sync_commit, table_errors
from patron.storage.lake.lake_record import LakeRecord
from patron.storage.lake.lake_verification import LakeVerifier
from patron.storage.lake.parquet_rows import (
    FIX_QUERY,
    cast_rows,
    columns_without_nulls,
    declared_rows,
    split_by_partition,
    with_part,
)

ROW_GROUP = 131_072
SORTED_ROW_GROUP = 4_096
"""Rows that are read or skipped together where the rows of a file are in order: a page reads one for each table."""
PRIVATE = 0o700
RETENTION = timedelta(days=7)
"""How long files stay that the newest version no longer needs: nobody reads a snapshot for longer."""
SMALL_BYTES = 4_000_000
GROUPS_PER_FILE = 128
"""Row groups of one file; a table with more has several, each a range of its order, so that few are written again."""
MANY_FILES = 8
"""Small files of one part that may accumulate before they are joined."""


@dataclass(frozen=True)
class LoadId:
    """Identifies a load, so that repeating it changes nothing: an application and its growing sequence number."""

    application: str
    sequence: int


class Lake:
    """All Delta tables of one workspace. One writer at a time a table; any number of readers."""

    def __init__(self, folder: Path, record: LakeRecord, engine: DuckEngine | None = None) -> None:
        self.folder = folder
        self.record = record
        self.verifier = LakeVerifier(folder, record)
        self._engine = engine or DuckEngine()

    def path(self, table: Table) -> Path:
        """Folder of a table."""
        return self.folder / table.name

    def exists(self, table: Table) -> bool:
        """Whether anything was ever written to the table. Raises LakeDamaged when what was written is gone."""
        return self.version(table) is not None

    def version(self, table: Table) -> int | None:
        """Newest version, or None before the first write. Raises LakeDamaged."""
        return self.verifier.newest_version(table)

    def identity(self, table: Table) -> str:
        """Id that a table keeps for ever, also in a backup; the table is made if there is none."""
        return str(self._open(table).metadata().id)

    def last_load_sequence(self, table: Table, application: str) -> int:
        """Sequence number of an application's last load into the table; 0 before the first."""
        return (self._open(table).transaction_version(application) or 0) if self.exists(table) else 0

    def sync_commits(self, table: Table) -> None:
        """Make durable what others have committed: one that was killed may have left its last commit unsynced."""
        if any((self.path(table) / LOG).glob("*.json")):
            sync_commit(self.path(table))

    def append(self, table: Table, rows: pa.Table, *, load_id: LoadId | None = None) -> int:
        """Append rows durably and return the new version; with a `load_id`, a repeated load changes nothing."""
        return self._commit(table, rows, mode="append", load_id=load_id)

    def replace(self, table: Table, rows: pa.Table, *, part: str | None = None) -> int:
        """Replace the whole table, or one partition, by rows in one commit; return the new version."""
        return self._commit(table, rows, mode="overwrite", part=part)

    def replace_by_query(
        self, table: Table, engine: DuckEngine, sql: str, tables: Mapping[str, pa.Table], *, part: str | None = None
    ) -> int:
        """As `replace`, by the result of a query that the engine writes and checks without holding it in memory.

        Raises InvalidTable when the result breaks the table's declaration, or belongs to another part.
        """
        with table_errors(self.path(table)), engine.cursor(tables) as con:
            source_schema = con.sql(f"select * from ({sql}) q limit 0").to_arrow_table().schema
            delta = self._evolved(table, conform(table, source_schema.empty_table()).schema)
            actions = self._write_query(table, con, declared_rows(table, source_schema, sql, part), part)
            return self._add(table, delta, actions, mode="overwrite", part=part)

    def _write_query(
        self, table: Table, con: duckdb.DuckDBPyConnection, sql: str, part: str | None
    ) -> list[AddAction | RemoveAction]:
        """Write a query's rows to new files and check them. Raises InvalidTable when they break the declaration."""
        try:
            with self._copy_to_files(table, con, sql, part) as paths:
                full = set.intersection(*map(columns_without_nulls, paths))
                require_valid(table, find_violations(table, con, with_part(table, paths, part), without_nulls=full))
        except duckdb.InvalidInputException as error:
            raise InvalidTable(CANNOT_BE_WRITTEN(cause=error), where=table.name, todo=FIX_QUERY) from error
        return [self._added(table, path, part) for path in paths]

    def compact(self, table: Table, engine: DuckEngine, *, smaller_than: int = SMALL_BYTES) -> int:
        """Join the small files of each partition that has many of them; return how many were joined.

        One durable commit a partition; older versions stay readable, as their files stay until `vacuum`.
        """
        if len(self._files_on_disk(table)) <= MANY_FILES:
            return 0
        many = [item for item in self._small_files(table, smaller_than).items() if len(item[1]) > MANY_FILES]
        for part, files in many:
            self._join(table, engine, part, files)
        return sum(len(files) for _, files in many)

    def vacuum(self, table: Table, *, retention: timedelta = RETENTION, pinned: int | None = None) -> list[str]:
        """Delete files that neither a version within `retention` nor the pinned one needs; return their names.

        An interrupted call is simply repeated; it writes nothing to the log.
        """
        due_ns = time.time_ns() - int(retention.total_seconds() * 1e9)
        # why first: mostly no file is old enough, and to open a table takes longer than to look at its files
        if not self.exists(table) or all(path.stat().st_mtime_ns > due_ns for path in self._files_on_disk(table)):
            return []
        delta = self._open(table)
        needed = {
            "retention_hours": int(retention.total_seconds() // 3600),
            "enforce_retention_duration": False,
            "keep_versions": [pinned] if pinned is not None and self._is_in_log(table, pinned) else None,
            "full": True,
        }
        gone = delta.vacuum(dry_run=True, **needed)
        self.record.delete_files(table.name, gone)
        for name in gone:
            (self.path(table) / name).unlink(missing_ok=True)
        return gone

    def files(self, table: Table, version: int | None = None) -> list[str]:
        """Parquet files of one snapshot, verified. Raises LakeDamaged, WorkspaceError when that version is gone."""
        commit = self.verifier.verified_commit(table, version)
        if commit is None:
            return []
        files = list(files_of(self.path(table), commit))
        self.verifier.verify_files(table, files, version)
        return files

    def files_added(self, table: Table, since: int, until: int) -> list[str] | None:
        """Files of the rows added between two versions; None when rows were removed too, or the log is incomplete.

        Files that were only joined hold no new rows. A file may have been joined since; it stays for some days.
        """
        if since >= until:
            return []
        self.verifier.verified_version(table, until)
        paths = paths_added(self.path(table), since, until)
        if paths is None or not all(path.exists() for path in paths):
            return None
        self.verifier.verify_files(table, paths)
        return [str(path) for path in paths]

    def relation(self, table: Table, version: int | None = None, only: Sequence[str] | None = None) -> str:
        """SQL of one snapshot, or of `only` some files, cast to the declared schema.

        No files or columns yet means no rows or NULLs.
        """
        files = self.files(table, version) if only is None else only
        return cast_rows(self.fields(table, version), files, table.partition_by)

    def fields(self, table: Table, version: int | None = None) -> list[pa.Field]:
        """Declared columns, then those that an open table has gained."""
        extra: Sequence[pa.Field] = []
        if table.is_open and self.exists(table):
            extra = list(pa.schema(self._delta(table, version).schema().to_arrow()))
        return list(table.schema(extra))

    def read(self, table: Table, version: int | None = None) -> pa.Table:
        """Read one snapshot whole."""
        return self._engine.query(self.relation(table, version))

    def _open(self, table: Table) -> DeltaTable:
        path = self.path(table)
        if not self.exists(table):
            path.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
            self.verifier.adopt_newest(table)
            delta = DeltaTable.create(
                str(path),
                schema=deltalake.Schema.from_arrow(table.schema()),
                partition_by=[table.partition_by] if table.partition_by else None,
                name=table.name,
                description=table.row,
            )
            self._record_commit(table)
            return delta
        return self._delta(table)

    def _delta(self, table: Table, version: int | None = None) -> DeltaTable:
        """Open a version of a table, its log verified. Raises LakeDamaged, and WorkspaceError when it is gone."""
        number, held = self.verifier.verified_version(table, version), self.record.held(table.name)
        read = partial(open_version, self.path(table), number)
        return held.open_table(table.name, number, read) if held else read()

    def _evolved(self, table: Table, schema: pa.Schema) -> DeltaTable:
        """Open the table with every column of the schema; a new column is NULL in older files."""
        delta = self._open(table)
        known = {f.name for f in delta.schema().fields}
        new = [f for f in schema if f.name not in known]
        if new:
            self.verifier.adopt_newest(table)
            fields = list(deltalake.Schema.from_arrow(pa.schema(new)).fields)
            delta.alter.add_columns(fields, post_commithook_properties=NO_CHECKPOINT)
            self._record_commit(table)
            delta = self._delta(table)
        return delta

    def _commit(
        self, table: Table, rows: pa.Table, *, mode: str, load_id: LoadId | None = None, part: str | None = None
    ) -> int:
        rows = conform(table, rows)
        with table_errors(self.path(table)):
            delta = self._evolved(table, rows.schema)
            if load_id and _is_committed(delta, load_id):
                self.verifier.adopt_newest(table)
                return delta.version()
            return self._add(table, delta, self._write_files(table, rows), mode=mode, load_id=load_id, part=part)

    def _add(
        self,
        table: Table,
        delta: DeltaTable,
        actions: list[AddAction | RemoveAction],
        *,
        mode: str,
        load_id: LoadId | None = None,
        part: str | None = None,
    ) -> int:
        """Commit written files. When that fails they stay, for vacuum: it may be durable although not acknowledged."""
        row_counts = {one.path: json.loads(one.stats)["numRecords"] for one in actions if isinstance(one, AddAction)}
        self.verifier.record_files(table, row_counts)
        self.verifier.adopt_newest(table)
        delta.create_write_transaction(
            actions,
            mode,
            delta.schema(),
            partition_by=[table.partition_by] if table.partition_by else None,
            partition_filters=[(table.partition_by, "=", part)] if part is not None and table.partition_by else None,
            commit_properties=_marks(load_id),
            post_commithook_properties=NO_CHECKPOINT,
        )
        if is_checkpoint_due(version := self._record_commit(table)):
            write_checkpoint(self.path(table))
            self._record_commit(table)
            DeltaTable(str(self.path(table))).cleanup_metadata()  # why: only once the checkpoint is known
        return version

    def _is_in_log(self, table: Table, version: int) -> bool:
        """Whether a version can still be read; Delta forgets the oldest ones after 30 days."""
        try:
            self._delta(table, version)
        except LakeDamaged:
            raise
        except WorkspaceError:
            return False
        return True

    def _files_on_disk(self, table: Table) -> list[Path]:
        """Data files in the table's folder, whether a version names them or not."""
        logs = self.path(table) / LOG
        return [path for path in self.path(table).rglob("*") if logs not in path.parents and path.is_file()]

    def _small_files(self, table: Table, smaller_than: int) -> dict[str | None, dict[str, int]]:
        """The newest version's small files and their bytes, by their part."""
        small: dict[str | None, dict[str, int]] = {}
        if self.exists(table):
            for file in pa.table(self._open(table).get_add_actions(flatten=True)).to_pylist():
                if file["size_bytes"] < smaller_than:
                    part = file.get(f"partition.{table.partition_by}")
                    small.setdefault(part, {})[file["path"]] = file["size_bytes"]
        return small

    def _join(self, table: Table, engine: DuckEngine, part: str | None, files: Mapping[str, int]) -> None:
        self.verifier.verify_files(table, files)
        paths = ", ".join(literal(str(self.path(table) / name)) for name in files)
        rows = f"select * from read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"
        with table_errors(self.path(table)), engine.cursor() as con:
            with self._copy_to_files(table, con, rows, part) as written:
                files_added = [self._added(table, path, part, data_change=False) for path in written]
            now, values = time.time_ns() // 1_000_000, _values(table, part)
            removed = [
                RemoveAction(name, data_change=False, deletion_timestamp=now, size=size, partition_values=values)
                for name, size in files.items()
            ]
            self._add(table, self._open(table), [*files_added, *removed], mode="append")

    @contextmanager
    def _copy_to_files(
        self, table: Table, con: duckdb.DuckDBPyConnection, sql: str, part: str | None
    ) -> Iterator[list[Path]]:
        """Write a query's rows, in the table's order, to new files, which go again when the block fails."""
        path = self._new_path(table, part)
        order = f" order by {', '.join(table.sorted_by)}" if table.sorted_by else ""
        options = (
            f"format parquet, compression zstd, row_group_size {_row_group(table)}, overwrite_or_ignore true,"
            f" row_groups_per_file {GROUPS_PER_FILE}, filename_pattern {literal(path.stem + '-{i}')}"
        )
        try:
            con.execute(f"copy (select * from ({sql}) q{order}) to {literal(str(path.parent))} ({options})")
            yield sorted(path.parent.glob(f"{path.stem}-*.parquet"))
        except BaseException:
            for written in path.parent.glob(f"{path.stem}-*.parquet"):
                written.unlink(missing_ok=True)
            raise

    def _write_files(self, table: Table, rows: pa.Table) -> list[AddAction | RemoveAction]:
        written: list[Path] = []
        try:
            return [self._write_part(table, value, part, written) for value, part in split_by_partition(table, rows)]
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise

    def _write_part(self, table: Table, value: str | None, rows: pa.Table, written: list[Path]) -> AddAction:
        path = self._new_path(table, value)
        written.append(path)
        order = [(name, "ascending") for name in table.sorted_by]
        ordered = rows.sort_by(order) if order else rows
        pq.write_table(ordered, path, compression="zstd", row_group_size=_row_group(table))
        return self._added(table, path, value)

    def _new_path(self, table: Table, value: str | None) -> Path:
        folder = self.path(table)
        if value is not None:
            folder /= f"{table.partition_by}={value}"
            folder.mkdir(exist_ok=True, mode=PRIVATE)
            sync(folder.parent)
        return folder / f"part-{uuid.uuid4().hex}.parquet"

    def _added(self, table: Table, path: Path, value: str | None, *, data_change: bool = True) -> AddAction:
        """Make a written file durable and say that it is part of the table."""
        sync(path)
        sync(path.parent)
        stats = json.dumps({"numRecords": pq.read_metadata(path).num_rows})
        modified = int(path.stat().st_mtime * 1000)
        relative = str(path.relative_to(self.path(table)))
        return AddAction(
            relative, path.stat().st_size, _values(table, value), modified, data_change=data_change, stats=stats
        )

    def _record_commit(self, table: Table) -> int:
        """Make the newest commit durable, write its entry to the store and return its version."""
        version = sync_commit(self.path(table))
        self.verifier.record_commit(table, version)
        return version


def _values(table: Table, part: str | None) -> dict[str, str | None]:
    return {table.partition_by: part} if table.partition_by and part is not None else {}


def _row_group(table: Table) -> int:
    return SORTED_ROW_GROUP if table.sorted_by else ROW_GROUP


def _is_committed(delta: DeltaTable, load_id: LoadId) -> bool:
    last = delta.transaction_version(load_id.application)
    return last is not None and last >= load_id.sequence


def _marks(load_id: LoadId | None) -> CommitProperties | None:
    return CommitProperties(app_transactions=[Transaction(load_id.application, load_id.sequence)]) if load_id else None
