"""Rows of a table: as SQL over Parquet files, and those with one value, from the parts of files that may have it."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patron.schema.errors import InvalidTable
from patron.schema.sentences import Sentence
from patron.schema.table_definition import Table, sql_type
from patron.storage.engine import literal

FRACTIONS = Sentence("fractions", "fractions in the whole numbers {names}")
ROUND_IN_QUERY = Sentence("round_in_query", "Round them in the query.")
PARTITION_NULL = Sentence("partition_null", "{name} is NULL")
NEEDS_PARTITION = Sentence("needs_partition", "Every row needs its partition.")
FIX_QUERY = Sentence("fix_query", "Fix the query that wrote it.")

FEW_GROUPS = 8
"""Row groups of a file that one value may be in to be kept."""
FEW_FILES = 8
"""Files whose columns are looked up, which takes a millisecond each, to read them by a simpler query."""


Bounds: TypeAlias = tuple[str, str] | None
"""Least and greatest value of a text column; None where statistics do not say."""


def declared_rows(table: Table, source_schema: pa.Schema, sql: str, part: str | None) -> str:
    """The query's rows as declared, without the partition column; rows of other parts are an error."""
    schema = table.schema(source_schema)
    lossy = [
        f.name for f in source_schema if pa.types.is_floating(f.type) and pa.types.is_integer(schema.field(f.name).type)
    ]
    if lossy:
        raise InvalidTable(FRACTIONS(names=", ".join(lossy)), where=table.name, todo=ROUND_IN_QUERY)
    columns = ", ".join(
        f'cast({f"q.{f.name}" if f.name in source_schema.names else "null"} as {sql_type(f.type)}) as "{f.name}"'
        for f in schema
        if f.name != table.partition_by
    )
    selected = f"select {columns} from ({sql}) q"
    if table.partition_by is None:
        return selected
    is_of_part = f"coalesce(q.{table.partition_by} = {literal(str(part))}, false)"
    return f"{selected} where case when {is_of_part} then true else error('{table.name}: a row of another part') end"


def cast_rows(fields: Sequence[pa.Field], files: Sequence[str], partition_by: str | None) -> str:
    """SQL of the rows of some files, cast to fields; no file or column means no rows or NULLs."""
    columns = ", ".join(f'cast("{f.name}" as {sql_type(f.type)}) as "{f.name}"' for f in fields)
    nothing = ", ".join(f'cast(null as {sql_type(f.type)}) as "{f.name}"' for f in fields)
    empty = f"select {nothing} where false"
    if not files:
        return empty
    listed = f"[{', '.join(map(literal, files))}], hive_partitioning = true, hive_types_autocast = false"
    if len(files) <= FEW_FILES and have_columns({f.name for f in fields} - {partition_by}, files):
        return f"select {columns} from read_parquet({listed})"  # why: it takes less planning
    scan = f"read_parquet({listed}, union_by_name = true)"
    return f"select {columns} from (select * from {scan} union all by name {empty})"


def file_rows(*files: object, with_names: bool = False) -> str:
    """SQL of the rows of some files, perhaps with the column `filename`; a column that a file lacks is NULL."""
    names = ", filename = true" if with_names else ""
    listed = ", ".join(map(literal, files))
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false{names})"


def with_part(table: Table, paths: Sequence[Path], part: str | None) -> str:
    """SQL of written files, their partition column put back."""
    partition = f', {literal(str(part))} as "{table.partition_by}"' if table.partition_by else ""
    return f"(select *{partition} from {file_rows(*paths)}) f"


def columns_without_nulls(path: Path) -> set[str]:
    """Columns of a written file in which, by the statistics of every row group, no value is missing."""
    file = pq.ParquetFile(path)
    names = [name for name in file.schema_arrow.names if not pa.types.is_nested(file.schema_arrow.field(name).type)]
    counts: dict[str, int] = {}
    for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            statistics = column.statistics
            is_full = statistics is not None and statistics.has_null_count and statistics.null_count == 0
            counts[column.path_in_schema] = counts.get(column.path_in_schema, 0) + is_full
    return {name for name in names if counts.get(name, 0) == file.metadata.num_row_groups}


class RowGroupCache:
    """The row groups that were read most recently, from files whose rows are sorted."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._kept: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    def find_rows(
        self, column: str, value: str, files: Sequence[str], fields: Sequence[pa.Field], partition_by: str | None
    ) -> pa.Table:
        """Rows of some written files that have a value in a text column, cast to fields; what a file lacks is NULL.

        Reads the row groups that may have the value by their statistics. Raises OSError, pa.ArrowException.
        """
        schema = pa.schema([field.with_nullable(True) for field in fields])
        found = [schema.empty_table()]
        for path in files:
            for rows in self._read_groups(path, _groups_that_may_have(column, value, path)):
                positions = pc.indices_nonzero(pc.equal(rows[column], value))
                if len(positions):
                    found.append(_with_schema(_rows_at(rows, positions), schema, partition_by, path))
        return pa.concat_tables(found)

    def drop_deleted(self) -> None:
        """Drop the row groups of files that an erasure has deleted."""
        with self._lock:
            gone = {path for path in {path for path, _ in self._kept} if not Path(path).exists()}
            for key in [key for key in self._kept if key[0] in gone]:
                self._bytes -= self._kept.pop(key).nbytes

    def _read_groups(self, path: str, numbers: Sequence[int]) -> Iterator[pa.Table]:
        """Some row groups of a file; those of a till or a test user, who is in many, push no others out."""
        with self._lock:
            kept = {number: rows for number in numbers if (rows := self._kept.get((path, number))) is not None}
            for number in kept:
                self._kept.move_to_end((path, number))
        if len(kept) == len(numbers):
            yield from kept.values()
            return
        with pq.ParquetFile(path, metadata=_read_footer(path)) as file:
            for number in numbers:
                rows = kept.get(number)
                if rows is None:
                    rows = file.read_row_group(number, use_threads=False)
                    if len(numbers) <= FEW_GROUPS:
                        self._keep((path, number), rows)
                yield rows

    def _keep(self, key: tuple[str, int], rows: pa.Table) -> None:
        with self._lock:
            before = self._kept.pop(key, None)
            self._kept[key] = rows
            self._bytes += rows.nbytes - (before.nbytes if before is not None else 0)
            while self._bytes > self._max_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes


def _rows_at(rows: pa.Table, positions: pa.UInt64Array) -> pa.Table:
    """Rows at these positions; adjacent ones as a slice, without a copy."""
    first, last = positions[0].as_py(), positions[-1].as_py()
    return rows.slice(first, len(positions)) if last - first + 1 == len(positions) else rows.take(positions)


def _groups_that_may_have(column: str, value: str, path: str) -> list[int]:
    of_file, of_groups = _bounds(path, column)
    # why: of hundreds of files a few may have it, of hundreds of groups each
    if not _cover(of_file, value):
        return []
    return [number for number, bounds in enumerate(of_groups) if _cover(bounds, value)]


def _with_schema(rows: pa.Table, schema: pa.Schema, partition_by: str | None, path: str) -> pa.Table:
    known = {*rows.schema.names}
    for field in schema:
        if field.name == partition_by:
            part = Path(path).parent.name.removeprefix(f"{partition_by}=")
            rows = rows.append_column(field, pa.repeat(part, rows.num_rows))
        elif field.name not in known:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    rows = rows.select(schema.names)
    # why: to cast takes as long as to find the rows
    return rows if rows.schema.equals(schema) else rows.cast(schema)


def have_columns(names: Collection[str], files: Sequence[str]) -> bool:
    """Whether each of some written files has every column, and all of them of the same types."""
    every = [_types(path) for path in files]
    return all(name in types and types[name] == every[0].get(name) for types in every for name in names)


def _cover(bounds: Bounds, value: str) -> bool:
    return bounds is None or bounds[0] <= value <= bounds[1]


@lru_cache(maxsize=16_384)
def _types(path: str) -> Mapping[str, pa.DataType]:
    """Columns of a file, which never changes once it is written."""
    return {one.name: one.type for one in pq.read_schema(path)}


@lru_cache(maxsize=64)
def _read_footer(path: str) -> pq.FileMetaData:
    """Footer of a file, which never changes once it is written."""
    return pq.read_metadata(path)


@lru_cache(maxsize=4_096)
def _bounds(path: str, column: str) -> tuple[Bounds, Sequence[Bounds]]:
    """Bounds of a file, and of each of its row groups; a file without the column has none of them."""
    metadata = _read_footer(path)
    names = [metadata.schema.column(position).path for position in range(metadata.num_columns)]
    if column not in names:
        return None, ()
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    every = [group.column(names.index(column)).statistics for group in groups]
    bounds = [(one.min, one.max) if one is not None and one.has_min_max else None for one in every]
    if not bounds or None in bounds:
        return None, bounds
    return (min(low for low, _ in bounds), max(high for _, high in bounds)), bounds  # pyright: ignore[reportGeneralTypeIssues]


def split_by_partition(table: Table, rows: pa.Table) -> Iterator[tuple[str | None, pa.Table]]:
    """Split rows by their partition value; the value itself lives in the folder's name only."""
    if not table.partition_by:
        yield None, rows
        return
    by = rows[table.partition_by]
    values = sorted(pc.unique(by).to_pylist(), key=str)
    if None in values:
        raise InvalidTable(PARTITION_NULL(name=table.partition_by), where=table.name, todo=NEEDS_PARTITION)
    rest = rows.drop_columns([table.partition_by])
    for value in values:
        yield value, rest.filter(pc.equal(by, value))
