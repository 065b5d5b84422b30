"""Rows of a table as SQL over Parquet files, and what the statistics of a file say of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

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

FEW_FILES = 8
"""Files whose columns are looked up, which takes a millisecond each, to read them by a simpler query."""


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


def files_with(column: str, value: str, files: Sequence[str]) -> list[str]:
    """Those of some written files that may have rows with a value in a text column, by their statistics."""
    return [path for path in files if _may_have(_bounds(path, column), value)]


def have_columns(names: Collection[str], files: Sequence[str]) -> bool:
    """Whether each of some written files has every column, and all of them of the same types."""
    every = [_types(path) for path in files]
    return all(name in types and types[name] == every[0].get(name) for types in every for name in names)


def _may_have(bounds: tuple[str, str] | None, value: str) -> bool:
    return bounds is None or bounds[0] <= value <= bounds[1]


@lru_cache(maxsize=16_384)
def _types(path: str) -> Mapping[str, pa.DataType]:
    """Columns of a file, which never changes once it is written."""
    return {one.name: one.type for one in pq.read_schema(path)}


@lru_cache(maxsize=16_384)
def _bounds(path: str, column: str) -> tuple[str, str] | None:
    """Least and greatest value of a file, which never changes once it is written; None where it does not say."""
    metadata = pq.read_metadata(path)
    names = [metadata.schema.column(position).path for position in range(metadata.num_columns)]
    if column not in names or not metadata.num_row_groups:
        return None
    groups = range(metadata.num_row_groups)
    every = [metadata.row_group(group).column(names.index(column)).statistics for group in groups]
    if not all(one is not None and one.has_min_max for one in every):
        return None
    return min(one.min for one in every), max(one.max for one in every)


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
