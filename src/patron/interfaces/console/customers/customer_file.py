"""The customer list as a file: who is listed, with the columns that are shown."""

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Request
from fastapi.responses import Response

from patron.answers.customers.customer_filters import CustomerFilters
from patron.answers.customers.customer_list import COLUMNS, customer_table
from patron.answers.customers.customer_marks import Marks, list_staff, marks_of
from patron.answers.customers.list_access import ListAccess
from patron.commands.access.record_list_export import record_list_export
from patron.interfaces.http.access.access_control import actor_of, context_of
from patron.interfaces.http.csv_response import csv_response
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.storage.shop import Shop

MONEY_COLUMNS = frozenset({"value", "value_at_risk", "paid"})


def customer_file(request: Request, filters: CustomerFilters) -> Response:
    """Everybody of the list with the columns shown, as CSV. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.CUSTOMERS))
    shop, access = request.app.state.answers.shop, ListAccess(context_of(request))
    query = filters.query(shop.settings.shop.time_zone)
    table = customer_table(shop, query, index=access.index, among=access.among, bought=access.bought)
    names = filters.filter_values()
    record_list_export(context_of(request), ExportedList.CUSTOMERS, row_count=table.num_rows, filters=names)
    shown = filters.shown_columns
    columns = {"customer_id": table["customer_id"]}
    columns |= {code: _written(code, table) for code in shown if code in COLUMNS}
    columns |= _marks(shop, table["customer_id"].to_pylist(), shown) if {"tags", "owner"} & set(shown) else {}
    return csv_response(pa.table(columns), "customers")


def _written(code: str, table: pa.Table) -> pa.ChunkedArray:
    """A column of the file; money in units of the currency."""
    values = table[COLUMNS[code]]
    if code in MONEY_COLUMNS:
        return pc.divide(pc.round(values.cast(pa.float64())), 100.0)
    return values.cast(pa.int64()) if code == "orders" else values


def _marks(shop: Shop, ids: list[str], shown: tuple[str, ...]) -> dict[str, pa.Array]:
    marks, names = marks_of(shop, ids), {one.user_id: one.name for one in list_staff(shop)}
    each = [marks.get(identifier, Marks()) for identifier in ids]
    columns = {
        "tags": pa.array([" | ".join(one.tags) for one in each], pa.string()),
        "owner": pa.array([names.get(one.owner, "") for one in each], pa.string()),
    }
    return {name: column for name, column in columns.items() if name in shown}
