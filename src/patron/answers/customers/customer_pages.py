"""Pages of customers for programs: the list and a timeline, with a cursor, and the ids of a customer."""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from patron.answers.customers.customer_filters import CustomerListQuery
from patron.answers.customers.customer_list import CustomerPage, find_customers
from patron.answers.customers.customer_timeline import TIMELINE_LENGTH, Kind, TimelinePage, timeline_page
from patron.answers.customers.identity_preview import (
    IdentityPreview,
    LinkedIdentity,
    linked_identities,
    preview_merge,
    preview_unlink,
)
from patron.answers.customers.list_access import ListAccess
from patron.govern.access.customer_scope import refuse_hidden
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.customers.customer_rights import READ_CUSTOMERS, CustomerId
from patron.schema.list_pages import Cursor, CursorText, Limit, PageNumber, not_of_this_list
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

Token = Annotated[str, Field(max_length=200)]


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


@dataclass(frozen=True)
class CustomerIdentity:
    """The ids of a customer, and what a correction would do."""

    customer_id: str
    identities: tuple[LinkedIdentity, ...]
    preview: IdentityPreview | None


@operation(READ_CUSTOMERS, "GET /api/customers")
def list_customers(context: RequestContext, filters: CustomerListQuery) -> CustomerCursorPage:
    """Customers of the last run, searched, filtered, sorted and paged; a cursor holds in its run only."""
    access, shop = ListAccess(context), context.shop
    query = replace(filters.query(shop.settings.shop.time_zone), page_size=filters.limit)
    if filters.cursor:
        (last,) = Cursor.in_run(filters.cursor, access.index.run_id, str).place
        query = replace(query, after=last)
    page = find_customers(shop, query, index=access.index, among=access.among, bought=access.bought)
    has_more = bool(page.rows) and page.query.page < page.page_count
    following = str(Cursor(page.run_id, (page.rows[-1].customer_id,))) if has_more else None
    return CustomerCursorPage(**vars(page), next_cursor=following)


@operation(READ_CUSTOMERS, "GET /api/customers/{customer_id}/timeline")
def list_timeline(
    shop: Shop,
    customer_id: CustomerId,
    kind: Kind = "",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
) -> TimelineCursorPage:
    """What happened with a customer, the latest first: orders with their lines, messages, offers and visits."""
    view = last_run(shop)
    size = limit or TIMELINE_LENGTH
    start = None
    if cursor:
        of, start = Cursor.in_run(cursor, view.run.run_id, str, int).place
        if of != kind or start < 0:
            raise not_of_this_list()
    listed = timeline_page(view, customer_id, kind=kind, page=page, size=size, start=start)
    # why: what a run knows of a customer stays as it is, so that a count is a place in it
    end = len(listed.entries) + ((listed.page - 1) * size if start is None else start)
    following = str(Cursor(view.run.run_id, (kind, end))) if end < listed.total_count else None
    return TimelineCursorPage(**vars(listed), next_cursor=following)


@operation(READ_CUSTOMERS, "GET /api/customers/{customer_id}/identity")
def show_identity(
    context: RequestContext, customer_id: CustomerId, unlink: Token = "", merge: Token = ""
) -> CustomerIdentity:
    """The ids of a customer; with `unlink` (a token) or `merge` (another customer), what that would do."""
    index = ListAccess(context).index
    preview = None
    shop = context.shop
    if merge:
        refuse_hidden(context.visible, [merge])
        preview = preview_merge(shop, customer_id, merge, index=index)
    elif unlink:
        preview = preview_unlink(shop, customer_id, unlink, index=index)
    return CustomerIdentity(customer_id, linked_identities(shop, customer_id), preview)
