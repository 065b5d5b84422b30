"""The watch list: customers at risk of leaving who have spend to lose, why, and what the shop stands to lose.

Who is on it is said once, in WATCHED: the stage is `at_risk`, and the run knows a value at risk, which takes a churn
forecast and spend in the last 180 days. Snoozing hides somebody from the work of the day, not from the count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from patron.answers.models.churn_reasons import ChurnReason, churn_reasons
from patron.answers.models.score_reasons import mean_by_recency, score_reasons
from patron.schema.table_definition import TEXT
from patron.storage.customers.customer_tables import SNOOZES
from patron.storage.engine import exact_sum, literal, sql_list
from patron.storage.models.missing_forecasts import scores_sql
from patron.storage.runs.last_run import records
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import RUNS
from patron.storage.store.store_metadata import in_utc

HISTORY_RUNS = 8
"""Runs in the history of the list."""
WATCHED = "s.lifecycle_stage = 'at_risk'"
"""Condition on a row of `value_at_risk` joined with its `segments` s: the customer is on the list."""


@dataclass(frozen=True)
class CustomerAtRisk:
    """One customer to watch: value at risk is the usual spend of 90 days times the churn probability."""

    customer_id: str
    lifecycle_stage: str
    last_order_at: datetime | None
    churn_probability: float
    usual_cents: float
    """Paid in the last 180 days, per 90 days."""
    value_at_risk_cents: float
    reasons: tuple[str, ...]
    """Features that moved the forecast most, signed."""
    churn_reasons: tuple[ChurnReason, ...] | None
    """What sets the customer apart, the strongest first; None where the run has no such reasons of anybody."""
    action: str | None
    """Offer decided on at this run, 'none', or None when nothing was decided."""


@dataclass(frozen=True)
class WatchListTotal:
    """How many are on the list of a run, and their value at risk together."""

    customer_count: int
    value_at_risk_cents: float | None
    """None where nobody is on it."""


@dataclass(frozen=True)
class WatchListRun:
    """The watch list of one run, and how it differs from that of the run before."""

    run_id: str
    as_of: datetime
    customer_count: int
    value_at_risk_cents: float
    entered_count: int | None
    """Customers who were not on that of the run before; None without one."""
    left_count: int | None


def watch_list(view: Snapshot, *, limit: int = 12, only: pa.Table | None = None) -> tuple[CustomerAtRisk, ...]:
    """The first customers of the list, the most value at risk first.

    `only` lists those of these customers (a table with customer_id).
    """
    is_visible = "" if only is None else " and v.customer_id in (select customer_id from visible)"
    visible = {} if only is None else {"visible": only}
    return _watched(view, f"{WATCHED}{is_visible} order by {ORDER} limit {int(limit)}", **visible)


def watch_list_total(view: Snapshot) -> WatchListTotal:
    """Everybody on the list of a run."""
    run_id = literal(view.run.run_id)
    sql = f"""
select count(*) as customer_count, {exact_sum("v.value_at_risk_cents")} as value_at_risk_cents from value_at_risk v
join segments s on s.customer_id = v.customer_id and s.run_id = {run_id}
where v.run_id = {run_id} and {WATCHED}"""
    return WatchListTotal(**records(view.query(sql))[0])


def watched_customers(view: Snapshot, customer_ids: Sequence[str]) -> tuple[CustomerAtRisk, ...]:
    """The same of these customers, whatever their stage; who paid nothing in 180 days is left out."""
    chosen = pa.table({"customer_id": pa.array(customer_ids, TEXT)})
    return _watched(view, f"v.customer_id in (select customer_id from chosen) order by {ORDER}", chosen=chosen)


ORDER = "v.value_at_risk_cents desc, v.customer_id"


def _watched(view: Snapshot, condition: str, **tables: pa.Table) -> tuple[CustomerAtRisk, ...]:
    run_id = view.run.run_id
    sql = f"""
with churn as (
  select customer_id, reasons from {scores_sql(view, "churn")} s where run_id = '{run_id}'
)
select v.customer_id, s.lifecycle_stage, c.last_order_at, v.churn_probability, v.usual_cents, v.value_at_risk_cents,
  r.reasons, d.action
from value_at_risk v
join churn r on r.customer_id = v.customer_id
join this_segments s on s.customer_id = v.customer_id
left join customers c on c.customer_id = v.customer_id
left join this_decisions d on d.customer_id = v.customer_id
where v.run_id = '{run_id}' and {condition}"""
    mean = mean_by_recency(view, "churn")
    rows = records(view.query(sql, **tables))
    why = churn_reasons(view, pa.table({"customer_id": pa.array([row["customer_id"] for row in rows], TEXT)}))
    for row in rows:
        row["reasons"] = score_reasons(row["churn_probability"], row["reasons"], mean)
        row["churn_reasons"] = None if why is None else why.get(row["customer_id"], ())
    return tuple(CustomerAtRisk(**row) for row in rows)


def watch_list_history(view: Snapshot) -> tuple[WatchListRun, ...]:
    """The list of the last runs: its customers and their value at risk, who came and who went; the newest first.

    A run that completed after the run of a later cutoff is unknown to that one, and not listed.
    """
    known = view.query("select distinct run_id from segments")["run_id"].to_pylist()
    with view.store.begin() as connection:
        query = sa.select(RUNS.c.run_id, RUNS.c.as_of).where(RUNS.c.as_of <= view.run.as_of)
        query = query.where(RUNS.c.run_id.in_([*known, view.run.run_id]))
        listed = connection.execute(query.order_by(RUNS.c.as_of.desc()).limit(HISTORY_RUNS + 1)).mappings()
        runs = [in_utc(row) for row in listed]
    numbers = ", ".join(f"({place}, '{run['run_id']}')" for place, run in enumerate(runs))
    sql = f"""
with numbered(place, run_id) as (values {numbers}),
listed as (
  select n.place, v.customer_id, v.value_at_risk_cents
  from value_at_risk v
  join segments s on s.customer_id = v.customer_id and s.run_id = v.run_id
  join numbered n on n.run_id = v.run_id
  where v.run_id in {sql_list(run["run_id"] for run in runs)} and {WATCHED}
),
paired as (
  select l.*, case when b.customer_id is null then 1 end as entered
  from listed l left join listed b on b.customer_id = l.customer_id and b.place = l.place + 1
),
gone as (
  select b.place - 1 as place, count(*) as left_count
  from listed b left join listed l on l.customer_id = b.customer_id and l.place = b.place - 1
  where l.customer_id is null group by b.place
)
select n.run_id, count(p.customer_id) as customer_count,
  coalesce({exact_sum("p.value_at_risk_cents")}, 0) as value_at_risk_cents,
  count(p.entered) as entered_count, coalesce(max(g.left_count), 0) as left_count
from numbered n left join paired p on p.place = n.place left join gone g on g.place = n.place
group by n.place, n.run_id order by n.place"""
    as_of = {run["run_id"]: run["as_of"] for run in runs}
    history = [WatchListRun(as_of=as_of[row["run_id"]], **row) for row in records(view.query(sql))[:HISTORY_RUNS]]
    if len(runs) <= HISTORY_RUNS:
        history[-1] = replace(history[-1], entered_count=None, left_count=None)
    return tuple(history)


def snoozed_customers(shop: Shop, *, now: datetime) -> dict[str, tuple[datetime, str]]:
    """Customers who are kept off the list: until when, and why."""
    query = sa.select(SNOOZES.c.customer_id, SNOOZES.c.until, SNOOZES.c.reason).where(SNOOZES.c.until > now)
    with shop.store.begin() as connection:
        rows = [in_utc(row) for row in connection.execute(query).mappings()]
    return {row["customer_id"]: (row["until"], row["reason"]) for row in rows}
