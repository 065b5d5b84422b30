"""Tasks of staff: mine, all, overdue and closed; done with what became of them."""

from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.customers.customer_marks import Reader, find_task, list_staff
from patron.answers.customers.task_list import MAX_EXPORTED, VIEWS, View, show_tasks
from patron.commands.customers.customer_work import OUTCOMES, assign_tasks, close_task
from patron.interfaces.console.customers.customer_options import OPTIONS
from patron.interfaces.console.customers.customer_pages import done_of, names_of
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, form_of, needs
from patron.interfaces.http.access.customer_scope import require_visible
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.list_pages import MAX_PAGE
from patron.storage.runs.last_run import last_run

router = APIRouter(route_class=GuardedRoute)
DONE = ("task_closed", "tasks_assigned")
FILE_COLUMNS = (
    "task_id",
    "customer_id",
    "playbook",
    "owner",
    "state",
    "outcome",
    "value_at_risk_cents",
    "due_at",
    "created_at",
    "created_by",
    "closed_at",
    "closed_by",
)
"""What staff wrote is not in a file: it is encrypted, and erased with the customer."""


@router.get("/tasks")
@needs(Action.READ, Area.CUSTOMERS)
def tasks(request: Request) -> Response:
    """Tasks of one view."""
    parameters = request.query_params
    require_known(parameters, ("view", "page", "done", "format", *FRAME_PARAMETERS))
    console: Console = request.app.state.console
    shop, now = console.answers.shop, datetime.now(UTC)
    last_run(shop)  # why: before a run there is nobody to do anything for, and the page says what to do first
    reader = Reader.from_actor(actor_of(request))
    usual = "mine" if reader.user_id else "open"
    view = parameters.get("view", "") if parameters.get("view", "") in VIEWS else usual
    if parameters.get("format") == "csv":
        every = show_tasks(context_of(request), cast("View", view), limit=MAX_EXPORTED).tasks
        rows = [fields_of(one, "text") for one in every]
        return list_file(request, ExportedList.TASKS, rows, area=Area.CUSTOMERS, columns=FILE_COLUMNS)
    page = bounded_integer(parameters.get("page", ""), 1, MAX_PAGE) or 1
    listing = show_tasks(context_of(request), cast("View", view), page)
    return console.page(
        request,
        "customers/tasks.html",
        here="tasks",
        twin=f"/api/tasks?{urlencode({'view': view, 'page': listing.page})}",
        listing=listing,
        views=[one for one in VIEWS if one != "mine" or reader.user_id],
        contacts=names_of(request, list({task.customer_id for task in listing.tasks})),
        staff={one.user_id: one.name for one in list_staff(shop)},
        outcomes=OUTCOMES,
        done=done_of(request, *DONE),
        **OPTIONS,
        now=now,
        back=f"/tasks?{urlencode({'view': view})}",
        csv=f"/tasks?{urlencode({'view': view, 'format': 'csv'})}",
        links={
            "previous": f"/tasks?{urlencode({'view': view, 'page': listing.page - 1})}" if listing.page > 1 else "",
            "next": f"/tasks?{urlencode({'view': view, 'page': listing.page + 1})}"
            if listing.page < listing.page_count
            else "",
        },
    )


@router.post("/tasks")
@needs(Action.ACT, Area.CUSTOMERS)
def assign(request: Request) -> Response:
    """Give several tasks to somebody."""
    form, shop = form_of(request), request.app.state.answers.shop
    ids = [str(value) for value in request.state.form.getlist("id")]
    for task_id in ids:
        require_visible(request, [find_task(shop, task_id, reader=Reader.from_actor(actor_of(request))).customer_id])
    count = assign_tasks(context_of(request), ids, form.get("owner", ""))
    return RedirectResponse(_back(form, "tasks_assigned", count), 303)


@router.post("/tasks/{task_id}")
@needs(Action.ACT, Area.CUSTOMERS)
def finish(request: Request, task_id: str) -> Response:
    """Record what became of a task, or drop it."""
    form, shop = form_of(request), request.app.state.answers.shop
    require_visible(request, [find_task(shop, task_id, reader=Reader.from_actor(actor_of(request))).customer_id])
    close_task(context_of(request), task_id, form.get("outcome", ""), form.get("text", ""))
    return RedirectResponse(_back(form, "task_closed", 1), 303)


def _back(form: Any, code: str, count: int) -> str:
    """The view or the customer's page that the form was on, which says what was done."""
    if customer_id := form.get("customer"):
        return f"/customers/{quote(customer_id, safe='')}?done={code}-{count}"
    view = form.get("view", "")
    return f"/tasks?{urlencode({**({'view': view} if view in VIEWS else {}), 'done': f'{code}-{count}'})}"
