"""What the work of staff changed: customers with a task against those who were held out by lot."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.multiple_tests import adjust_p_values
from patron.experiments import sample_ratio_mismatch
from patron.measure.effect_estimates import HOLDOUT, TREATED, ArmDifference, estimate_effect
from patron.measure.task_entries import task_entries
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import TASK_EFFECTS
from patron.storage.runs.stage_view import StageView

ALL = "all"
MIN_CUSTOMERS = 20
"""Customers of each arm below which no effect is stated: amounts are skewed, and few say nothing."""
TIGHTEST_AT = 1_000
"""Draws at which the interval for many looks is tightest."""
METRICS = ("revenue", "margin", "orders", "retained")
COVARIATE = "before_cents"


def measure_tasks(view: StageView) -> pa.Table:
    """Write `task_effects`: of all tasks, by playbook, by reason for leaving, and by both; return the rows."""
    entries = task_entries(view)
    outcomes = _outcomes(entries, view.policy.tasks.task_cost_cents)
    rows = [{"run_id": view.run.run_id, **row} for row in effect_rows(entries, outcomes)]
    table = pa.Table.from_pylist(rows, schema=TASK_EFFECTS.schema())
    view.write(TASK_EFFECTS.name, table)
    return table


def _outcomes(entries: pa.Table, task_cost_cents: int) -> dict[str, Numbers]:
    """Each metric of each entry; the margin is less what the tasks cost that were done."""
    orders = float_column(entries, "order_count")
    cost = task_cost_cents * float_column(entries, "done_count")
    margin = float_column(entries, "margin_cents") - cost
    return {
        "revenue": float_column(entries, "revenue_cents"),
        "margin": margin,
        "orders": orders,
        "retained": (orders > 0).astype(np.float64),
    }


def effect_rows(entries: pa.Table, outcomes: Mapping[str, Numbers]) -> list[dict[str, Any]]:
    """Rows of `task_effects` without the run: every part, by every metric; p-values are of parts of one kind."""
    playbook, reason = (np.array(entries[name].to_pylist(), dtype=np.str_) for name in ("playbook", "reason"))
    every = np.ones(entries.num_rows, dtype=np.bool_)
    kinds: list[list[tuple[str, str, np.ndarray]]] = [
        [(ALL, ALL, every)],
        [(str(one), ALL, playbook == one) for one in np.unique(playbook)],
        [(ALL, str(one), reason == one) for one in np.unique(reason)],
        [
            (str(one), str(why), (playbook == one) & (reason == why))
            for one in np.unique(playbook)
            for why in np.unique(reason[playbook == one])
        ],
    ]
    rows = []
    for parts in kinds if entries.num_rows else ():
        for metric in METRICS:
            of_metric = [_row(entries, outcomes[metric], *part, metric=metric) for part in parts]
            rows += _with_adjusted_p_values(of_metric)
    return rows


def _row(
    entries: pa.Table, outcome: Numbers, playbook: str, reason: str, is_inside: np.ndarray, *, metric: str
) -> dict[str, Any]:
    """One part by one metric; without an effect where an arm has too few customers."""
    inside = entries.filter(pa.array(is_inside))
    values, arm = outcome[is_inside], np.array(inside["arm"].to_pylist(), dtype=np.str_)
    is_held = arm == HOLDOUT
    counts = {TREATED: int((~is_held).sum()), HOLDOUT: int(is_held.sum())}
    row: dict[str, Any] = {
        "playbook": playbook,
        "reason": reason,
        "metric": metric,
        "treated_count": counts[TREATED],
        "holdout_count": counts[HOLDOUT],
        "done_count": int((float_column(inside, "done_count")[~is_held] > 0).sum()),
        "holdout_by_hand_count": int((float_column(inside, "by_hand_count")[is_held] > 0).sum()),
        "treated_mean": _mean(values[~is_held]),
        "holdout_mean": _mean(values[is_held]),
        "sample_ratio_p_value": _sample_ratio(inside, counts),
        "assigned_from": min(inside["start_at"].to_pylist()),
        "assigned_until": max(inside["start_at"].to_pylist()),
        "measured_until": max(inside["until_at"].to_pylist()),
    }
    if min(counts.values()) < MIN_CUSTOMERS:
        return row
    measured = inside.append_column("value", pa.array(values))
    found = estimate_effect(measured, "value", covariate=COVARIATE, tightest_at=TIGHTEST_AT, share="holdout_share")
    return row | _columns(found) if found is not None and found.raw_error > 0 else row


def _mean(values: Numbers) -> float | None:
    """None of few customers, whose amounts are nobody's business."""
    return float(values.mean()) if len(values) >= MIN_CUSTOMERS else None


def _columns(found: ArmDifference) -> dict[str, float]:
    return {
        "effect": found.adjusted.value,
        "low": found.adjusted.low,
        "high": found.adjusted.high,
        "sequence_low": found.sequence.low,
        "sequence_high": found.sequence.high,
        "standard_error": found.standard_error,
        "p_value": found.p_value,
        "raw_effect": found.raw.value,
        "raw_low": found.raw.low,
        "raw_high": found.raw.high,
        "variance_removed": found.variance_removed,
    }


def _sample_ratio(inside: pa.Table, counts: Mapping[str, int]) -> float:
    """p-value of the arms' sizes, if the draw is sound."""
    held = float(float_column(inside, "holdout_share").sum())
    return sample_ratio_mismatch(counts=counts, weights={TREATED: inside.num_rows - held, HOLDOUT: held}).p_value


def _with_adjusted_p_values(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The p-value of each part as that of one of several (Holm)."""
    rows = list(rows)
    known = [row for row in rows if "p_value" in row]
    for row, p_value in zip(known, adjust_p_values(np.array([row["p_value"] for row in known])).tolist(), strict=True):
        row["adjusted_p_value"] = p_value
        del row["p_value"]
    return rows
