"""What the customers of a lifecycle stage paid, and where they were 30 days later."""

from dataclasses import dataclass

from patron.schema.tables import LIFECYCLE_STAGES
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class StageMove:
    """Share of a stage's customers who are in a stage 30 days later."""

    lifecycle_stage: str
    share: float


@dataclass(frozen=True)
class StageValue:
    """One stage: what its customers paid, and where they went; as observed at past cutoffs."""

    lifecycle_stage: str
    customer_count: int
    """Customers who were seen in the stage at past cutoffs."""
    paid_cents_90_days: float
    """What one of them paid in the next 90 days, on average, with a 95 % interval."""
    low: float
    high: float
    staying_share: float
    moves: tuple[StageMove, ...]
    """To other stages, the most frequent first."""


def stage_values(view: Snapshot) -> tuple[StageValue, ...]:
    """Stages with enough observations, in their order; empty where churn was not forecast at past cutoffs."""
    of_run = f"where run_id = '{view.run.run_id}'"
    moves = records(view.query(f"select from_stage, to_stage, share from stage_transitions {of_run}"))
    share_of = {(row["from_stage"], row["to_stage"]): row["share"] for row in moves}
    columns = "lifecycle_stage, customer_count, paid_cents_90_days, low, high"
    values = {
        row["lifecycle_stage"]: row for row in records(view.query(f"select {columns} from stage_values {of_run}"))
    }
    return tuple(
        StageValue(**values[stage], staying_share=share_of.get((stage, stage), 0.0), moves=_moves(stage, share_of))
        for stage in LIFECYCLE_STAGES
        if stage in values
    )


def _moves(stage: str, share_of: dict[tuple[str, str], float]) -> tuple[StageMove, ...]:
    others = [StageMove(other, share_of[stage, other]) for other in LIFECYCLE_STAGES if (stage, other) in share_of]
    return tuple(sorted((other for other in others if other.lifecycle_stage != stage), key=lambda one: -one.share))
