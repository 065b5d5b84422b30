"""Cells of CSV files that spreadsheets open: text, and never a formula."""

import re

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet compute a cell instead of showing it."""
TELEPHONE = re.compile(r"\+\d{6,15}")
"""A telephone number as an id: a spreadsheet computes nothing from it, and a mail system needs it as it is."""


def safe_cell(value: str) -> str:
    """Text that no spreadsheet runs: an apostrophe goes before a first character that starts a formula."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) and not TELEPHONE.fullmatch(value) else value
