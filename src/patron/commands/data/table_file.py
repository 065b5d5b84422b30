"""A whole file as a table: any columns, with the types that their values have."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from patron.collect.files.file_reader import DELIMITER_NAMES, InputFile, inspect_file, is_json, is_parquet
from patron.schema.common_sentences import CHECK_PATH, FILE_MISSING, FILE_UNREADABLE_CAUSE
from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence

CHECK_ROW_LENGTHS = Sentence(
    "check_row_lengths", "Check that every row has as many values as the first line has names."
)

EMPTY = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]


def read_table_file(
    path: Path, *, delimiter: str | None = None, encoding: str = "utf-8", ids: Collection[str] = ()
) -> pa.Table:
    """Read CSV, JSON lines or Parquet. Raises BadFile.

    Columns of CSV that are named in `ids` stay texts, letter for letter: 007 is not 7, and only "" is missing.
    """
    if not path.is_file():
        raise BadFile(FILE_MISSING, where=str(path), todo=CHECK_PATH)
    delimiter = DELIMITER_NAMES.get(delimiter, delimiter) if delimiter else None
    return _read(inspect_file(path, delimiter=delimiter, encoding=encoding), ids)


def _read(file: InputFile, ids: Collection[str]) -> pa.Table:
    try:
        if is_parquet(file.path):
            return pq.read_table(file.path)
        if is_json(file.path):
            return pa_json.read_json(file.path)
        read = pc_csv.ReadOptions(encoding=file.encoding)
        types = dict.fromkeys(ids, pa.string())
        convert = pc_csv.ConvertOptions(null_values=EMPTY, strings_can_be_null=not ids, column_types=types)
        parse = pc_csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True)
        table = pc_csv.read_csv(file.path, read_options=read, parse_options=parse, convert_options=convert)
    except (OSError, pa.ArrowException) as error:
        todo = CHECK_ROW_LENGTHS
        raise BadFile(
            FILE_UNREADABLE_CAUSE(cause=str(error).splitlines()[0]), where=str(file.path), todo=todo
        ) from error
    return _with_missing_texts(table, ids) if ids else table


def _with_missing_texts(table: pa.Table, ids: Collection[str]) -> pa.Table:
    """A table in which texts that mean nothing are NULL; among ids only the empty one means nothing."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            empty = pa.array([""] if field.name in ids else EMPTY)
            column = table.column(place)
            column = pc.if_else(pc.is_in(column, value_set=empty), pa.scalar(None, pa.string()), column)
            table = table.set_column(place, field.name, column)
    return table
