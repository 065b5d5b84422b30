"""Lists as CSV files."""

from collections.abc import Iterable

from fastapi.responses import Response

from patron.storage.safe_csv import csv_text

BYTE_ORDER_MARK = "\ufeff"
"""By it spreadsheets know that the file is in UTF-8."""


def csv_answer(rows: Iterable[tuple[str, ...]], name: str) -> Response:
    """A CSV file to download, safe for spreadsheets."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(f"{BYTE_ORDER_MARK}{csv_text(rows)}", media_type="text/csv; charset=utf-8", headers=headers)
