"""The customer list: every scored customer in one row, searched, filtered, sorted and paged."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from patron.schema.errors import BadQuery
from patron.schema.spelling import did_you_mean
from patron.schema.tables import LIFECYCLE_STAGES
from patron.storage.engine import exact_sum
from patron.storage.last_run import last_run, records
from patron.storage.missing_forecasts import scores_sql
from patron.storage.shop import Shop, Snapshot

Sort = Literal["value", "churn_probability", "paid", "last_order"]
SORTS: tuple[Sort, ...] = ("value", "churn_probability", "paid", "last_order")
PAGE_SIZE = 25
COLUMNS = {
    "value": "value_cents desc nulls last",
    "churn_probability": "churn_probability desc nulls last",
    "paid": "paid_cents desc",
    "last_order": "last_order_at desc nulls last",
}


@dataclass(frozen=True)
class CustomerQuery:
    """Search, filters, sorting and page of the list; empty fields do not filter."""

    search: str = ""
    """Beginning of an opaque customer id."""
    lifecycle_stage: str = ""
    persona_id: int | None = None
    action: str = ""
    """Id of an offer decided on, or 'none'."""
    sort: Sort = "value"
    page: int = 1


@dataclass(frozen=True)
class CustomerRow:
    """One customer of the list."""

    customer_id: str
    lifecycle_stage: str | None
    persona_id: int | None
    persona_code: str | None
    value_cents: float | None
    churn_probability: float | None
    paid_cents: int
    order_count: int
    last_order_at: datetime | None
    action: str | None


@dataclass(frozen=True)
class FilterOption:
    """One value of a filter, and how many customers have it."""

    value: str
    name_code: str
    customer_count: int


@dataclass(frozen=True)
class CustomerPage:
    """One page of the list."""

    run_id: str
    as_of: datetime
    query: CustomerQuery
    total_count: int
    expected_cents: float | None
    """Sum of their values; None where no forecast is known."""
    page_count: int
    rows: tuple[CustomerRow, ...]
    lifecycle_stages: tuple[FilterOption, ...]
    personas: tuple[FilterOption, ...]
    actions: tuple[FilterOption, ...]


@dataclass(frozen=True)
class CustomerIndex:
    """All customers of a run, one row each with the columns of the list, and the filters with their values."""

    rows: pa.Table
    lifecycle_stages: tuple[FilterOption, ...]
    personas: tuple[FilterOption, ...]
    actions: tuple[FilterOption, ...]


def customer_index(view: Snapshot) -> CustomerIndex:
    """Index of the customers of one run."""
    run_id = view.run.run_id
    rows = view.query(f"""
select s.customer_id, s.lifecycle_stage, s.persona_id, p.name_code as persona_code,
  v.value as value_cents, r.value as churn_probability,
  coalesce(c.paid_cents, 0) as paid_cents, coalesce(c.order_count, 0) as order_count, c.last_order_at, d.action
from segments s
left join customers c on c.customer_id = s.customer_id
left join personas p on p.run_id = s.run_id and p.persona_id = s.persona_id
left join {scores_sql(view, "value")} v on v.run_id = s.run_id and v.customer_id = s.customer_id
left join {scores_sql(view, "churn")} r on r.run_id = s.run_id and r.customer_id = s.customer_id
left join decisions d on d.run_id = s.run_id and d.customer_id = s.customer_id
where s.run_id = '{run_id}'""")
    return CustomerIndex(
        rows,
        lifecycle_stages=_filter_options(view, rows, "lifecycle_stage", "lifecycle_stage"),
        personas=_filter_options(view, rows, "persona_id", "persona_code"),
        actions=_filter_options(view, rows, "action", "action"),
    )


def find_customers(shop: Shop, query: CustomerQuery, *, index: CustomerIndex | None = None) -> CustomerPage:
    """Search, filter, sort and page the customers of the last run; `index` saves a query where it is cached.

    Raises NoRunYet, and BadQuery for a lifecycle stage, an action or a sorting that there is not.
    """
    view = last_run(shop)
    index = customer_index(view) if index is None else index
    _require_one_of("lifecycle_stage", query.lifecycle_stage, LIFECYCLE_STAGES)
    offers = [offer.id for offer in view.policy.offers]
    _require_one_of("sort", query.sort, SORTS)
    _require_one_of("action", query.action, ["none", *offers, *(option.value for option in index.actions)])
    condition, values = _condition(query)
    matches = f"select listed.* from listed cross join filters where {condition}"
    tables = {"listed": index.rows, "filters": pa.table(values)}
    totals = records(
        view.query(f"select count(*) as n, {exact_sum('value_cents')} as expected from ({matches}) m", **tables)
    )[0]
    page_count = max(1, -(-totals["n"] // PAGE_SIZE))
    page = min(max(query.page, 1), page_count)
    order = f"order by {COLUMNS[query.sort]}, customer_id limit {PAGE_SIZE} offset {(page - 1) * PAGE_SIZE}"
    rows = records(view.query(f"select * from ({matches}) m {order}", **tables))
    return CustomerPage(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        query=CustomerQuery(query.search, query.lifecycle_stage, query.persona_id, query.action, query.sort, page),
        total_count=totals["n"],
        expected_cents=totals["expected"],
        page_count=page_count,
        rows=tuple(CustomerRow(**row) for row in rows),
        lifecycle_stages=index.lifecycle_stages,
        personas=index.personas,
        actions=index.actions,
    )


def _require_one_of(parameter: str, value: str, known: Iterable[str]) -> None:
    """Refuse a value that filters by nothing there is; empty is no filter."""
    allowed = tuple(dict.fromkeys(known))
    if value and value not in allowed:
        listed = f"It is one of {', '.join(allowed)}."
        todo = " ".join(filter(None, [did_you_mean(value, allowed), listed]))
        raise BadQuery(f"{value!r} is not a value of it", where=parameter, todo=todo)


def _condition(query: CustomerQuery) -> tuple[str, dict[str, list[Any]]]:
    """SQL condition of a query, and its values as a one-row table: typed text never becomes SQL."""
    parts = {
        "search": (query.search.strip().lower(), "starts_with(listed.customer_id, filters.search)"),
        "lifecycle_stage": (query.lifecycle_stage, "listed.lifecycle_stage = filters.lifecycle_stage"),
        "persona": (query.persona_id, "listed.persona_id = filters.persona"),
        "action": (query.action, "listed.action = filters.action"),
    }
    used = {name: part for name, part in parts.items() if part[0] not in {"", None}}
    values: dict[str, list[Any]] = {name: [value] for name, (value, _) in used.items()}
    return " and ".join(sql for _, sql in used.values()) or "true", values or {"nothing": [True]}


def _filter_options(view: Snapshot, rows: pa.Table, column: str, name: str) -> tuple[FilterOption, ...]:
    sql = f"""
select cast({column} as varchar) as value, cast(max({name}) as varchar) as name_code, count(*) as customer_count
from listed where {column} is not null and {name} is not null group by {column} order by {column}"""
    return tuple(FilterOption(**row) for row in records(view.query(sql, listed=rows)))
