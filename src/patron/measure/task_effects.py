"""What the work of staff changed: customers with a task against those who were held out by lot."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from patron.experiments import analyse, sample_ratio_mismatch
from patron.experiments.analysis import CUPED, RAW, EffectRow
from patron.experiments.confidence_sequences import reach_of_sequence
from patron.experiments.segment_effects import holm
from patron.measure.task_entries import HOLDOUT, TREATED, task_entries
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import TASK_EFFECTS
from patron.storage.runs.stage_view import StageView

ALL = "all"
FEWEST_CUSTOMERS = 20
"""Customers of each arm below which no effect is stated: amounts are skewed, and few say nothing."""
TIGHTEST_AT = 1_000
"""Draws at which the interval for many looks is tightest."""
METRICS = ("revenue", "margin", "orders", "retained")
COVARIATE = "before_cents"


@dataclass(frozen=True)
class _Difference:
    """Mean with a task less mean of the holdout."""

    effect: float
    low: float
    high: float
    standard_error: float
    p_value: float


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
    differences = _differences(inside, values) if min(counts.values()) >= FEWEST_CUSTOMERS else None
    return row if differences is None else row | _estimates(*differences, inside.num_rows)


def _mean(values: Numbers) -> float | None:
    """None of few customers, whose amounts are nobody's business."""
    return float(values.mean()) if len(values) >= FEWEST_CUSTOMERS else None


def _estimates(raw: _Difference, adjusted: _Difference, count: int) -> dict[str, float]:
    reach = float(reach_of_sequence(np.array([float(count)]), TIGHTEST_AT)[0]) * adjusted.standard_error
    removed = 1 - (adjusted.standard_error / raw.standard_error) ** 2 if raw.standard_error > 0 else 0.0
    return {
        "effect": adjusted.effect,
        "low": adjusted.low,
        "high": adjusted.high,
        "sequence_low": adjusted.effect - reach,
        "sequence_high": adjusted.effect + reach,
        "standard_error": adjusted.standard_error,
        "p_value": adjusted.p_value,
        "raw_effect": raw.effect,
        "raw_low": raw.low,
        "raw_high": raw.high,
        "variance_removed": removed,
    }


def _differences(inside: pa.Table, values: Numbers) -> tuple[_Difference, _Difference] | None:
    """Raw and adjusted; draws with another share are compared among themselves, and the results averaged by size.

    None where no share has enough of both arms, or nothing varies.
    """
    share, before = float_column(inside, "holdout_share"), float_column(inside, COVARIATE)
    raw, adjusted, weights = [], [], []
    for one in np.unique(share):
        of_share = share == one
        table = pa.table(
            {
                "arm": inside["arm"].filter(pa.array(of_share)),
                "value": values[of_share],
                COVARIATE: before[of_share],
            }
        )
        covariate = COVARIATE if np.ptp(before[of_share]) > 0 else None
        try:
            rows = analyse(table, group="arm", outcome="value", control=HOLDOUT, covariate=covariate)
        except (BadExperiment, NotEnoughData):
            continue
        raw.append(rows.row(TREATED, RAW))
        adjusted.append(rows.row(TREATED, CUPED if covariate else RAW))
        weights.append(float(of_share.sum()))
    if not weights or not any(one.standard_error > 0 for one in raw):
        return None
    shares = np.array(weights) / sum(weights)
    return _average(raw, shares), _average(adjusted, shares)


def _average(rows: list[EffectRow], shares: Numbers) -> _Difference:
    """One effect as it is; of several the mean by size, with the widest of their quantiles."""
    if len(rows) == 1:
        one = rows[0]
        return _Difference(one.effect, one.low, one.high, one.standard_error, one.p_value)
    effect = float(shares @ np.array([one.effect for one in rows]))
    error = float(np.sqrt(shares**2 @ np.array([one.standard_error for one in rows]) ** 2))
    reach = error * max((one.high - one.low) / 2 / one.standard_error for one in rows if one.standard_error > 0)
    p_value = float(2 * stats.norm.sf(abs(effect) / error))
    return _Difference(effect, effect - reach, effect + reach, error, p_value)


def _sample_ratio(inside: pa.Table, counts: Mapping[str, int]) -> float:
    """p-value of the arms' sizes, if the draw is sound."""
    held = float(float_column(inside, "holdout_share").sum())
    return sample_ratio_mismatch(counts=counts, weights={TREATED: inside.num_rows - held, HOLDOUT: held}).p_value


def _with_adjusted_p_values(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The p-value of each part as that of one of several (Holm)."""
    rows = list(rows)
    known = [row for row in rows if "p_value" in row]
    for row, p_value in zip(known, holm(np.array([row["p_value"] for row in known])).tolist(), strict=True):
        row["adjusted_p_value"] = p_value
        del row["p_value"]
    return rows
