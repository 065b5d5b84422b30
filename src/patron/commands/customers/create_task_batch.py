"""Tasks for several customers at once, some of whom are held out by lot, to measure what tasks change."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.commands.customers.customer_work import (
    BATCH,
    TaskDraft,
    about_customers,
    require_customers,
    require_one_of,
    require_staff,
    task_row,
)
from patron.commands.outreach.campaigns.campaign_assignments import predecessors
from patron.decide.holdout import HOLDOUT, arm_of
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.schema.table_definition import TEXT
from patron.storage.customers.customer_tables import TASKS
from patron.storage.customers.task_policy import PLAYBOOKS
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store.store import EXPERIMENT_ARMS
from patron.storage.store.store_metadata import in_utc

BY_REASON = "by_reason"
"""Playbook of a draft: each customer's is that of the policy for their strongest reason for leaving."""


@dataclass(frozen=True)
class TaskBatch:
    """What became of the customers of one bulk action."""

    batch_id: str
    task_ids: tuple[str, ...]
    held_out_count: int
    """Customers without a task, to measure what tasks change."""
    control_count: int
    """Customers of the shop's control group: neither offers nor these tasks reach them, and they are not measured."""


@dataclass(frozen=True)
class _Draw:
    """In which arm a customer is, since when and until when."""

    is_holdout: bool
    holdout_share: float
    assigned_at: datetime
    measured_until: datetime


def create_task_batch(
    context: RequestContext,
    customer_ids: Sequence[str],
    draft: TaskDraft,
    *,
    values_at_risk: Mapping[str, float | None] | None = None,
) -> TaskBatch:
    """Create tasks for customers, except for the share of them that `policy.toml` holds out.

    Who was drawn less than `[tasks] window_days` ago stays in that arm: a second bulk action does not change it.
    Raises BadRequest, NotFound.
    """
    context.shop.reload_settings()
    require_one_of("playbook", draft.playbook, (*PLAYBOOKS, BY_REASON))
    ids = require_customers(context.shop, customer_ids)
    require_staff(context.shop.store, draft.owner)
    values = values_at_risk or {}
    reasons = _reasons(context.shop, ids)
    before = predecessors(last_run(context.shop))
    batch_id = hashlib.sha256(f"{context.now.isoformat()}/{context.by}/{draft.playbook}".encode()).hexdigest()[:32]
    tasks: list[str] = []
    held_out_count = 0
    rows: list[dict[str, Any]] = []
    with context.shop.store.begin() as connection:
        _lock_tasks(connection)
        in_control = _control_group(connection, context.shop, ids)
        reachable = [identifier for identifier in ids if identifier not in in_control]
        earlier = _running_draws(
            connection, {*reachable, *(old for one in reachable for old in before.get(one, ()))}, context.now
        )
        for customer in reachable:
            reason = reasons.get(customer, "")
            kept = _kept_draw(customer, earlier, before.get(customer, ()))
            draw = kept or _fresh_draw(context.shop, batch_id, customer, context.now)
            held_out_count += draw.is_holdout
            if draw.is_holdout and kept:
                continue
            of_reason = draft.playbook == BY_REASON
            one = replace(draft, playbook=context.shop.policy.tasks.playbook_of(reason)) if of_reason else draft
            one = replace(one, text="", owner="", due_at=None) if draw.is_holdout else one
            row = task_row(context, customer, one, value_at_risk_cents=values.get(customer))
            drawn = {name: getattr(draw, name) for name in _Draw.__dataclass_fields__}
            rows.append({**row, **drawn, "reason": reason, "batch_id": batch_id})
            if not draw.is_holdout:
                tasks.append(row["task_id"])
        if rows:
            connection.execute(sa.insert(TASKS), rows)
        details = {"playbook": draft.playbook, "owner": draft.owner, "batch_id": batch_id}
        counts = {"task_count": len(tasks), "held_out_count": held_out_count, "control_count": len(in_control)}
        entry = {**about_customers(ids), **details, **counts}
        context.record(connection, AuditAction.TASKS_CREATED, entry)
    return TaskBatch(batch_id, tuple(tasks), held_out_count, len(in_control))


def _fresh_draw(shop: Shop, batch_id: str, customer: str, now: datetime) -> _Draw:
    tasks = shop.policy.tasks
    is_holdout = arm_of(f"tasks/{batch_id}", customer, tasks.holdout_share) == HOLDOUT
    return _Draw(is_holdout, tasks.holdout_share, now, now + timedelta(days=tasks.window_days))


def _kept_draw(customer: str, earlier: Mapping[str, _Draw], before: Sequence[str]) -> _Draw | None:
    """The arm of a customer whose window is not over, or of those they were; the holdout where these differ."""
    if customer in earlier:
        return earlier[customer]
    draws = [earlier[one] for one in before if one in earlier]
    return next((draw for draw in draws if draw.is_holdout), draws[0] if draws else None)


def _running_draws(connection: sa.Connection, ids: set[str], now: datetime) -> dict[str, _Draw]:
    """Draws whose window is not over."""
    names, listed = tuple(_Draw.__dataclass_fields__), sorted(ids)
    columns = [TASKS.c.customer_id, *(TASKS.c[name] for name in names)]
    draws: dict[str, _Draw] = {}
    for start in range(0, len(listed), BATCH):
        of = (TASKS.c.customer_id.in_(listed[start : start + BATCH]), TASKS.c.measured_until > now)
        for row in connection.execute(sa.select(*columns).where(*of)).mappings():
            facts = in_utc(row)
            draws[row["customer_id"]] = _Draw(**{name: facts[name] for name in names})
    return draws


def _control_group(connection: sa.Connection, shop: Shop, ids: Sequence[str]) -> set[str]:
    """Customers of the policy's holdout: as assigned, else as they would be."""
    holdout, arm = shop.policy.holdout, EXPERIMENT_ARMS.c
    arms: dict[str, str] = {}
    for start in range(0, len(ids), BATCH):
        of = (arm.experiment == holdout.experiment, arm.customer_id.in_(ids[start : start + BATCH]))
        arms |= {row.customer_id: row.arm for row in connection.execute(sa.select(arm.customer_id, arm.arm).where(*of))}
    each = (
        (identifier, arms.get(identifier) or arm_of(holdout.experiment, identifier, holdout.share))
        for identifier in ids
    )
    return {one for one, name in each if name == HOLDOUT}


def _reasons(shop: Shop, ids: Sequence[str]) -> dict[str, str]:
    """Strongest reason for leaving of customers at the last run; who has none is left out."""
    view = last_run(shop)
    sql = """
select r.customer_id, r.code from reasons r join chosen c on c.customer_id = r.customer_id
where r.run_id = $run and r.question = 'churn' and r.rank = 1"""
    rows = view.query(sql, {"run": view.run.run_id}, chosen=pa.table({"customer_id": pa.array(ids, TEXT)}))
    return {row["customer_id"]: row["code"] for row in rows.to_pylist()}


def _lock_tasks(connection: sa.Connection) -> None:
    """Let nobody else draw until this transaction ends."""
    if connection.dialect.name == "sqlite":  # why: a write, although of no row, takes SQLite's lock
        connection.execute(sa.update(TASKS).where(sa.false()).values(state=TASKS.c.state))
    else:
        connection.execute(sa.text("lock table customer_tasks in share row exclusive mode"))
