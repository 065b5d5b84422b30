"""What became of tasks: by person, playbook, reason for leaving or month."""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.common_sentences import IT_IS_ONE_OF, NOT_A_VALUE
from patron.schema.customers.customer_rights import READ_CUSTOMERS
from patron.schema.errors import BadQuery
from patron.storage.customers.customer_tables import TASKS
from patron.storage.shop import Shop
from patron.storage.store.store_metadata import in_utc

By = Literal["person", "playbook", "reason", "month"]
BY: tuple[By, ...] = get_args(By)
SECONDS_OF_DAY = 86_400


@dataclass(frozen=True)
class TaskResult:
    """Tasks of one person, playbook, reason or month."""

    key: str
    """User id of the owner, playbook, reason code, or YYYY-MM; '' for nobody, no reason, or the total."""
    task_count: int
    open_count: int
    overdue_count: int
    """Of the open ones."""
    done_count: int
    dropped_count: int
    outcomes: dict[str, int]
    """Tasks that are done, by their outcome."""
    median_days: float | None
    """From creation to done, days; None before any is done."""


@dataclass(frozen=True)
class TaskResults:
    """Tasks by what they have in common, the most first; months in their order."""

    by: By
    total: TaskResult
    rows: tuple[TaskResult, ...]


def task_results(shop: Shop, by: By = "person", *, now: datetime, among: frozenset[str] | None = None) -> TaskResults:
    """What became of tasks, without customers who were held out; `among` restricts to customers. Raises BadQuery."""
    if by not in BY:
        raise BadQuery(NOT_A_VALUE(value=by), where="by", todo=IT_IS_ONE_OF(choices=", ".join(BY)))
    names = ("customer_id", "owner", "playbook", "reason", "state", "outcome", "created_at", "closed_at", "due_at")
    chosen = sa.select(*(TASKS.c[name] for name in names)).where(~TASKS.c.is_holdout)
    with shop.store.begin() as connection:
        tasks = [in_utc(row) for row in connection.execute(chosen).mappings()]
    tasks = [task for task in tasks if among is None or task["customer_id"] in among]
    zone = ZoneInfo(shop.settings.shop.time_zone)
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in tasks:
        groups.setdefault(_key(one, by, zone), []).append(one)
    rows = [_result(key, of, now) for key, of in groups.items()]
    rows.sort(key=(lambda one: one.key) if by == "month" else (lambda one: (-one.task_count, one.key)))
    return TaskResults(by, _result("", tasks, now), tuple(rows))


@operation(READ_CUSTOMERS, "GET /api/tasks/results")
def show_task_results(
    shop: Shop, by: By = "person", *, now: datetime, visible: VisibleCustomers | None = None
) -> TaskResults:
    """What became of tasks: by person, playbook, reason for leaving or month."""
    return task_results(shop, by, now=now, among=None if visible is None else visible.ids)


def task_outcomes(shop: Shop, *, among: Container[str] | None = None) -> dict[str, int]:
    """Tasks that were not dropped, by what became of them; '' are open ones, and `among` restricts to customers."""
    column = TASKS.c
    by = [column.outcome] if among is None else [column.outcome, column.customer_id]
    chosen = sa.select(*by, sa.func.count().label("n")).where(column.state != "dropped", ~column.is_holdout)
    outcomes: Counter[str] = Counter()
    with shop.store.begin() as connection:
        for row in connection.execute(chosen.group_by(*by).order_by(column.outcome)):
            if among is None or row.customer_id in among:
                outcomes[row.outcome] += row.n
    return dict(outcomes)


def _key(task: dict[str, Any], by: By, zone: ZoneInfo) -> str:
    if by == "month":
        return f"{task['created_at'].astimezone(zone):%Y-%m}"
    return task["owner" if by == "person" else by]


def _result(key: str, tasks: Iterable[dict[str, Any]], now: datetime) -> TaskResult:
    tasks = list(tasks)
    states = Counter(task["state"] for task in tasks)
    done = [task for task in tasks if task["state"] == "done"]
    days = [(one["closed_at"] - one["created_at"]).total_seconds() / SECONDS_OF_DAY for one in done]
    overdue = sum(task["state"] == "open" and task["due_at"] is not None and task["due_at"] < now for task in tasks)
    outcomes = Counter(one["outcome"] for one in done)
    return TaskResult(
        key,
        len(tasks),
        open_count=states["open"],
        overdue_count=overdue,
        done_count=len(done),
        dropped_count=states["dropped"],
        outcomes=dict(sorted(outcomes.items())),
        median_days=median(days) if days else None,
    )
