"""Tasks for a page or the API, of the customers whom the reader sees."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from patron.answers.customers.task_list import PAGE_SIZE, TaskPage, View, list_tasks, place_of
from patron.answers.customers.task_results import By, TaskResults, task_results
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.access.list_access import reader_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.schema.list_pages import MAX_PAGE, Cursor


@dataclass(frozen=True)
class TaskCursorPage(TaskPage):
    """A page of tasks, and where the next one begins."""

    next_cursor: str | None
    """Null after the last page."""


def task_page(
    request: Request, view: View, *, now: datetime, size: int = PAGE_SIZE, cursor: str = ""
) -> TaskCursorPage:
    """Page of a view, as the address numbers it or from a cursor on. Raises BadQuery."""
    page = bounded_integer(request.query_params.get("page", ""), 1, MAX_PAGE) or 1
    shop = request.app.state.answers.shop
    after = Cursor.in_list(cursor, f"tasks {view}", int, int, int, int, str).place if cursor else None
    listed = list_tasks(
        shop, view, reader=reader_of(request), now=now, page=page, size=size, after=after, among=_among(request)
    )
    following = str(Cursor(f"tasks {view}", place_of(view, listed.tasks[-1]))) if listed.has_more else None
    return TaskCursorPage(**vars(listed), next_cursor=following)


def results_of(request: Request, by: By, *, now: datetime) -> TaskResults:
    """What became of tasks."""
    return task_results(request.app.state.answers.shop, by, now=now, among=_among(request))


def _among(request: Request) -> frozenset[str] | None:
    visible = visible_of(request)
    return None if visible is None else frozenset(visible.rows["customer_id"].to_pylist())
