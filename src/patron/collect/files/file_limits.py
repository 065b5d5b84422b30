"""What a file may hold: more than any shop's export does, and less than reading it could not bear.

What no limit here foresees, such as values that unpack to far more than the file, the memory of the process bounds.
"""

import csv
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from patron.govern.privacy.value_detectors import personal_kind
from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence
from patron.storage.sandbox.confinement import memory_cap
from patron.storage.settings import EngineSettings

FILE_COLUMNS = Sentence("file_columns", "has more than {count:,} columns")
FILE_KEYS = Sentence("file_keys", "its objects have more than {count:,} different keys")
FILE_HEADER = Sentence("file_header", "its header has more than {count:,} characters, or an unclosed quotation mark")
FILE_LINE = Sentence("file_line", "line {line:,} has more than {count:,} bytes")
FILE_ROW = Sentence("file_row", "one of its rows has more than {count:,} bytes")
FILE_ROWS = Sentence("file_rows", "has more rows ({count:,}) than a file of its size can hold")
FILE_MEMORY = Sentence("file_memory", "its rows unpack to more than {size:g} GB at a time")
FILE_RESERVED = Sentence("file_reserved", "has a column {name}, which is a reserved name")
FILE_NAME = Sentence("file_name_long", "the name of one of its columns has more than {count} characters")
FILE_WITHOUT_NAMES = Sentence("file_without_names", "the name of one of its columns looks like personal data")
ADD_NAMES = Sentence("add_names", "Begin the file with a line that names its columns, if it lacks one.")
RENAME_COLUMN = Sentence("rename_column", "Rename it.")
EXPORT_FEWER = Sentence("export_fewer", "Export the columns that the mapping needs, and one row for each event.")

MAX_COLUMNS = 1_000
MAX_NAME_LENGTH = 200
RESERVED = ("_hash", "_occurrence", "_row")
MAX_HEADER_LENGTH = 65_536
"""Characters of the first line of a CSV file."""
MAX_LINE_BYTES = 1 << 20
"""Of one object of JSON lines."""
MAX_CHUNK_BYTES = 64 << 20
"""Of the lines of a text file that are read at a time."""
MAX_CHUNK_CELLS = 10_000_000
MAX_ROWS_PER_BYTE = 20
"""Of a Parquet file: rows that are all alike take next to nothing, but events differ at least in their times."""
CHUNK_GB = 3.0
"""Memory for the rows that are read at a time, besides the engine's."""


def require_usable_columns(path: Path, names: Collection[str], sentence: Sentence = FILE_COLUMNS) -> None:
    """Raise BadFile for more columns than a file may have, and for names that no column can have.

    Those are long ones, those that an import gives columns of its own, and those that are somebody's data: names are
    kept with the mapping, where no erasure would look for them.
    """
    if len(names) > MAX_COLUMNS:
        raise BadFile(sentence(count=MAX_COLUMNS), where=str(path), todo=EXPORT_FEWER)
    if any(len(name) > MAX_NAME_LENGTH for name in names):
        raise BadFile(FILE_NAME(count=MAX_NAME_LENGTH), where=str(path), todo=RENAME_COLUMN)
    if sentence is FILE_COLUMNS and any(map(personal_kind, names)):
        raise BadFile(FILE_WITHOUT_NAMES, where=str(path), todo=ADD_NAMES)
    reserved = next((name for name in names if name.startswith("_") and name.lower() in RESERVED), None)
    if reserved:
        raise BadFile(FILE_RESERVED(name=reserved), where=str(path), todo=RENAME_COLUMN)


def require_short_line(path: Path, line: int, content: bytes) -> None:
    """Raise BadFile for a longer line than an object may have."""
    if len(content) > MAX_LINE_BYTES:
        raise BadFile(FILE_LINE(line=line, count=MAX_LINE_BYTES), where=str(path), todo=EXPORT_FEWER)


def require_credible_rows(path: Path, row_count: int) -> None:
    """Raise BadFile for a Parquet file that says it has more rows than its bytes can tell apart."""
    if row_count > MAX_ROWS_PER_BYTE * path.stat().st_size:
        raise BadFile(FILE_ROWS(count=row_count), where=str(path), todo=EXPORT_FEWER)


def header_lines(file: IO[str]) -> Iterator[str]:
    """Lines of a CSV file for the reader of its header. Raises csv.Error where they hold more than a header may."""
    left = MAX_HEADER_LENGTH
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise csv.Error
        yield line


@contextmanager
def bounded_memory(where: str, engine: EngineSettings) -> Iterator[None]:
    """Bound what this process takes for the rows of files. Raises BadFile where they need more."""
    try:
        with memory_cap(round((engine.memory_gb + CHUNK_GB) * 1e9)):
            yield
    except MemoryError as error:
        raise BadFile(FILE_MEMORY(size=CHUNK_GB), where=where, todo=EXPORT_FEWER) from error
