"""Customers for programs: the list, one customer, what staff do about them, and the watch list."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel

from patron.answers.customers.customer_list import PAGE_SIZE, CustomerPage, find_customers
from patron.answers.customers.customer_marks import CustomerWork, customer_work
from patron.answers.customers.customer_profile import CustomerCard
from patron.answers.customers.customer_timeline import TIMELINE_LENGTH, Kind, TimelinePage, timeline_page
from patron.answers.customers.identity_preview import (
    IdentityPreview,
    LinkedIdentity,
    linked_identities,
    preview_merge,
    preview_unlink,
)
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.access.customer_scope import require_visible
from patron.interfaces.http.access.list_access import ListAccess, reader_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.customers.customer_filters import CustomerFilters
from patron.interfaces.http.customers.customer_view import NewCustomer, customer_now
from patron.interfaces.http.customers.watch_list_view import PAGE_SIZE as WATCHED_PER_PAGE
from patron.interfaces.http.customers.watch_list_view import WatchListPage, watch_list_page
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import MAX_LIMIT, Cursor, CursorText, Limit, PageNumber, not_of_this_list
from patron.storage.runs.last_run import last_run

router = APIRouter(
    prefix="/api", tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)
CustomerId = Annotated[str, Path(max_length=200, description="Patron's opaque id of the customer.")]
Token = Annotated[str, Query(max_length=200)]


class CustomerIdentity(BaseModel):
    """The ids of a customer, and what a correction would do."""

    customer_id: str
    identities: tuple[LinkedIdentity, ...]
    preview: IdentityPreview | None


class CustomerListQuery(CustomerFilters):
    """Filters of the list, and where a page of it begins."""

    cursor: CursorText = ""
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page.")] = PAGE_SIZE


@dataclass(frozen=True)
class CustomerCursorPage(CustomerPage):
    """One page of the list, and where the next one begins."""

    next_cursor: str | None
    """Null after the last page."""


@dataclass(frozen=True)
class TimelineCursorPage(TimelinePage):
    """One page of a timeline, and where the next one begins."""

    next_cursor: str | None
    """Null after the last page."""


@router.get("/customers")
@needs(Action.READ, Area.CUSTOMERS)
def customers(request: Request, filters: Annotated[CustomerListQuery, Query()]) -> CustomerCursorPage:
    """Customers of the last run, searched, filtered, sorted and paged; a cursor holds in its run only."""
    access = ListAccess(request)
    shop = access.answers.shop
    query = replace(filters.query(shop.settings.shop.time_zone), page_size=filters.limit)
    if filters.cursor:
        (last,) = Cursor.in_run(filters.cursor, access.index.run_id, str).place
        query = replace(query, after=last)
    page = find_customers(shop, query, index=access.index, among=access.among, bought=access.bought)
    has_more = bool(page.rows) and page.query.page < page.page_count
    following = str(Cursor(page.run_id, (page.rows[-1].customer_id,))) if has_more else None
    return CustomerCursorPage(**vars(page), next_cursor=following)


@router.get("/customers/{customer_id}")
@needs(Action.READ, Area.CUSTOMERS)
def customer(request: Request, customer_id: CustomerId) -> CustomerCard | NewCustomer:
    """One customer: everything the last run knows, and `live` what they are doing; only that for a new one."""
    require_visible(request, [customer_id])
    return customer_now(answers_of(request), customer_id, now=datetime.now(UTC))


@router.get("/customers/{customer_id}/timeline")
@needs(Action.READ, Area.CUSTOMERS)
def timeline(
    request: Request,
    customer_id: CustomerId,
    kind: Kind = "",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
) -> TimelineCursorPage:
    """What happened with a customer, the latest first: orders with their lines, messages, offers and visits."""
    require_visible(request, [customer_id])
    view, size, start = last_run(answers_of(request).shop), limit or TIMELINE_LENGTH, None
    if cursor:
        of, start = Cursor.in_run(cursor, view.run.run_id, str, int).place
        if of != kind or start < 0:
            raise not_of_this_list()
    listed = timeline_page(view, customer_id, kind=kind, page=page, size=size, start=start)
    # why: what a run knows of a customer stays as it is, so that a count is a place in it
    end = len(listed.entries) + ((listed.page - 1) * size if start is None else start)
    following = str(Cursor(view.run.run_id, (kind, end))) if end < listed.total_count else None
    return TimelineCursorPage(**vars(listed), next_cursor=following)


@router.get("/customers/{customer_id}/work")
@needs(Action.READ, Area.CUSTOMERS)
def work(request: Request, customer_id: CustomerId) -> CustomerWork:
    """Tags, owner, notes, tasks and snooze; texts of others are left out."""
    require_visible(request, [customer_id])
    shop = answers_of(request).shop
    return customer_work(shop, customer_id, reader=reader_of(request), now=datetime.now(UTC))


@router.get("/customers/{customer_id}/identity")
@needs(Action.READ, Area.CUSTOMERS)
def identity(request: Request, customer_id: CustomerId, unlink: Token = "", merge: Token = "") -> CustomerIdentity:
    """The ids of a customer; with `unlink` (a token) or `merge` (another customer), what that would do."""
    require_visible(request, [customer_id])
    access, preview = ListAccess(request), None
    shop = access.answers.shop
    if merge:
        require_visible(request, [merge])
        preview = preview_merge(shop, customer_id, merge, index=access.index)
    elif unlink:
        preview = preview_unlink(shop, customer_id, unlink, index=access.index)
    return CustomerIdentity(customer_id=customer_id, identities=linked_identities(shop, customer_id), preview=preview)


@router.get("/watch-list")
@needs(Action.READ, Area.CUSTOMERS)
def watch_list(
    request: Request,
    owner: Annotated[str, Query(max_length=64, description="User id, or nobody.")] = "",  # noqa: ARG001 - read from the address
    show: Literal["watched", "snoozed"] = "watched",  # noqa: ARG001 - as above
    page: PageNumber = 1,  # noqa: ARG001 - as above
    cursor: CursorText = "",
    limit: Limit = None,
) -> WatchListPage:
    """Customers at risk of leaving with value to lose, the most first, and what staff do about them."""
    return watch_list_page(request, now=datetime.now(UTC), page_size=limit or WATCHED_PER_PAGE, cursor=cursor)
