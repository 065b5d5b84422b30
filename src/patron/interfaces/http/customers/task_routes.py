"""Tasks of staff for programs: the list, what became of them, and what they changed."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request

from patron.answers.customers.task_list import PAGE_SIZE, View
from patron.answers.customers.task_results import By, TaskResults
from patron.answers.customers.task_suggestions import TaskAdvice, task_advice
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.customers.task_view import TaskCursorPage, results_of, task_page
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import CursorText, Limit, PageNumber

router = APIRouter(
    prefix="/api/tasks", tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)


@router.get("")
@needs(Action.READ, Area.CUSTOMERS)
def tasks(
    request: Request,
    view: View = "open",
    page: PageNumber = 1,  # noqa: ARG001 - read from the address
    cursor: CursorText = "",
    limit: Limit = None,
) -> TaskCursorPage:
    """Tasks of staff, what is due first; texts of others are left out."""
    return task_page(request, view, now=datetime.now(UTC), size=limit or PAGE_SIZE, cursor=cursor)


@router.get("/results")
@needs(Action.READ, Area.CUSTOMERS)
def results(request: Request, by: By = "person") -> TaskResults:
    """What became of tasks: by person, playbook, reason for leaving or month."""
    return results_of(request, by, now=datetime.now(UTC))


@router.get("/effect")
@needs(Action.READ, Area.EXPERIMENTS)
def effect(request: Request) -> TaskAdvice:
    """What tasks changed: customers with a task against those held out by lot, and what that suggests."""
    return task_advice(answers_of(request).shop)
