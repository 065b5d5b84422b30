"""The beginning of a file that somebody sent, read as a sandbox does it: columns, samples, first rows."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from patron.collect.files.file_limits import EXPORT_FEWER, FILE_ROW
from patron.collect.files.file_reader import NOT_IN_ENCODING, InputFile, inspect_file, is_json, is_parquet
from patron.collect.files.recognise_mapping import recognise_mapping
from patron.schema.errors import BadFile, code_of

SAMPLES = 3
BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAX_SAMPLE_LENGTH = 40
MAX_HEAD_BYTES = 2 << 20
"""Of the first rows together, so that trying them takes the server next to nothing."""
MAX_ROW_LINES = 100
"""Lines of one row, whose quoted values may have several; a quotation that does not end has more."""


@dataclass(frozen=True)
class FileHead:
    """What a file is, by its beginning."""

    line_count: int
    encoding: str
    columns: tuple[str, ...]
    samples: dict[str, tuple[str, ...]]
    """Values of the first rows by column, cut to a length that can be shown."""
    built_in: str
    """The built-in mapping whose columns it has; empty where none fits."""


def read_head(path: str, encoding: str) -> FileHead:
    """Look at a file in an encoding, or in the first one that it can be read in. Raises BadFile."""
    source = _inspect(Path(path), encoding)
    rows = next(source.chunks(row_count=SAMPLES)).rows.slice(0, SAMPLES)
    samples = {name: _texts(rows.column(name).to_pylist()) for name in source.columns if name in rows.column_names}
    return FileHead(
        source.line_count, source.encoding, source.columns, samples, _recognise_built_in(path, source.encoding)
    )


def read_first_rows(path: str, encoding: str, row_count: int) -> bytes:
    """A file of the same kind with the first rows of another one, and its header; fewer where they are long.

    Raises BadFile.
    """
    if is_parquet(Path(path)):
        rows = next(_inspect(Path(path), encoding).chunks(row_count=row_count)).rows
        while rows.num_rows > 1 and rows.nbytes > MAX_HEAD_BYTES:
            rows = rows.slice(0, rows.num_rows // 2)
        if rows.nbytes > MAX_HEAD_BYTES:
            raise BadFile(FILE_ROW(count=MAX_HEAD_BYTES), where=path, todo=EXPORT_FEWER)
        out = io.BytesIO()
        pq.write_table(rows, out)
        return out.getvalue()
    if encoding.startswith("utf-16"):
        with Path(path).open(encoding=encoding, newline="") as file:
            text = file.read(MAX_HEAD_BYTES // 4)
        return (text[: text.rfind("\n") + 1] or text).encode("utf-16")
    head = bytearray()
    with Path(path).open("rb") as file:
        for record in islice(_records(file), row_count + (not is_json(Path(path)))):
            if head and len(head) + len(record) > MAX_HEAD_BYTES:
                break
            head += record
    return bytes(head)


def _inspect(path: Path, encoding: str) -> InputFile:
    """Find out what a file is, in its encoding or, where none is named, in the first one that fits. Raises BadFile."""
    with path.open("rb") as file:
        is_utf_16 = file.read(2) in BYTE_ORDER_MARKS
    try:
        return inspect_file(path, delimiter=None, encoding=encoding or ("utf-16" if is_utf_16 else "utf-8"))
    except BadFile as error:
        if encoding or code_of(error.what) != NOT_IN_ENCODING.code:
            raise
    try:
        return inspect_file(path, delimiter=None, encoding="gb18030")
    except BadFile:
        return inspect_file(path, delimiter=None, encoding="cp1252")


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value)[:MAX_SAMPLE_LENGTH] for value in values if value is not None)


def _recognise_built_in(path: str, encoding: str) -> str:
    try:
        return recognise_mapping([path], delimiter=None, encoding=encoding)
    except BadFile:
        return ""


def _records(file: BinaryIO) -> Iterator[bytes]:
    """Rows of a text file, each with the lines that its quoted values have; one that does not end is cut."""
    row: list[bytes] = []
    quotes = 0
    while line := file.readline(MAX_HEAD_BYTES):
        row.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0 or len(row) == MAX_ROW_LINES:
            yield b"".join(row)
            row.clear()
            quotes = 0
    if row:
        yield b"".join(row)
