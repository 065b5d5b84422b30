"""Lines that people paste into a form: cells by comma, semicolon or tab; a first line of names is left out."""

import csv
import io
from collections.abc import Sequence


def pasted_lines(text: str, header: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Number and cells of each line that is not empty; numbers count lines that are not empty."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    separator = next((one for one in ("\t", ";") if lines and one in lines[0]), ",")
    parts = [
        [cell.strip() for cell in cells] for cells in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator)
    ]
    is_header = bool(parts) and [cell.lower() for cell in parts[0]] == list(header)
    return list(enumerate(parts, 1))[is_header:]
