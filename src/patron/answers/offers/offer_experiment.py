"""The experiment that never ends: the policy's offers against its holdout, measured at every run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from patron.answers.insight.experiment_results import DETECTABLE_ERRORS, Gain
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

OFFERS: Final = "offers"
ANY, ALL = "any", "all"
"""All offers together; all strata together."""


@dataclass(frozen=True)
class OfferArm:
    """Decisions with one offer, or with any; amounts in cents."""

    offer: str
    stratum: str
    treated_count: int
    control_count: int
    """Decisions without an offer that could have been this one."""
    gain: Gain
    """Effect on the margin less what an offer costs besides; its interval holds however often one looks."""
    raw: Gain | None
    """Not adjusted for what was known at the decision; at a single look."""
    detectable_cents: float


@dataclass(frozen=True)
class MeasuredRun:
    """What all offers together brought by one run, of each decision; cents."""

    run_id: str
    customer_cents: float
    customer_low: float
    customer_high: float


@dataclass(frozen=True)
class OfferExperiment:
    """The offers of the policy against those who got none."""

    whole: OfferArm
    offers: tuple[OfferArm, ...]
    strata: tuple[OfferArm, ...]
    """All offers together, by stratum."""
    runs: tuple[MeasuredRun, ...]
    """The oldest first."""
    is_placebo: bool
    """Whether no offer was really sent, so that the true effect is 0."""
    decided_from: datetime
    decided_until: datetime
    sample_ratio_p_value: float | None
    """The smallest of the holdout's and the offers' assignment."""


def offer_experiment(view: Snapshot) -> OfferExperiment | None:
    """The offers as the run measured them; None before any was."""
    columns = """
run_id, offer, stratum, treated_count, control_count, coalesce(adjusted_cents, effect_cents) as effect_cents,
  coalesce(adjusted_low, low) as low, coalesce(adjusted_high, high) as high, raw_cents, raw_low, raw_high,
  sequence_low, sequence_high, net_cents, standard_error, is_placebo, decided_from, decided_until"""
    sql = f"""
select {columns} from effects
where treated_count > 0 and (run_id = $run_id or (offer = '{ANY}' and stratum = '{ALL}' and run_id < $run_id))
order by run_id, offer, stratum"""
    rows = records(view.query(sql, {"run_id": view.run.run_id}))
    now = [row for row in rows if row["run_id"] == view.run.run_id]
    whole = next((row for row in now if (row["offer"], row["stratum"]) == (ANY, ALL)), None)
    if whole is None:
        return None
    gains = [(row["run_id"], _arm(row).gain) for row in rows if (row["offer"], row["stratum"]) == (ANY, ALL)]
    return OfferExperiment(
        _arm(whole),
        tuple(_arm(row) for row in now if row["offer"] != ANY and row["stratum"] == ALL),
        strata=tuple(_arm(row) for row in now if row["offer"] == ANY and row["stratum"] != ALL),
        runs=tuple(MeasuredRun(run, one.customer_cents, one.customer_low, one.customer_high) for run, one in gains),
        is_placebo=whole["is_placebo"],
        decided_from=whole["decided_from"],
        decided_until=whole["decided_until"],
        sample_ratio_p_value=_p_value(view),
    )


def _arm(row: Mapping[str, Any]) -> OfferArm:
    treated, effect = row["treated_count"], row["effect_cents"]
    other_cost = effect - row["net_cents"] if row["net_cents"] is not None else 0.0
    low, high = (row[f"sequence_{end}"] if row[f"sequence_{end}"] is not None else row[end] for end in ("low", "high"))
    error = row["standard_error"]
    raw = None
    if row["raw_cents"] is not None:
        ends = (row[name] - other_cost for name in ("raw_cents", "raw_low", "raw_high"))
        raw = Gain.of(*ends, error=error, treated=treated)
    gain = Gain.of(effect - other_cost, low - other_cost, high - other_cost, error=error, treated=treated)
    return OfferArm(
        row["offer"],
        row["stratum"],
        treated_count=treated,
        control_count=row["control_count"],
        gain=gain,
        raw=raw,
        detectable_cents=error * DETECTABLE_ERRORS,
    )


def _p_value(view: Snapshot) -> float | None:
    sql = "select min(p_value) as p_value from assignment_checks where run_id = $run_id"
    return records(view.query(sql, {"run_id": view.run.run_id}))[0]["p_value"]
