"""The watch list: who is at risk, why, what is at stake, who looks after them, and what is done about it."""

from typing import Any, cast
from urllib.parse import urlencode

import pyarrow as pa
from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.answers.customers.customer_list import NOBODY
from patron.answers.customers.customer_marks import list_staff
from patron.answers.customers.watch_list import watch_list_history
from patron.answers.customers.watch_list_page import SHOWN, Show, WatchListPage, show_watch_list
from patron.commands.access.record_list_export import record_list_export
from patron.commands.customers.customer_work import SNOOZE_REASONS
from patron.interfaces.console.customers.customer_pages import done_of, names_of
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, needs
from patron.interfaces.http.access.customer_scope import is_restricted
from patron.interfaces.http.csv_response import csv_response
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.schema.list_pages import MAX_PAGE
from patron.storage.runs.last_run import last_run

router = APIRouter(route_class=GuardedRoute)
WATCH_PARAMETERS = ("owner", "show", "page")
EVERYBODY = 1_000_000


@router.get("/watch-list")
@needs(Action.READ, Area.CUSTOMERS)
def watch_list(request: Request) -> Response:
    """The watch list, or its file."""
    require_known(request.query_params, (*WATCH_PARAMETERS, "format", "done", *FRAME_PARAMETERS))
    if request.query_params.get("format") == "csv":
        return _file(request)
    console: Console = request.app.state.console
    shop = console.answers.shop
    page = _watch_list(request)
    ids = [row.customer.customer_id for row in page.rows]
    values = {
        name: text for name in WATCH_PARAMETERS if (text := request.query_params.get(name, "")) and name != "page"
    }
    view = last_run(shop)
    return console.page(
        request,
        "customers/watch_list.html",
        here="watch_list",
        twin=_address("/api/watch-list", values, page.page),
        fragments={"results": "customers/_watch_rows.html"},
        watch=page,
        values=values,
        back=_address("/watch-list", values, page.page),
        previous=_address("/watch-list", values, page.page - 1) if page.page > 1 else "",
        next=_address("/watch-list", values, page.page + 1) if page.page < page.page_count else "",
        csv=_address("/watch-list", {**values, "format": "csv"}, 1),
        contacts=names_of(request, ids),
        staff={one.user_id: one.name for one in list_staff(shop)},
        nobody=NOBODY,
        snooze_reasons=SNOOZE_REASONS,
        # why: it counts everybody, of whom a restricted team learns nothing
        history=()
        if is_restricted(request)
        else console.answers.cached("watch list history", lambda: watch_list_history(view)),
        done=done_of(request),
    )


def _file(request: Request) -> Response:
    """Everybody on the list with reasons as codes, as CSV. Raises NotAllowed without the right to export."""
    actor_of(request).require(Right(Action.EXPORT, Area.CUSTOMERS))
    shop, page = request.app.state.answers.shop, _watch_list(request, limit=EVERYBODY)
    record_list_export(context_of(request), ExportedList.WATCH_LIST, row_count=len(page.rows))
    names = {one.user_id: one.name for one in list_staff(shop)}
    rows: list[dict[str, Any]] = [
        {
            "customer_id": row.customer.customer_id,
            "value_at_risk": round(row.customer.value_at_risk_cents) / 100,
            "churn_probability": row.customer.churn_probability,
            "usual_spend": round(row.customer.usual_cents) / 100,
            "last_order": row.customer.last_order_at,
            "reasons": " | ".join(reason.code for reason in row.customer.churn_reasons or ()),
            "owner": names.get(row.marks.owner, ""),
            "open_tasks": row.marks.open_task_count,
            "snoozed_until": row.snoozed_until,
        }
        for row in page.rows
    ]
    table = pa.Table.from_pylist(rows) if rows else pa.table({"customer_id": pa.array([], pa.string())})
    return csv_response(table, "watch-list")


def _watch_list(request: Request, limit: int | None = None) -> WatchListPage:
    """The page that an address names; a parameter that is not valid is as usual."""
    parameters = request.query_params
    show = cast("Show", parameters.get("show")) if parameters.get("show") in SHOWN else SHOWN[0]
    page = bounded_integer(parameters.get("page", ""), 1, MAX_PAGE) or 1
    return show_watch_list(context_of(request), parameters.get("owner", "")[:64], show, page, limit=limit)


def _address(path: str, values: dict[str, str], page: int) -> str:
    parameters = urlencode({**values, **({"page": str(page)} if page > 1 else {})})
    return f"{path}?{parameters}" if parameters else path
