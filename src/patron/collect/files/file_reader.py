"""Files read in chunks of rows: CSV of any delimiter and encoding, JSON lines, Parquet."""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from patron.collect.files.file_kinds import refuse_other_kinds
from patron.collect.files.file_limits import (
    FILE_HEADER,
    FILE_KEYS,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_CELLS,
    MAX_HEADER_LENGTH,
    MAX_LINE_BYTES,
    header_lines,
    require_credible_rows,
    require_short_line,
    require_usable_columns,
)
from patron.govern.privacy.personal_data import text_of
from patron.schema.common_sentences import (
    CHECK_PATH,
    FILE_DAMAGED_CAUSE,
    FILE_MISSING,
    FILE_UNREADABLE,
    FILE_UNREADABLE_CAUSE,
)
from patron.schema.errors import BadFile
from patron.schema.json_texts import is_too_deep
from patron.schema.sentences import Sentence
from patron.storage.durable_files import FULL

NO_FILES_NAMED = Sentence("no_files_named", "no files were named")
NAME_FILES = Sentence("name_files", "Name the files to import.")
FILE_DAMAGED = Sentence("file_damaged", "is damaged")
NAME_DELIMITER = Sentence("name_delimiter", "Name one character, such as --delimiter ';'.")
NOT_DELIMITER = Sentence("not_delimiter", "{text!r} cannot be a delimiter")
HEADER_REPEATS = Sentence("header_repeats", "its header repeats names or is not text")
FILE_HEADER_ONLY = Sentence("file_header_only", "the file has a header but no rows")
HEADER_NO_COLUMN = Sentence("header_no_column", "its header has no column names")
NO_JSON_LINE = Sentence("no_json_line", "does not hold one JSON object per line")
FILE_EMPTY = Sentence("file_empty", "the file is empty")
UNKNOWN_ENCODING = Sentence("unknown_encoding", "unknown encoding {name}")
NOT_IN_ENCODING = Sentence("not_in_encoding", "is not written in {name} (near byte {place})")
CHECK_CSV = Sentence("check_csv", "Check that it is a CSV file.")
EXPORT_AGAIN = Sentence("export_again", "Export it again.")
FIRST_LINE = Sentence("first_line", "Write the names in the first line.")
JSON_LINE = Sentence("json_line", "Write one object per line, without commas between them.")
FILE_NO_ROWS = Sentence("file_no_rows", "the file has no rows")
CHECK_NAME = Sentence("check_name", "Check that its content fits its file extension, and that it can be read.")
NAME_ENCODING = Sentence("name_encoding", "Name one such as utf-8 or cp1252.")
STATE_ENCODING = Sentence("state_encoding", "State its encoding in the mapping or with --encoding, such as cp1252.")
EXPORT_AGAIN_ROWS = Sentence(
    "export_again_rows", "Export it again; the rows before the damage are stored and will not be stored twice."
)

CHUNK_ROWS = 250_000
JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
DELIMITERS = ",;\t|"
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
"""Delimiters as people type them."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file: a table, and the line and text of each row that could not be read."""

    rows: pa.Table
    first_row: int
    unreadable: tuple[tuple[int, str], ...] = ()


def find_files(patterns: list[str]) -> list[Path]:
    """List the files that paths and globs name, each once. Raises BadFile for a pattern that names none."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        paths = [Path(pattern)] if Path(pattern).is_file() else _expand(pattern)
        paths = [path for path in paths if path.is_file()]
        if not paths:
            raise BadFile(FILE_MISSING, where=pattern, todo=CHECK_PATH)
        files.update(dict.fromkeys(paths))
    return list(files)


def _expand(pattern: str) -> list[Path]:
    whole = Path(pattern).absolute()
    return sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))


@dataclass(frozen=True)
class InputFile:
    """One input file whose format and encoding were checked before anything is stored."""

    path: Path
    columns: tuple[str, ...]
    line_count: int
    """Lines of a text file, its header included; rows of a Parquet file."""
    is_unfinished: bool = False
    """Whether its last line has no end: it may be cut off."""
    delimiter: str = ","
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    """Columns as a CSV file has them, among them those without a name, which are left out."""
    header_line_count: int = 1

    def is_cut_off(self, line: int, text: str) -> bool:
        """Whether a row that could not be read is the last one, and ends in the middle of a line or a quotation."""
        is_open = bool(self.header) and text.count('"') % 2 == 1
        return line == self.line_count and (self.is_unfinished or is_open)

    def chunks(self, columns: tuple[str, ...] = (), *, row_count: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Read the file from its start, in order. Raises BadFile where it proves to be damaged further on.

        `row_count` is how many rows of a Parquet file are read at a time; text files have chunks of bytes.
        """
        try:
            if is_parquet(self.path):
                yield from _number_chunks(_parquet(self.path, list(columns) or None, row_count))
            elif is_json(self.path):
                yield from _json(self.path, self.columns)
            else:
                yield from _csv(self)
        except MemoryError:
            raise  # why: the file is not damaged, it needs more than there is
        except (OSError, pa.ArrowException) as error:
            if getattr(error, "errno", None) in FULL:
                raise
            cause = _cause(error)
            what = FILE_DAMAGED_CAUSE(cause=cause) if cause else FILE_DAMAGED
            raise BadFile(what, where=str(self.path), todo=EXPORT_AGAIN_ROWS) from error


def is_parquet(path: Path) -> bool:
    """Whether a file is named as Parquet."""
    return path.suffix.lower() in {".parquet", ".pq"}


def is_json(path: Path) -> bool:
    """Whether a file is named as JSON lines."""
    return path.suffix.lower() in JSON_SUFFIXES


def inspect_file(path: Path, *, delimiter: str | None, encoding: str) -> InputFile:
    """Find out columns and size. Raises BadFile when it is empty, unreadable or not in this encoding."""
    try:
        if path.stat().st_size == 0:
            raise BadFile(FILE_EMPTY, where=str(path), todo=EXPORT_AGAIN)
        if is_parquet(path):
            meta = pq.ParquetFile(path)
            if meta.metadata.num_rows == 0:
                raise BadFile(FILE_NO_ROWS, where=str(path), todo=EXPORT_AGAIN)
            names = meta.schema_arrow.names
            require_credible_rows(path, meta.metadata.num_rows)
            require_usable_columns(path, names)
            if len(set(names)) < len(names):
                raise BadFile(HEADER_REPEATS, where=str(path), todo=EXPORT_AGAIN)
            return InputFile(path, tuple(names), meta.metadata.num_rows)
        encoding = "utf-8" if is_json(path) else encoding
        refuse_other_kinds(path, encoding)
        lines, is_unfinished = _check_encoding(path, encoding)
        if is_json(path):
            return InputFile(path, _json_columns(path), lines, is_unfinished)
        return _inspect_csv(path, delimiter, encoding, lines, is_unfinished=is_unfinished)
    except MemoryError:
        raise
    except (OSError, pa.ArrowException) as error:
        cause = _cause(error)
        what = FILE_UNREADABLE_CAUSE(cause=cause) if cause else FILE_UNREADABLE
        raise BadFile(what, where=str(path), todo=CHECK_NAME) from error


def _cause(error: Exception) -> str:
    """What the system says; a library's own words name nothing that a user knows."""
    return error.strerror or "" if isinstance(error, OSError) else ""


def _check_encoding(path: Path, encoding: str) -> tuple[int, bool]:
    """Read the whole file once, so that a wrong encoding is found before anything is stored.

    Returns how many lines it has, and whether the last one has no end.
    """
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise BadFile(UNKNOWN_ENCODING(name=encoding), where=str(path), todo=NAME_ENCODING) from None
    lines = 0
    position = 0
    last = ""
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                text = decoder.decode(block)
                lines += text.count("\n")
                last = text[-1:] or last
                position += len(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadFile(
            NOT_IN_ENCODING(name=encoding, place=position + error.start),
            where=str(path),
            todo=STATE_ENCODING,
        ) from None
    is_unfinished = last not in {"\n", "\r"}
    return lines + is_unfinished, is_unfinished


def _delimiter(named: str, path: Path) -> str:
    """The delimiter that is meant. Raises BadFile when it is not one character."""
    mark = DELIMITER_NAMES.get(named.lower(), named)
    if len(mark) != 1 or mark in '"\r\n':
        raise BadFile(NOT_DELIMITER(text=named), where=str(path), todo=NAME_DELIMITER)
    return mark


def _inspect_csv(path: Path, delimiter: str | None, encoding: str, lines: int, *, is_unfinished: bool) -> InputFile:
    with path.open(
        encoding="utf-8-sig" if encoding.replace("_", "-").lower() == "utf-8" else encoding, newline=""
    ) as file:
        head = file.readline(MAX_HEADER_LENGTH + 1)
        mark = _delimiter(delimiter, path) if delimiter else max(DELIMITERS, key=head.count)
        file.seek(0)
        rows = csv.reader(header_lines(file), delimiter=mark)
        try:
            names = tuple(name.strip() for name in next(rows, []))
        except csv.Error as error:
            raise BadFile(FILE_HEADER(count=MAX_HEADER_LENGTH), where=str(path), todo=CHECK_CSV) from error
        second = file.readline(MAX_HEADER_LENGTH)
    require_usable_columns(path, names)
    named = tuple(name for name in names if name)
    if len(set(named)) < len(named) or "\x00" in head:
        raise BadFile(HEADER_REPEATS, where=str(path), todo=CHECK_CSV)
    if not second.strip():
        raise BadFile(FILE_HEADER_ONLY, where=str(path), todo=EXPORT_AGAIN)
    if not named:
        raise BadFile(HEADER_NO_COLUMN, where=str(path), todo=FIRST_LINE)
    return InputFile(
        path,
        named,
        line_count=lines,
        is_unfinished=is_unfinished,
        delimiter=mark,
        encoding=encoding,
        header=names,
        header_line_count=rows.line_num,
    )


def _number_chunks(tables: Iterator[pa.Table]) -> Iterator[Chunk]:
    first = 1
    for rows in tables:
        yield Chunk(rows, first)
        first += rows.num_rows


def _parquet(path: Path, columns: list[str] | None, row_count: int) -> Iterator[pa.Table]:
    for batch in pq.ParquetFile(path).iter_batches(row_count, columns=columns):
        yield pa.Table.from_batches([batch])


def _csv(source: InputFile) -> Iterator[Chunk]:
    """Chunks of a CSV file; `_row` is the line on which a row begins, blank lines not counted."""
    unreadable: dict[int, str] = {}
    """Text by number of the row, the first after the header is 1; only what no chunk has named yet."""

    def keep(row: Any) -> str:
        unreadable[(row.number or 1) - 1] = row.text  # why: it counts the header, too
        return "skip"

    first, line = 1, source.header_line_count + 1
    for batch in _open_csv(source, keep):
        numbers = np.setdiff1d(np.arange(first, first + batch.num_rows + len(unreadable)), list(unreadable))
        numbers = numbers[: batch.num_rows]
        until = int(numbers[-1]) + 1 if len(numbers) else first
        bad = {number: unreadable.pop(number) for number in sorted(unreadable) if number < until}
        heights = np.ones(until - first, np.int64)
        heights[numbers - first] += _line_ends(batch)
        for number, text in bad.items():
            heights[number - first] += text.count("\n")
        begins = line + np.cumsum(heights) - heights
        lines = tuple(one for number, text in bad.items() for one in _lines(int(begins[number - first]), text))
        yield Chunk(
            pa.Table.from_batches([batch]).append_column("_row", pa.array(begins[numbers - first])), first, lines
        )
        first, line = until, line + int(heights.sum())
    lines = []
    for _, text in sorted(unreadable.items()):
        lines += _lines(line + len(lines), text)
    if lines:
        yield Chunk(pa.table({name: pa.array([], pa.string()) for name in source.columns}), first, tuple(lines))


def _open_csv(source: InputFile, keep: Any) -> pc_csv.CSVStreamingReader:
    return pc_csv.open_csv(
        source.path,
        read_options=pc_csv.ReadOptions(
            encoding=source.encoding,
            column_names=list(source.header),
            skip_rows=source.header_line_count,
            use_threads=False,
            block_size=1 << 24,
        ),
        parse_options=pc_csv.ParseOptions(
            delimiter=source.delimiter, newlines_in_values=True, invalid_row_handler=keep
        ),
        convert_options=pc_csv.ConvertOptions(
            column_types=dict.fromkeys(source.columns, pa.string()),
            include_columns=list(source.columns),
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )


def _lines(first: int, text: str) -> list[tuple[int, str]]:
    """Numbered lines of a row that could not be read: a stray quotation mark may have swallowed many good ones."""
    return list(enumerate(text.split("\n"), first))


def _line_ends(rows: pa.RecordBatch) -> np.ndarray:
    """Line ends inside the values of each row."""
    found = np.zeros(rows.num_rows, np.int64)
    for column in rows.columns:
        values = column.buffers()[2]
        if values is not None and re.search(b"\n", values):  # why: few texts have any, and looking is fast
            found += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
    return found


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            require_short_line(path, number, line)
            if line.strip():
                yield number, line.strip()


def line_chunks(path: Path, size: int = 50_000) -> Iterator[list[tuple[int, bytes]]]:
    """Read numbered lines in lists; blank lines are skipped. Raises BadFile for one that is too long."""
    chunk: list[tuple[int, bytes]] = []
    byte_count = 0
    for json_line in _json_lines(path):
        chunk.append(json_line)
        byte_count += len(json_line[1])
        if len(chunk) == size or byte_count > MAX_CHUNK_BYTES:
            yield chunk
            chunk, byte_count = [], 0
    if chunk:
        yield chunk


def _json_columns(path: Path) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for _, line in next(line_chunks(path, 1000), []):
        row = _decode(line)
        names.update(dict.fromkeys(row or {}))
        require_usable_columns(path, names, FILE_KEYS)
    if not names:
        raise BadFile(NO_JSON_LINE, where=str(path), todo=JSON_LINE)
    return tuple(names)


def _decode(line: bytes) -> dict[str, Any] | None:
    if is_too_deep(line):
        return None
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _json(path: Path, columns: tuple[str, ...]) -> Iterator[Chunk]:
    for lines in line_chunks(path):
        decoded = [(number, _decode(line), line) for number, line in lines]
        unreadable = tuple((number, line.decode()) for number, row, line in decoded if row is None)
        good = [(number, row) for number, row, _ in decoded if row is not None]
        names = dict.fromkeys(columns)
        for _, row in good:
            names.update(dict.fromkeys(row))
            require_usable_columns(path, names, FILE_KEYS)
        size = MAX_CHUNK_CELLS // len(names)
        for start in range(0, len(good) or 1, size):
            some = good[start : start + size]
            rows = {name: pa.array([text_of(row.get(name)) for _, row in some], pa.string()) for name in names}
            numbers = pa.array([number for number, _ in some], pa.int64())
            yield Chunk(pa.table({**rows, "_row": numbers}), lines[0][0], () if start else unreadable)
