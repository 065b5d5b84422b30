"""Why a score is what it is: the model's own reasons, or what a model without any looks at."""

from collections.abc import Sequence

from patron.storage.engine import exact_sum
from patron.storage.models import model_registry
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

BY_RECENCY = "recency_only"
"""Learner that knows a customer's last order only, and explains nothing itself."""


def mean_by_recency(view: Snapshot, question: str) -> float | None:
    """Mean score of a question whose champion looks at nothing but the last order; None for another champion."""
    return view.once(("mean by recency", question), lambda: _mean_by_recency(view, question))


def _mean_by_recency(view: Snapshot, question: str) -> float | None:
    sql = f"""
select max(model_version) as version, {exact_sum("value")} / nullif(count(*), 0) as mean
from this_scores where question = '{question}'"""
    row = records(view.query(sql))[0]
    card = model_registry.card(view.folder / "models", view.store, row["version"]) if row["version"] else {}
    return row["mean"] if card.get("learner") == BY_RECENCY else None


def score_reasons(value: float, reasons: Sequence[str] | None, mean: float | None) -> tuple[str, ...]:
    """Features that moved a score most, signed; of a score by recency, `mean` says in which direction."""
    if reasons or mean is None:
        return tuple(reasons or ())
    return (f"{'+' if value > mean else '-'}days_since_last_order",)
