"""Any list as a CSV file: by the right to export its area, recorded in the audit log, safe for spreadsheets."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any

import pyarrow as pa
from fastapi import Request
from fastapi.responses import Response

from patron.commands.access.record_list_export import record_list_export
from patron.interfaces.http.access.access_control import actor_of, context_of
from patron.interfaces.http.csv_response import csv_response
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList

CENTS = "_cents"
SEPARATOR = ", "
"""Between the texts of a cell that holds several."""


def list_file(
    request: Request, name: ExportedList, rows: Sequence[Mapping[str, Any]], *, area: Area, columns: Sequence[str]
) -> Response:
    """Columns of rows as a file; cents are in units of the currency, under a name without the ending.

    Raises NotAllowed without the right to export the area.
    """
    actor_of(request).require(Right(Action.EXPORT, area))
    table = pa.table({column.removesuffix(CENTS): _column(column, [row[column] for row in rows]) for column in columns})
    record_list_export(context_of(request), name, row_count=len(rows), filters=request.query_params)
    return csv_response(table, name.replace(" ", "-"))


def fields_of(line: Any, *left_out: str) -> dict[str, Any]:
    """Fields of a frozen line of a list."""
    return {field.name: getattr(line, field.name) for field in fields(line) if field.name not in left_out}


def _column(name: str, values: list[Any]) -> pa.Array:
    plain = [_cell(value) for value in values]
    if name.endswith(CENTS):
        return pa.array([None if value is None else round(value) / 100 for value in plain], pa.float64())
    return pa.array(plain) if any(value is not None for value in plain) else pa.array(plain, pa.string())


def _cell(value: Any) -> Any:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    return SEPARATOR.join(str(_cell(one)) for one in value) if isinstance(value, tuple | list) else value
