"""What the work of staff changed: customers with a task against those who were held out, as the run measured it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from patron.answers.insight.experiment_results import DETECTABLE_ERRORS
from patron.storage.customers.customer_tables import TASKS
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store_metadata import in_utc

ALL = "all"
UNKNOWN = "unknown"
"""Reason of customers without one."""
SIGNIFICANT = 0.05
REVENUE = "revenue"
MARGIN = "margin"
ORDERS = "orders"
RETAINED = "retained"
METRICS = (REVENUE, MARGIN, ORDERS, RETAINED)


@dataclass(frozen=True)
class MetricEffect:
    """One metric of a customer in the window: cents, orders, or the share who ordered at all."""

    metric: str
    """revenue (net of refunds), margin (less what tasks cost), orders or retained."""
    treated_mean: float | None
    control_mean: float | None
    effect: float | None
    """Difference, adjusted for what was bought before; NULL with too few customers in an arm."""
    low: float | None
    high: float | None
    """95 % interval that holds however often one looks."""
    once_low: float | None
    once_high: float | None
    """95 % interval for a single look."""
    raw_effect: float | None
    standard_error: float | None
    detectable: float | None
    """Smallest effect that is detected with a probability of 80 %."""
    adjusted_p_value: float | None
    """That there is no effect, as one of several parts of the same kind."""

    @property
    def is_gain(self) -> bool:
        """Whether it is above 0 beyond chance."""
        return self._is_significant and (self.low or 0.0) > 0

    @property
    def is_loss(self) -> bool:
        """Whether it is below 0 beyond chance."""
        return self._is_significant and (self.high or 0.0) < 0

    @property
    def _is_significant(self) -> bool:
        return self.adjusted_p_value is not None and self.adjusted_p_value < SIGNIFICANT


@dataclass(frozen=True)
class TaskPart:
    """Tasks of one playbook, for one reason for leaving, or all of them."""

    playbook: str
    """all, or a playbook."""
    reason: str
    """all, a reason code, or unknown."""
    treated_count: int
    """Customers who were given a task, whether it was done or not."""
    control_count: int
    """Customers who were held out."""
    done_count: int
    """Customers of whom a task was done in the window."""
    control_by_hand_count: int
    """Customers who were held out and got a task by hand all the same."""
    metrics: tuple[MetricEffect, ...]

    def of(self, metric: str) -> MetricEffect:
        """One metric."""
        return next(one for one in self.metrics if one.metric == metric)


@dataclass(frozen=True)
class RunningDraws:
    """Customers whose window is not over: they do not count yet."""

    treated_count: int
    control_count: int
    next_end_at: datetime | None
    """When the first of these windows ends."""


@dataclass(frozen=True)
class TaskEffects:
    """What tasks changed."""

    run_id: str
    as_of: datetime
    holdout_share: float
    window_days: int
    task_cost_cents: int
    """As the policy has them now."""
    whole: TaskPart | None
    """None before the first window was over."""
    playbooks: tuple[TaskPart, ...]
    reasons: tuple[TaskPart, ...]
    playbooks_of_reasons: tuple[TaskPart, ...]
    sample_ratio_p_value: float | None
    """Probability of arms of such sizes, if the draw is sound."""
    assigned_from: datetime | None
    assigned_until: datetime | None
    measured_until: datetime | None
    running: RunningDraws


def task_effects(shop: Shop) -> TaskEffects:
    """The effect of tasks at the last run. Raises NoRunYet."""
    view = last_run(shop)
    rows = _rows(view)
    parts = _parts(rows)
    facts = next((row for row in rows if (row["playbook"], row["reason"]) == (ALL, ALL)), dict[str, Any]())
    tasks = shop.policy.tasks
    return TaskEffects(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        holdout_share=tasks.holdout_share,
        window_days=tasks.window_days,
        task_cost_cents=tasks.task_cost_cents,
        whole=next((part for part in parts if (part.playbook, part.reason) == (ALL, ALL)), None),
        playbooks=tuple(part for part in parts if part.playbook != ALL and part.reason == ALL),
        reasons=tuple(part for part in parts if part.playbook == ALL and part.reason != ALL),
        playbooks_of_reasons=tuple(part for part in parts if ALL not in (part.playbook, part.reason)),
        sample_ratio_p_value=facts.get("sample_ratio_p_value"),
        assigned_from=facts.get("assigned_from"),
        assigned_until=facts.get("assigned_until"),
        measured_until=facts.get("measured_until"),
        running=_running(shop, view.run.as_of),
    )


def _rows(view: Snapshot) -> list[dict[str, Any]]:
    sql = "select * from task_effects where run_id = $run_id order by playbook, reason, metric"
    return records(view.query(sql, {"run_id": view.run.run_id}))


def _parts(rows: list[dict[str, Any]]) -> list[TaskPart]:
    """Parts in order of their size."""
    by_part: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_part.setdefault((row["playbook"], row["reason"]), {})[row["metric"]] = row
    parts = [
        TaskPart(
            *key,
            of[REVENUE]["treated_count"],
            of[REVENUE]["holdout_count"],
            of[REVENUE]["done_count"],
            of[REVENUE]["holdout_by_hand_count"],
            tuple(_metric(of[name]) for name in METRICS),
        )
        for key, of in by_part.items()
    ]
    return sorted(parts, key=lambda one: (-one.treated_count - one.control_count, one.playbook, one.reason))


def _metric(row: Mapping[str, Any]) -> MetricEffect:
    error = row["standard_error"]
    return MetricEffect(
        row["metric"],
        row["treated_mean"],
        control_mean=row["holdout_mean"],
        effect=row["effect"],
        low=row["sequence_low"],
        high=row["sequence_high"],
        once_low=row["low"],
        once_high=row["high"],
        raw_effect=row["raw_effect"],
        standard_error=error,
        detectable=None if error is None else error * DETECTABLE_ERRORS,
        adjusted_p_value=row["adjusted_p_value"],
    )


def _running(shop: Shop, as_of: datetime) -> RunningDraws:
    """Draws that the run did not count; a second task in the window is none."""
    column = TASKS.c
    of = (column.measured_until > as_of, column.holdout_share > 0)
    chosen = sa.select(column.customer_id, column.assigned_at, column.is_holdout, column.measured_until).where(*of)
    with shop.store.begin() as connection:
        draws = [in_utc(row) for row in connection.execute(chosen.distinct()).mappings()]
    held = sum(bool(draw["is_holdout"]) for draw in draws)
    return RunningDraws(len(draws) - held, held, min((draw["measured_until"] for draw in draws), default=None))
