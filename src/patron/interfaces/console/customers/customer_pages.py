"""The customer list: filters and columns in its address, a search that leaves none, and its file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.customers.customer_filters import COLUMNS, PARAMETERS, CustomerFilters, read_filters
from patron.answers.customers.customer_list import DIRECTIONS, NOBODY, SORTS, CustomerPage, find_customers
from patron.answers.customers.customer_marks import Marks, list_staff, list_tags, marks_of
from patron.answers.customers.list_access import ListAccess
from patron.commands.customers.customer_contacts import masked_contacts
from patron.interfaces.console.customers.customer_file import MONEY_COLUMNS, customer_file
from patron.interfaces.console.customers.customer_options import OPTIONS
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.console.segments.segment_links import segment_link
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.service.customer_search import find_by_text

router = APIRouter(route_class=GuardedRoute)
MAX_MATCHES = 25
"""Customers that a search shows."""
SORT_OF_COLUMN = {column: column for column in COLUMNS if column in SORTS}
NUMBER_COLUMNS = frozenset(
    (*MONEY_COLUMNS, "churn_probability", "purchase_probability", "orders", "first_order", "last_order")
)
DONE = ("tagged", "untagged", "assigned", "tasks", "snoozed", "unsnoozed")
"""What an action did, which the page after it says."""


@router.get("/customers")
@needs(Action.READ, Area.CUSTOMERS)
def customers(request: Request) -> Response:
    """The customer list, or its file."""
    filters = filters_of(request)
    if request.query_params.get("format") == "csv":
        return customer_file(request, filters)
    return _list(request, filters)


@router.post("/customers/lookup")
@needs(Action.READ, Area.CUSTOMERS)
def lookup(request: Request) -> Response:
    """Open the customer whom a name, address, number or id names, or show those whom it may mean."""
    shop = request.app.state.answers.shop
    text = form_of(request).get("who", "").strip()
    matches = find_by_text(shop, text, visible=visible_of(request), limit=MAX_MATCHES + 1)
    if len(matches) == 1:
        return RedirectResponse(f"/customers/{quote(matches[0])}", 303)
    return _list(request, CustomerFilters(), matches=matches)


def filters_of(request: Request, *more: str) -> CustomerFilters:
    """Filters in an address; an invalid value filters nothing. Raises BadQuery for a parameter that is not known."""
    parameters = request.query_params
    require_known(parameters, (*PARAMETERS, *FRAME_PARAMETERS, "format", "column", "done", *more))
    return read_filters(parameters, parameters.getlist("column"))


def done_of(request: Request, *more: str) -> tuple[str, int, int, int] | None:
    """What the action before this page did, to how many; of tasks also who was held out, or is no candidate."""
    code, _, numbers = request.query_params.get("done", "").partition("-")
    counts = [*numbers.split("."), "0", "0"][:3]
    if code not in {*DONE, *more} or not all(
        count.isascii() and count.isdigit() and len(count) < 8 for count in counts
    ):
        return None
    return code, int(counts[0]), int(counts[1]), int(counts[2])


def names_of(request: Request, customer_ids: Sequence[str]) -> dict[str, Any]:
    """Masked names and contacts of customers, for the rows of a page."""
    return masked_contacts(request.app.state.answers.shop, customer_ids)


def _list(request: Request, filters: CustomerFilters, *, matches: tuple[str, ...] | None = None) -> Response:
    console: Console = request.app.state.console
    shop, access = console.answers.shop, ListAccess(context_of(request))
    among = access.among if matches is None else access.chosen(matches)
    query = filters.query(shop.settings.shop.time_zone)
    listing = find_customers(shop, query, index=access.index, among=among, bought=access.bought)
    if matches is not None:
        listing = replace(listing, page_count=1)
    shown = filters.model_copy(update={"page": listing.query.page})
    ids = [row.customer_id for row in listing.rows]
    facts = {
        "listing": listing,
        "filters": shown,
        "columns": _columns(shown),
        "sorts": SORTS,
        "directions": DIRECTIONS,
        "links": _links(shown, listing),
        "contacts": names_of(request, ids),
        "marks": marks_of(shop, ids),
        "no_marks": Marks(),
        "tags": list_tags(shop, only=rows_of(visible_of(request))),
        "staff": {one.user_id: one.name for one in list_staff(shop)},
        "nobody": NOBODY,
        "matches": matches,
        "new_matches": [match for match in matches or () if match not in set(ids)][:MAX_MATCHES],
        "segment_link": segment_link(query, listing.as_of, shop.settings.shop.time_zone),
        "done": done_of(request),
        "currency": shop.settings.shop.currency,
        **OPTIONS,
    }
    return console.page(
        request,
        "customers/customers.html",
        here="customers",
        twin=shown.address("/api/customers"),
        status=404 if matches == () else 200,
        fragments={"results": "_results.html"},
        **facts,
    )


def _columns(filters: CustomerFilters) -> list[dict[str, Any]]:
    """Columns of the table: code, whether they hold numbers, and the address that sorts by them."""
    columns = []
    for code in filters.shown_columns:
        sort = SORT_OF_COLUMN.get(code)
        is_sorted = filters.sort == sort
        turned = "ascending" if is_sorted and filters.direction == "descending" else "descending"
        columns.append(
            {
                "code": code,
                "is_number": code in NUMBER_COLUMNS,
                "href": filters.address(sort=sort, direction=turned, page=1) if sort else "",
                "sorted": filters.direction if is_sorted else "",
            }
        )
    return columns


def _links(filters: CustomerFilters, listing: CustomerPage) -> dict[str, Any]:
    page = listing.query.page
    return {
        "previous": filters.address(page=page - 1) if page > 1 else "",
        "next": filters.address(page=page + 1) if page < listing.page_count else "",
        "csv": filters.address(page=1) + ("&" if filters.values(page=1) else "?") + urlencode({"format": "csv"}),
        "without": {name: filters.address(page=1, **_empty_parameter(name)) for name in filters.filter_values()},
    }


def _empty_parameter(name: str) -> dict[str, Any]:
    return {name: CustomerFilters.model_fields[name].default}
