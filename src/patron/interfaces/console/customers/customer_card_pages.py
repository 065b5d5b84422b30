"""One customer: who they are, what they are worth and why they may leave, and what staff do about it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.customers.customer_index import NUMBERS, index_at_last_run
from patron.answers.customers.customer_marks import Reader, customer_work, list_staff, list_tags
from patron.answers.customers.customer_profile import CustomerFacts, CustomerForecasts, CustomerSummary
from patron.answers.customers.customer_timeline import KINDS, customer_timeline
from patron.answers.customers.list_access import ListAccess
from patron.commands.customers.customer_work import (
    OUTCOMES,
    SNOOZE_REASONS,
    delete_note,
    record_texts_revealed,
    write_note,
)
from patron.interfaces.charts import churn_charts, revenue_charts
from patron.interfaces.console.customers.customer_actions import SNOOZE_DAYS, carry_out, with_done
from patron.interfaces.console.customers.customer_options import OPTIONS
from patron.interfaces.console.customers.customer_pages import done_of, names_of
from patron.interfaces.console.customers.portrait_texts import portrait_sentences
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, form_of, needs
from patron.interfaces.http.access.customer_scope import require_visible, rows_of, visible_of
from patron.interfaces.http.customers.customer_view import (
    NewCustomer,
    customer_facts_now,
    customer_forecasts_now,
    customer_summary_now,
)
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import MAX_PAGE
from patron.storage.customers.task_policy import PLAYBOOKS

router = APIRouter(route_class=GuardedRoute)
VIEWS = ("", "forecasts", "timeline", "identity")
"""Parts of the page, each with an address: what matters, forecasts, everything that happened, ids."""
SUMMARY_ENTRIES = 6
"""Entries of the timeline on the first part."""
READERS = {"": customer_summary_now, "forecasts": customer_forecasts_now}
"""What a part reads about the customer; the others show facts only."""
DONE = ("note", "note_deleted", "task_closed")


@router.get("/customers/{customer_id}")
@needs(Action.READ, Area.CUSTOMERS)
def customer(request: Request, customer_id: str) -> Response:
    """One customer."""
    return show_customer(request, customer_id)


@router.post("/customers/{customer_id}/texts")
@needs(Action.REVEAL, Area.CUSTOMERS)
def texts(request: Request, customer_id: str) -> Response:
    """The customer with the notes and instructions of others, which the audit log records."""
    require_visible(request, [customer_id])
    record_texts_revealed(context_of(request), customer_id)
    answer = show_customer(request, customer_id, is_revealed=True)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.post("/customers/{customer_id}/act")
@needs(Action.ACT, Area.CUSTOMERS)
def act(request: Request, customer_id: str) -> Response:
    """Tag, assign, create a task, snooze: for this customer."""
    require_visible(request, [customer_id])
    done = carry_out(request, form_of(request), [customer_id], ListAccess(context_of(request)))
    return RedirectResponse(with_done(_path(customer_id), *done), 303)


@router.post("/customers/{customer_id}/notes")
@needs(Action.ACT, Area.CUSTOMERS)
def note(request: Request, customer_id: str) -> Response:
    """Write a note, or delete one."""
    require_visible(request, [customer_id])
    form = form_of(request)
    if note_id := form.get("delete"):
        delete_note(context_of(request), customer_id, note_id)
        return RedirectResponse(with_done(_path(customer_id), "note_deleted", 1), 303)
    write_note(context_of(request), customer_id, form.get("text", ""))
    return RedirectResponse(with_done(_path(customer_id), "note", 1), 303)


def show_customer(request: Request, customer_id: str, *, is_revealed: bool = False, **more: Any) -> Response:
    """The page of one customer. Raises NotFound for an id that nobody has, or whom the actor does not see."""
    require_visible(request, [customer_id])
    parameters = request.query_params
    console = request.app.state.console
    now = datetime.now(UTC)
    require_known(parameters, ("view", "kind", "page", "done", "unlink", "merge", *FRAME_PARAMETERS))
    shop = console.answers.shop
    view = more.pop("view", parameters.get("view", ""))
    view = view if view in VIEWS else ""
    card = READERS.get(view, customer_facts_now)(console.answers, customer_id, now=now)
    twin = f"/api{_path(customer_id)}"
    contacts = names_of(request, [customer_id]).get(customer_id)
    if isinstance(card, NewCustomer):
        return console.page(
            request, "customers/new_customer.html", here="customers", twin=twin, card=card, contacts=contacts, **more
        )
    facts = {
        "card": card,
        "contacts": contacts,
        "view": view,
        "work": customer_work(
            shop, customer_id, reader=Reader.from_actor(actor_of(request), is_revealed=is_revealed), now=now
        ),
        "staff": {one.user_id: one.name for one in list_staff(shop)},
        "tags": list_tags(shop, only=rows_of(visible_of(request))),
        "playbooks": PLAYBOOKS,
        "outcomes": OUTCOMES,
        "snooze_reasons": SNOOZE_REASONS,
        "done": done_of(request, *DONE),
        "now": now,
        "until": (now + timedelta(days=SNOOZE_DAYS)).date().isoformat(),
        "key_facts": _key_facts(request, customer_id),
        "is_revealed": is_revealed,
        **OPTIONS,
        **_of_view(request, console, card, view),
    }
    return console.page(
        request,
        "customers/customer.html",
        here="customers",
        twin=twin,
        fragments={"results": "customers/_customer_timeline.html"} if view == "timeline" else None,
        **{**facts, **more},
    )


def _key_facts(request: Request, customer_id: str) -> dict[str, Any]:
    """The numbers of the list and the watch list about this customer, from where these have them."""
    index = index_at_last_run(request.app.state.answers)
    positions = index.positions([customer_id])
    return index.row(int(positions[0])) if len(positions) else dict.fromkeys(NUMBERS)


def _of_view(request: Request, console: Console, card: CustomerFacts, view: str) -> dict[str, Any]:
    """What one part of the page shows, next to the card."""
    texts = console.words(request)
    formats, shop = console.formats(texts), console.answers.shop
    if isinstance(card, CustomerForecasts):
        stays = card.survival
        return {
            "chart": revenue_charts.spent_by_month(card.months, texts, formats),
            "survival_chart": churn_charts.survival_curve(stays, card.as_of, texts, formats)
            if stays and stays.points
            else None,
        }
    if view == "timeline":
        kind = request.query_params.get("kind", "")
        page = bounded_integer(request.query_params.get("page", ""), 1, MAX_PAGE) or 1
        return {
            "timeline": customer_timeline(shop, card.customer_id, kind=kind if kind in KINDS else "", page=page),  # pyright: ignore[reportArgumentType]
            "kinds": KINDS,
        }
    if isinstance(card, CustomerSummary):
        return {"sentences": list(portrait_sentences(card, texts, formats)), "summary_entries": SUMMARY_ENTRIES}
    return {}


def _path(customer_id: str) -> str:
    return f"/customers/{quote(customer_id, safe='')}"


def _shop(request: Request) -> Any:
    return request.app.state.answers.shop
