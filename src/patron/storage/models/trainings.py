"""The training that a question's forecasts in a run rest on: this run's, or that of an earlier one.

A run that does not train a question measures nothing of it: backtests, past forecasts and metrics by group are those
of the run that trained its champion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from patron.schema.tables import RECENT
from patron.storage.engine import timestamp
from patron.storage.shop import Snapshot

if TYPE_CHECKING:
    from patron.storage.runs.stage_view import StageView


@dataclass(frozen=True)
class Training:
    """When the champion of one question was trained, and why this run trained it or did not."""

    question: str
    trained_run_id: str
    trained_at: datetime
    """Cutoff of the run that trained it."""
    reason: str
    """One of TRAINING_REASONS."""

    @property
    def is_of_this_run(self) -> bool:
        """Whether this run trained it."""
        return self.reason != RECENT

    @property
    def model_version(self) -> str:
        """The champion's folder under models/."""
        return f"{self.question}/{self.trained_run_id}"


def read_trainings(view: "StageView | Snapshot", run_id: str) -> dict[str, Training]:
    """The trainings of a run by question; none of a run from before there were any."""
    sql = f"""
select question, trained_run_id, trained_at, reason from trainings where run_id = '{run_id}' order by question"""
    return {row["question"]: Training(**row) for row in view.query(sql).to_pylist()}


def version_in_use(trainings: Mapping[str, Training], question: str, run_id: str) -> str:
    """The champion that a run's trainings name; the run's own where they name none, as before there were any."""
    training = trainings.get(question)
    return training.model_version if training else f"{question}/{run_id}"


def training_run_ids(view: "StageView", question: str, *, since: datetime) -> list[str]:
    """Runs up to this one that trained a question since a cutoff, the newest first."""
    sql = f"""
select trained_run_id from trainings where question = '{question}'
  and trained_at >= {timestamp(since)} and trained_at <= {timestamp(view.run.as_of)}
group by trained_run_id order by max(trained_at) desc, trained_run_id"""
    return view.query(sql)["trained_run_id"].to_pylist()


def of_known_customers(run_id: str) -> str:
    """SQL condition: a run knows the customer; since the training two may have turned out to be one person."""
    return f"customer_id in (select customer_id from features where run_id = '{run_id}')"


def measured_rows(name: str, run_id: str) -> str:
    """SQL of the rows of a table that hold for a run: of each question those of the run that trained its champion."""
    return f"""(
select r.* from {name} r left join trainings t on t.run_id = '{run_id}' and t.question = r.question
where r.run_id = coalesce(t.trained_run_id, '{run_id}'))"""
