"""CSV files that spreadsheets open: whole or not there, and text, never a formula. Nothing else writes CSV."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from patron.storage.durable_files import make_private_folder, write_durably

SIGNS = r"=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207c\u207a\u207b\u208c\u208a\u208b\ufb29"
"""Characters that make a spreadsheet compute a cell, and those that normalising turns into them."""
BLANKS = r" \x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
"""What a spreadsheet may leave out before them."""
FORMULA_START = re.compile(rf"(\A|[;\t\r\n])([{BLANKS}]*[{SIGNS}])")
"""Within a text, too: where `;` or a tab stands, or a line begins, a spreadsheet of another country begins a cell."""
ADDED_APOSTROPHE = re.compile(rf"(\A|[;\t\r\n])'([{BLANKS}]*[{SIGNS}])")
TELEPHONE = re.compile(r"\+\d{6,15}")
"""A telephone number as an id: a spreadsheet computes nothing from it, and a mail system needs it as it is."""
ROWS_AT_ONCE = 50_000
Cell = str | float | bool | None


def safe_cell(text: str) -> str:
    """Text that no spreadsheet runs: an apostrophe goes before whatever starts a formula."""
    return text if TELEPHONE.fullmatch(text) else FORMULA_START.sub(r"\1'\2", text)


def plain_cell(cell: str) -> str:
    """The text of a safe cell, without the apostrophes that are not its own."""
    return ADDED_APOSTROPHE.sub(r"\1\2", cell)


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as lines of CSV; numbers stay numbers."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([safe_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a UTF-8 CSV file durably and atomically, readable by its owner only. Raises NoSpace on a full disk."""
    make_private_folder(path.parent)
    write_durably(path, csv_text([header, *rows]).encode())


def csv_parts(table: pa.Table, *, codes: Collection[str] = ()) -> Iterator[bytes]:
    """A table as parts of a CSV file; numbers stay numbers, and columns of our own codes what programs know."""
    columns = zip(table.column_names, table.columns, strict=True)
    cells = [column if name in codes else safe_column(column) for name, column in columns]
    safe = pa.Table.from_arrays(cells, [safe_cell(name) for name in table.column_names])
    for start in range(0, max(safe.num_rows, 1), ROWS_AT_ONCE):
        out = io.BytesIO()
        pa_csv.write_csv(safe.slice(start, ROWS_AT_ONCE), out, pa_csv.WriteOptions(include_header=start == 0))
        yield out.getvalue()


def safe_column(values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Texts that no spreadsheet takes for a formula; numbers, times and flags as they are."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_primitive(values.type) or pa.types.is_null(values.type) or pa.types.is_decimal(values.type):
        return values
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return pa.array([None if one is None else safe_cell(str(one)) for one in values.to_pylist()], pa.string())
    encoded = pa.concat_arrays(values.chunks).dictionary_encode() if values.num_chunks else values
    if not isinstance(encoded, pa.DictionaryArray):
        return values
    safe = pa.array([safe_cell(one) for one in encoded.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(encoded.indices, safe).cast(pa.string())
