"""Files read in chunks of rows: CSV of any delimiter and encoding, JSON lines, Parquet."""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from patron.schema.errors import BadFile
from patron.schema.personal_data import text_of
from patron.storage.durable_files import FULL

CHUNK_ROWS = 250_000
JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file: a table, and the number and text of each row that could not be read."""

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
            raise BadFile("there is no such file", where=pattern, todo="Check the path.")
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
    row_count: int | None
    delimiter: str = ","
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    """Columns as a CSV file has them, among them those without a name, which are left out."""

    def chunks(self, columns: tuple[str, ...] = ()) -> Iterator[Chunk]:
        """Read the file from its start, in order. Raises BadFile where it proves to be damaged further on."""
        try:
            if is_parquet(self.path):
                yield from _number_chunks(_parquet(self.path, list(columns) or None))
            elif is_json(self.path):
                yield from _json(self.path, self.columns)
            else:
                yield from _csv(self)
        except (OSError, pa.ArrowException) as error:
            if getattr(error, "errno", None) in FULL:
                raise
            raise BadFile(
                f"is damaged{_cause(error)}",
                where=str(self.path),
                todo="Export it again; the rows before the damage are stored and will not be stored twice.",
            ) from error


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
            raise BadFile("the file is empty", where=str(path), todo="Export it again.")
        if is_parquet(path):
            meta = pq.ParquetFile(path)
            if meta.metadata.num_rows == 0:
                raise BadFile("the file has no rows", where=str(path), todo="Export it again.")
            return InputFile(path, tuple(meta.schema_arrow.names), meta.metadata.num_rows)
        rows = _check_encoding(path, "utf-8" if is_json(path) else encoding)
        if is_json(path):
            return InputFile(path, _json_columns(path), rows)
        return _inspect_csv(path, delimiter, encoding, rows)
    except (OSError, pa.ArrowException) as error:
        raise BadFile(
            f"cannot be read{_cause(error)}",
            where=str(path),
            todo="Check that it is what its name says, and readable.",
        ) from error


def _cause(error: Exception) -> str:
    """What the system says; a library's own words name nothing that a user knows."""
    return f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""


def _check_encoding(path: Path, encoding: str) -> int:
    """Read the whole file once, so that a wrong encoding is found before anything is stored; returns its lines."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise BadFile(
            f"unknown encoding {encoding}", where=str(path), todo="Name one such as utf-8 or cp1252."
        ) from None
    lines, position = 0, 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                decoder.decode(block)
                lines += block.count(b"\n")
                position += len(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadFile(
            f"is not written in {encoding} (near byte {position + error.start})",
            where=str(path),
            todo="State its encoding in the mapping or with --encoding.",
        ) from None
    return lines


def _inspect_csv(path: Path, delimiter: str | None, encoding: str, lines: int) -> InputFile:
    with path.open(
        encoding="utf-8-sig" if encoding.replace("_", "-").lower() == "utf-8" else encoding, newline=""
    ) as file:
        head = file.readline()
        mark = delimiter or max(DELIMITERS, key=head.count)
        file.seek(0)
        names = tuple(name.strip() for name in next(csv.reader(file, delimiter=mark), []))
        second = file.readline()
    named = tuple(name for name in names if name)
    if len(set(named)) < len(named) or "\x00" in head:
        raise BadFile("its header repeats names or is not text", where=str(path), todo="Check that it is a CSV file.")
    if not second.strip():
        raise BadFile("the file has a header but no rows", where=str(path), todo="Export it again.")
    if not named:
        raise BadFile("its header names no column", where=str(path), todo="Write the names in the first line.")
    return InputFile(path, named, lines, mark, encoding, names)


def _number_chunks(tables: Iterator[pa.Table]) -> Iterator[Chunk]:
    first = 1
    for rows in tables:
        yield Chunk(rows, first)
        first += rows.num_rows


def _parquet(path: Path, columns: list[str] | None) -> Iterator[pa.Table]:
    for batch in pq.ParquetFile(path).iter_batches(CHUNK_ROWS, columns=columns):
        yield pa.Table.from_batches([batch])


def _csv(source: InputFile) -> Iterator[Chunk]:
    unreadable: list[tuple[int, str]] = []
    bad_numbers: list[int] = []

    def keep(row: Any) -> str:
        unreadable.append(((row.number or 1) - 1, row.text))  # why: it counts the header, too
        bad_numbers.append(unreadable[-1][0])
        return "skip"

    reader = pc_csv.open_csv(
        source.path,
        read_options=pc_csv.ReadOptions(
            encoding=source.encoding,
            column_names=list(source.header),
            skip_rows=1,
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
    first = 1
    for batch in reader:
        bad_rows, unreadable[:] = tuple(unreadable), []
        numbers = np.setdiff1d(np.arange(first, first + batch.num_rows + len(bad_numbers)), bad_numbers)
        numbers = numbers[: batch.num_rows]
        yield Chunk(pa.Table.from_batches([batch]).append_column("_row", pa.array(numbers)), first, bad_rows)
        first = int(numbers[-1]) + 1 if len(numbers) else first
    if unreadable:
        yield Chunk(pa.table({name: pa.array([], pa.string()) for name in source.columns}), first, tuple(unreadable))


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.strip()


def line_chunks(path: Path, size: int = 50_000) -> Iterator[list[tuple[int, bytes]]]:
    """Read numbered lines in lists; blank lines are skipped."""
    chunk: list[tuple[int, bytes]] = []
    for one in _json_lines(path):
        chunk.append(one)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _json_columns(path: Path) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for _, line in next(line_chunks(path, 1000), []):
        row = _decode(line)
        names.update(dict.fromkeys(row or {}))
    if not names:
        raise BadFile("holds no JSON object a line", where=str(path), todo="Write one object a line, without commas.")
    return tuple(names)


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _json(path: Path, columns: tuple[str, ...]) -> Iterator[Chunk]:
    for lines in line_chunks(path):
        decoded = [(number, _decode(line), line) for number, line in lines]
        good = [(number, row) for number, row, _ in decoded if row is not None]
        unreadable = tuple((number, line.decode()) for number, row, line in decoded if row is None)
        names = dict.fromkeys(columns) | {name: None for _, row in good for name in row}
        rows = {name: pa.array([text_of(row.get(name)) for _, row in good], pa.string()) for name in names}
        numbers = pa.array([number for number, _ in good], pa.int64())
        yield Chunk(pa.table({**rows, "_row": numbers}), lines[0][0], unreadable)
