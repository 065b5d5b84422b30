"""Tasks of staff: whose, until when, and what became of them."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from patron.answers.customer_marks import Reader, Task, task_of
from patron.schema.errors import BadQuery
from patron.storage.console_tables import TASKS
from patron.storage.shop import Shop

View = Literal["mine", "open", "overdue", "closed"]
VIEWS: tuple[View, ...] = get_args(View)
PAGE_SIZE = 25
MOST_EXPORTED = 100_000
"""Tasks that a file has at most."""
MOST_NAMED = 500
"""Tasks that one query names."""


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


def list_tasks(  # noqa: PLR0913 - what a page of a list consists of
    shop: Shop,
    view: View = "open",
    *,
    reader: Reader,
    now: datetime,
    page: int = 1,
    size: int = PAGE_SIZE,
    among: frozenset[str] | None = None,
) -> TaskPage:
    """Tasks of a view, those that are due first; `among` restricts to customers. Raises BadQuery."""
    if view not in VIEWS:
        raise BadQuery(f"{view!r} is not a value of it", where="view", todo=f"It is one of {', '.join(VIEWS)}.")
    with shop.store.begin() as connection:
        ids = {name: _task_ids(connection, name, reader, now, among) for name in VIEWS}
        chosen = ids[view]
        page_count = max(1, -(-len(chosen) // size))
        page = min(max(page, 1), page_count)
        of_page = chosen[(page - 1) * size : page * size]
        rows = {
            row["task_id"]: row
            for start in range(0, len(of_page), MOST_NAMED)
            for row in connection.execute(
                sa.select(TASKS).where(TASKS.c.task_id.in_(of_page[start : start + MOST_NAMED]))
            ).mappings()
        }
        done = sa.select(TASKS.c.outcome, TASKS.c.customer_id).where(TASKS.c.state == "done", ~TASKS.c.is_holdout)
        outcomes = Counter(
            row.outcome
            for row in connection.execute(done.order_by(TASKS.c.outcome))
            if among is None or row.customer_id in among
        )
    tasks = tuple(task_of(shop, rows[one], reader) for one in of_page)
    counts = {name: len(of_view) for name, of_view in ids.items()}
    return TaskPage(view, page, page_count, len(chosen), tasks, counts, dict(outcomes))


def _task_ids(
    connection: sa.Connection, view: View, reader: Reader, now: datetime, among: frozenset[str] | None
) -> list[str]:
    """Ids of the tasks of a view in their order: what is due first, and of closed ones the newest."""
    wheres = {
        "mine": (TASKS.c.state == "open", TASKS.c.owner == reader.user_id, TASKS.c.owner != ""),
        "open": (TASKS.c.state == "open",),
        "overdue": (TASKS.c.state == "open", TASKS.c.due_at < now),
        "closed": (TASKS.c.state != "open",),
    }
    by_due = (TASKS.c.due_at.is_(None), TASKS.c.due_at, TASKS.c.value_at_risk_cents.desc(), TASKS.c.task_id)
    order = (TASKS.c.closed_at.desc(), TASKS.c.task_id) if view == "closed" else by_due
    query = sa.select(TASKS.c.task_id, TASKS.c.customer_id).where(~TASKS.c.is_holdout, *wheres[view]).order_by(*order)
    return [row.task_id for row in connection.execute(query) if among is None or row.customer_id in among]
