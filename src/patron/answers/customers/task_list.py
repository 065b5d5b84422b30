"""Tasks of staff: whose, until when, and what became of them."""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa

from patron.answers.customers.customer_index import microseconds
from patron.answers.customers.customer_marks import Reader, Task, task_of
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.common_sentences import IT_IS_ONE_OF, NOT_A_VALUE
from patron.schema.customers.customer_rights import READ_CUSTOMERS
from patron.schema.errors import BadQuery
from patron.schema.list_pages import Cursor, CursorText, Limit, PageNumber
from patron.storage.customers.customer_tables import TASKS
from patron.storage.models.model_decisions import utc
from patron.storage.shop import Shop

View = Literal["mine", "open", "overdue", "closed"]
VIEWS: tuple[View, ...] = get_args(View)
PAGE_SIZE = 25
MAX_EXPORTED = 100_000
"""Tasks that a file has at most."""
MAX_NAMED = 500
"""Tasks that one query names."""


Place = tuple[int, int, int, int, str]
"""Where a task is in the order of a view: what is due first, or was closed last, comes first."""


@dataclass(frozen=True)
class TaskPage:
    """One page of tasks."""

    view: View
    page: int
    page_count: int
    total_count: int
    tasks: tuple[Task, ...]
    counts: dict[str, int]
    """Tasks of each view."""
    outcomes: dict[str, int]
    """Closed tasks by their outcome."""
    has_more: bool
    """Whether tasks follow after these."""


@dataclass(frozen=True)
class TaskCursorPage(TaskPage):
    """A page of tasks, and where the next one begins."""

    next_cursor: str | None
    """Null after the last page."""


def list_tasks(  # noqa: PLR0913 - what a page of a list consists of
    shop: Shop,
    view: View = "open",
    *,
    reader: Reader,
    now: datetime,
    page: int = 1,
    size: int = PAGE_SIZE,
    after: Place | None = None,
    among: frozenset[str] | None = None,
) -> TaskPage:
    """Tasks of a view, those that are due first; `among` restricts to customers. Raises BadQuery.

    `after` is the place of the last task of the page before, instead of a page.
    """
    if view not in VIEWS:
        raise BadQuery(NOT_A_VALUE(value=view), where="view", todo=IT_IS_ONE_OF(choices=", ".join(VIEWS)))
    with shop.store.begin() as connection:
        places = {name: _places(connection, name, reader, now, among) for name in VIEWS}
        chosen = sorted(places[view])
        page_count = max(1, -(-len(chosen) // size))
        start = bisect_right(chosen, after) if after else (min(max(page, 1), page_count) - 1) * size
        of_page = [task_id for *_, task_id in chosen[start : start + size]]
        rows = {
            row["task_id"]: row
            for start in range(0, len(of_page), MAX_NAMED)
            for row in connection.execute(
                sa.select(TASKS).where(TASKS.c.task_id.in_(of_page[start : start + MAX_NAMED]))
            ).mappings()
        }
        done = sa.select(TASKS.c.outcome, TASKS.c.customer_id).where(TASKS.c.state == "done", ~TASKS.c.is_holdout)
        outcomes = Counter(
            row.outcome
            for row in connection.execute(done.order_by(TASKS.c.outcome))
            if among is None or row.customer_id in among
        )
    tasks = tuple(task_of(shop, rows[one], reader) for one in of_page)
    counts = {name: len(of_view) for name, of_view in places.items()}
    has_more = start + size < len(chosen)
    return TaskPage(
        view,
        start // size + 1,
        page_count=page_count,
        total_count=len(chosen),
        tasks=tasks,
        counts=counts,
        outcomes=dict(outcomes),
        has_more=has_more,
    )


@operation(READ_CUSTOMERS, "GET /api/tasks")
def show_tasks(
    context: RequestContext, view: View = "open", page: PageNumber = 1, cursor: CursorText = "", limit: Limit = None
) -> TaskCursorPage:
    """Tasks of staff, what is due first; texts of others are left out."""
    visible, name = context.visible, f"tasks {view}"
    listed = list_tasks(
        context.shop,
        view,
        reader=Reader.from_actor(context.actor),
        now=context.now,
        page=page,
        size=limit or PAGE_SIZE,
        after=Cursor.in_list(cursor, name, int, int, int, int, str).place if cursor else None,
        among=None if visible is None else visible.ids,
    )
    following = str(Cursor(name, place_of(view, listed.tasks[-1]))) if listed.has_more else None
    return TaskCursorPage(**vars(listed), next_cursor=following)


def place_of(view: View, task: Task | sa.Row[*tuple[Any, ...]]) -> Place:
    """Where a task is in the order of a view."""
    if view == "closed":
        return (0, -_microseconds(task.closed_at), 0, 0, task.task_id)
    value = task.value_at_risk_cents
    return (int(task.due_at is None), _microseconds(task.due_at), int(value is None), -(value or 0), task.task_id)


def _microseconds(at: datetime | None) -> int:
    return 0 if at is None else int(microseconds(utc(at)))


def _places(
    connection: sa.Connection, view: View, reader: Reader, now: datetime, among: frozenset[str] | None
) -> list[Place]:
    """Places of the tasks of a view: what is due first and loses most, and of closed ones the newest."""
    wheres = {
        "mine": (TASKS.c.state == "open", TASKS.c.owner == reader.user_id, TASKS.c.owner != ""),
        "open": (TASKS.c.state == "open",),
        "overdue": (TASKS.c.state == "open", TASKS.c.due_at < now),
        "closed": (TASKS.c.state != "open",),
    }
    columns = (TASKS.c.task_id, TASKS.c.customer_id, TASKS.c.due_at, TASKS.c.closed_at, TASKS.c.value_at_risk_cents)
    rows = connection.execute(sa.select(*columns).where(~TASKS.c.is_holdout, *wheres[view]))
    return [place_of(view, row) for row in rows if among is None or row.customer_id in among]
