"""A page of the watch list: who is at risk at the last run and not snoozed, and what staff do about them."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field

from patron.answers.customers.customer_list import CustomerQuery, match_customers
from patron.answers.customers.customer_marks import Marks, held_out_customers, marks_of
from patron.answers.customers.list_access import ListAccess
from patron.answers.customers.task_results import task_outcomes
from patron.answers.customers.watch_list import CustomerAtRisk, snoozed_customers, watched_customers
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.customers.customer_rights import READ_CUSTOMERS
from patron.schema.list_pages import Cursor, CursorText, Limit, PageNumber
from patron.storage.runs.last_run import last_run

PAGE_SIZE = 25
Owner = Annotated[str, Field(max_length=64, description="User id, or nobody.")]
Show = Literal["watched", "snoozed", "all"]
SHOWN: tuple[Show, ...] = get_args(Show)


@dataclass(frozen=True)
class WatchedRow:
    """One customer of the list with what staff do about them."""

    customer: CustomerAtRisk
    marks: Marks
    snoozed_until: datetime | None
    snooze_reason: str
    held_out_until: datetime | None
    """Until when bulk actions create no task, to measure what tasks change; None: they do."""


@dataclass(frozen=True)
class WatchListPage:
    """One page of the list."""

    run_id: str
    as_of: datetime
    owner: str
    """User id, `nobody`, or empty for all."""
    show: str
    """watched, snoozed for those who are kept off it, or all, which the count of a run means."""
    page: int
    page_count: int
    total_count: int
    value_at_risk_cents: float | None
    """Of everybody listed, on all pages."""
    all_count: int
    """On the list, snoozed or not."""
    snoozed_count: int
    outcomes: dict[str, int]
    """Tasks by what became of them; '' are open ones."""
    rows: tuple[WatchedRow, ...]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


@operation(READ_CUSTOMERS, "GET /api/watch-list")
def show_watch_list(
    context: RequestContext,
    owner: Owner = "",
    show: Show = "watched",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
) -> WatchListPage:
    """Customers at risk of leaving with value to lose, the most first, and what staff do about them."""
    shop, page_size = context.shop, limit or PAGE_SIZE
    access = ListAccess(context)
    index = access.index
    query = CustomerQuery(is_at_risk=True, sort="value_at_risk", owner=owner)
    matching = match_customers(shop, query, index=index, among=access.among)
    snoozed = snoozed_customers(shop, now=context.now)
    is_snoozed = index.mask(index.positions(snoozed))
    chosen = {"watched": ~is_snoozed, "snoozed": is_snoozed, "all": np.ones(len(index), bool)}[show]
    listed = replace(matching, mask=matching.mask & chosen, positions=matching.positions[chosen[matching.positions]])
    count = len(listed.positions)
    page_count = max(1, -(-count // page_size))
    start = (min(page, page_count) - 1) * page_size
    if cursor:
        (last,) = Cursor.in_run(cursor, index.run_id, str).place
        start = listed.count_until(replace(query, after=last))
    ids = list(replace(listed, positions=listed.positions[start : start + page_size]).customer_ids(page_size))
    view, marks = last_run(shop), marks_of(shop, ids)
    rows = (
        watched_customers(view, ids)
        if len(ids) > PAGE_SIZE
        else context.cache.cached_per_customer(("watched", *ids), lambda: watched_customers(last_run(shop), ids))
    )
    customers = {row.customer_id: row for row in rows}
    nothing, held_out = (None, ""), held_out_customers(shop, ids, now=context.now)
    return WatchListPage(
        view.run.run_id,
        view.run.as_of,
        owner=query.owner,
        show=show,
        page=start // page_size + 1,
        page_count=page_count,
        total_count=count,
        value_at_risk_cents=index.total("value_at_risk_cents", listed.mask),
        all_count=len(matching.positions),
        snoozed_count=int((matching.mask & is_snoozed).sum()),
        outcomes=task_outcomes(shop, among=context.visible),
        rows=tuple(
            WatchedRow(
                customers[identifier],
                marks.get(identifier, Marks()),
                *snoozed.get(identifier, nothing),
                held_out.get(identifier),
            )
            for identifier in ids
            if identifier in customers
        ),
        next_cursor=str(Cursor(index.run_id, (ids[-1],))) if start + page_size < count else None,
    )
