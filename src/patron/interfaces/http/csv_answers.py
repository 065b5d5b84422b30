"""Lists as CSV files."""

import csv
import io
from collections.abc import Iterable

from fastapi.responses import Response

BYTE_ORDER_MARK = "\ufeff"
"""By it spreadsheets know that the file is in UTF-8."""


def csv_answer(rows: Iterable[tuple[str, ...]], name: str) -> Response:
    """A CSV file to download; its cells must be safe for spreadsheets already."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(f"{BYTE_ORDER_MARK}{text.getvalue()}", media_type="text/csv; charset=utf-8", headers=headers)
