"""CSV files that spreadsheets open: whole or not there, and text, never a formula."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from patron.storage.durable_files import make_private_folder, write_durably

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet compute a cell instead of showing it."""
TELEPHONE = re.compile(r"\+\d{6,15}")
"""A telephone number as an id: a spreadsheet computes nothing from it, and a mail system needs it as it is."""


def safe_cell(value: str) -> str:
    """Text that no spreadsheet runs: an apostrophe goes before a first character that starts a formula."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) and not TELEPHONE.fullmatch(value) else value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a UTF-8 CSV file durably and atomically, readable by its owner only. Raises NoSpace on a full disk."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    make_private_folder(path.parent)
    write_durably(path, text.getvalue().encode())
