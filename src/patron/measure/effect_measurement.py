"""Measure the effects of earlier offers, per offer and stratum and over all, with intervals."""

import numpy as np
import pyarrow as pa

from patron.measure.decision_outcomes import (
    PROPENSITIES_QUERY,
    DecisionOutcomes,
    as_decision_outcomes,
    offering_runs_query,
    outcomes_query,
    window_share,
    windows,
)
from patron.measure.effect_estimates import EffectEstimate, effect_against_holdout, effects_by_stratum
from patron.measure.empirical_bayes import ShrunkEffect, shrunk_effects
from patron.schema.tables import EFFECTS
from patron.storage.stage_view import StageView

ALL = "all"
Z95 = 1.96


def measure_effects(view: StageView) -> pa.Table:
    """Write `effects` from every earlier decision whose window is over, and return them.

    Once offers were really sent, only the runs that sent them count; until then the rows are a placebo.
    """
    policy = view.policy.measure
    as_of = view.run.as_of
    offering_runs = view.query(offering_runs_query(as_of)).to_pylist()
    is_placebo = not any(row["is_delivered"] for row in offering_runs)
    runs = [(row["run_id"], row["decided_at"]) for row in offering_runs if row["is_delivered"] or is_placebo]
    run_windows = windows(runs, as_of, window_days=policy.window_days, history_days=policy.history_days)
    cutoffs = run_windows.filter(run_windows["is_measured"])["decided_at"].to_pylist()
    rows = EFFECTS.empty()
    if cutoffs:
        outcome_rows = view.query(outcomes_query(view.settings.shop.margin_share), windows=run_windows)
        outcomes = as_decision_outcomes(outcome_rows, view.query(PROPENSITIES_QUERY, windows=run_windows))
        same = {
            "run_id": view.run.run_id,
            "window_share": window_share(run_windows, window_days=policy.window_days),
            "is_placebo": is_placebo,
            "decided_from": min(cutoffs),
            "decided_until": max(cutoffs),
        }
        rows = pa.Table.from_pylist([row | same for row in effect_rows(outcomes)], schema=EFFECTS.schema())
    view.write("effects", rows)
    return rows


def effect_rows(outcomes: DecisionOutcomes) -> list[dict[str, str | int | float]]:
    """Rows of `effects`: per offer over all, per offer and stratum (shrunk), and all offers against the holdout."""
    estimates = effects_by_stratum(outcomes)
    overall = [one for one in estimates if one.stratum == ALL]
    parts = [one for one in estimates if one.stratum != ALL]
    counts = {(one.offer, one.stratum): (one.treated_count, one.control_count) for one in parts}
    strata = sorted(set(outcomes.stratum.tolist()))
    keys = [(one.offer, stratum) for one in overall for stratum in strata]
    held_out = effect_against_holdout(outcomes)
    plain = [_estimate_row(one) for one in ([held_out] if held_out else []) + overall]
    return plain + [_shrunk_row(one, counts) for one in shrunk_effects(parts, keys)]


def _estimate_row(one: EffectEstimate) -> dict[str, str | int | float]:
    return _row(one.offer, one.stratum, (one.treated_count, one.control_count), one.difference, one.standard_error)


def _shrunk_row(one: ShrunkEffect, counts: dict[tuple[str, str], tuple[int, int]]) -> dict[str, str | int | float]:
    return _row(one.offer, one.stratum, counts.get((one.offer, one.stratum), (0, 0)), one.effect, one.standard_error)


def _row(
    offer: str, stratum: str, counts: tuple[int, int], effect: float, error: float
) -> dict[str, str | int | float]:
    reach = Z95 * error
    numbers = {"effect_cents": effect, "low": effect - reach, "high": effect + reach, "standard_error": error}
    if not np.isfinite(list(numbers.values())).all():
        raise ValueError(f"effect of {offer} in {stratum} is not finite: {numbers}")
    return {"offer": offer, "stratum": stratum, "treated_count": counts[0], "control_count": counts[1], **numbers}
