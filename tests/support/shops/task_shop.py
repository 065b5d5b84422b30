"""A workspace with bulk tasks whose effect is known: half are calls, which bring something, half are letters."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron import measure
from patron.decide.holdout import HOLDOUT, arm_of
from patron.measure.task_effects import measure_tasks
from patron.run import stage_view
from patron.schema.tables import BY_NAME
from patron.storage.customers.customer_tables import TASKS
from patron.storage.runs.runs import Run
from patron.storage.store.store import RUNS

START = datetime(2024, 6, 1, tzinfo=UTC)
WINDOW = timedelta(days=60)
AFTER = Run.at(START + timedelta(days=70))
BY_CALL, BY_LETTER = 2_000, 0
"""What a task brings, cents."""


def task(number, *, share=0.2, at=START, **other):
    """A draw of one customer, and its task."""
    customer = f"c{number:04}"
    playbook = "call" if number % 2 else "write"
    row = {
        "task_id": f"{customer}-{at:%m%d}",
        "customer_id": customer,
        "playbook": playbook,
        "content": b"",
        "owner": "",
        "state": "open",
        "outcome": "",
        "value_at_risk_cents": None,
        "is_holdout": arm_of(f"tasks/{at:%m%d}", customer, share) == HOLDOUT,
        "due_at": None,
        "created_at": at,
        "created_by": "test",
        "closed_at": None,
        "closed_by": "",
        "reason": "overdue" if number % 3 else "",
        "batch_id": f"{at:%m%d}",
        "holdout_share": share,
        "assigned_at": at,
        "measured_until": at + WINDOW,
    }
    return {**row, **other}


def by_hand(row):
    mark = {"task_id": row["task_id"] + "-hand", "is_holdout": False, "batch_id": "", "holdout_share": None}
    return {**row, **mark, "assigned_at": None, "measured_until": None, "created_at": START + timedelta(days=1)}


def line(number, customer, at, cents, **other):
    money = {"gross_cents": cents, "discount_cents": 0, "paid_cents": cents}
    flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
    when = {"ordered_at": at, "occurred_at": at, "known_at": at, "quantity": 1}
    return {
        "line_id": f"l{number}",
        "order_id": f"o{number}",
        "customer_id": customer,
        **when,
        **money,
        **flags,
        **other,
    }


def lines(tasks, seed=0, *, by_call=BY_CALL):
    """Orders before and after the draw, of customers who differ; a task adds to the ones after it."""
    rng = np.random.default_rng(seed)
    rows = []
    for one in tasks:
        usual = rng.gamma(2.0, 4_000)
        effect = 0 if one["is_holdout"] else by_call if one["playbook"] == "call" else BY_LETTER
        for days, more in ((-40, 0), (-20, 0), (10, effect), (30, 0)):
            cents = round(usual * rng.gamma(8.0, 1 / 8) + more)
            rows.append(line(len(rows), one["customer_id"], one["created_at"] + timedelta(days=days), cents))
    return rows


def effects(shop, tasks, sold, run=AFTER, identities=(), changes=()):
    """Rows by playbook, reason and metric, as a run measures these tasks."""
    for name, rows in (("order_lines", sold), ("identities", identities), ("identity_changes", changes)):
        shop.lake.replace(BY_NAME[name], pa.Table.from_pylist(list(rows), schema=BY_NAME[name].schema()))
    with shop.store.begin() as connection:
        connection.execute(sa.delete(TASKS))
        if tasks:
            connection.execute(sa.insert(TASKS), tasks)
    rows = measure_tasks(stage_view(shop, measure, run=run)).to_pylist()
    return {(row["playbook"], row["reason"], row["metric"]): row for row in rows}


def complete_run(shop, run=AFTER):
    """Make what was measured visible to readers."""
    row = {"run_id": run.run_id, "as_of": run.as_of, "finished_at": run.as_of, "seconds": 0.0, "seed": run.seed}
    row |= {"policy_version": shop.policy.version, "summary": {}}
    row["table_versions"] = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(sa.delete(RUNS))
        connection.execute(sa.insert(RUNS).values(row))
