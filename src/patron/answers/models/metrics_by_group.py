"""How models do in groups of customers, next to the best baseline and to an earlier model."""

import re
from dataclasses import dataclass

from patron.storage.models.trainings import measured_rows
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

SQL = """
select question, origin, grouping, group_name, customer_count, metric, learner, value, low, high, baseline,
  baseline_value, gain, gain_low, gain_high, earlier_version, earlier_value, earlier_gain, earlier_gain_low,
  earlier_gain_high
from {rows}"""


@dataclass(frozen=True)
class GroupRow:
    """The champion of a run in one group of customers, at the newest past cutoff whose outcome is known."""

    question: str
    origin: str
    grouping: str
    group_name: str
    customer_count: int
    metric: str
    learner: str
    value: float | None
    low: float | None
    high: float | None
    baseline: str
    baseline_value: float | None
    gain: float | None
    """Paired improvement over the baseline; above zero is better."""
    gain_low: float | None
    gain_high: float | None
    earlier_version: str | None
    """Newest kept model of a run no later than the cutoff, which forecasts the same customers."""
    earlier_value: float | None
    earlier_gain: float | None
    """Paired improvement over the earlier model; below zero, these customers were forecast better before."""
    earlier_gain_low: float | None
    earlier_gain_high: float | None


def metrics_by_group(view: Snapshot, run_id: str | None = None) -> tuple[GroupRow, ...]:
    """Every group of the questions of a run, the view's own by default, in the order of what groups mean."""
    rows = records(view.query(SQL.format(rows=measured_rows("metrics_by_group", run_id or view.run.run_id) + " m")))
    return tuple(
        sorted((GroupRow(**row) for row in rows), key=lambda row: (row.question, row.grouping, _place(row.group_name)))
    )


def _place(group_name: str) -> tuple[bool, bool, int, str]:
    """Where a group stands among its own: "before 2016-H1", "2016-H1", "1", "2-3", "10+", "web", "other"."""
    number = re.match(r"\d+", group_name)
    is_rest = group_name in {"other", "unknown"}
    return is_rest, not group_name.startswith("before "), int(number[0]) if number else 0, group_name
