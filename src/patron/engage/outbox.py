"""The outbox: one folder a run, one CSV file a kind, whole or not there; a rerun replaces its own files."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.safe_csv import safe_cell


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a UTF-8 CSV file durably and atomically, readable by its owner only. Raises NoSpace on a full disk."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    make_private_folder(path.parent)
    write_durably(path, text.getvalue().encode())
