"""What earlier offers caused, per offer and segment and over all, with intervals."""

import numpy as np
import pyarrow as pa

from patron.measure.decision_outcomes import (
    CHANCES,
    Outcomes,
    as_outcomes,
    offering_runs_query,
    outcomes_query,
    window_share,
    windows,
)
from patron.measure.effect_estimates import Cell, against_holdout, by_segment
from patron.measure.empirical_bayes import Shrunken, shrunken
from patron.schema.tables import EFFECTS
from patron.storage.stage_view import StageView

ALL = "all"
Z95 = 1.96


def measure_effects(view: StageView) -> pa.Table:
    """Write `effects` from every earlier decision whose window is over, and return them.

    Once offers were really sent, only the runs that sent them count; until then the rows are a placebo.
    """
    promised = view.policy.measure
    as_of = view.run.as_of
    found = view.query(offering_runs_query(as_of)).to_pylist()
    is_placebo = not any(row["is_delivered"] for row in found)
    runs = [(row["run_id"], row["decided_at"]) for row in found if row["is_delivered"] or is_placebo]
    asked = windows(runs, as_of, window_days=promised.window_days, history_days=promised.history_days)
    cutoffs = asked.filter(asked["is_measured"])["decided_at"].to_pylist()
    rows = EFFECTS.empty()
    if cutoffs:
        followed = view.query(outcomes_query(view.settings.shop.margin_share), windows=asked)
        outcomes = as_outcomes(followed, view.query(CHANCES, windows=asked))
        same = {
            "run_id": view.run.run_id,
            "window_share": window_share(asked, window_days=promised.window_days),
            "is_placebo": is_placebo,
            "decided_from": min(cutoffs),
            "decided_until": max(cutoffs),
        }
        rows = pa.Table.from_pylist([row | same for row in estimate(outcomes)], schema=EFFECTS.schema())
    view.write("effects", rows)
    return rows


def estimate(outcomes: Outcomes) -> list[dict[str, str | int | float]]:
    """Per offer: everybody, unshrunken; per offer and segment: shrunken; and all offers against the holdout."""
    cells = by_segment(outcomes)
    overall = [cell for cell in cells if cell.segment == ALL]
    parts = [cell for cell in cells if cell.segment != ALL]
    counts = {(cell.offer, cell.segment): (cell.treated_count, cell.control_count) for cell in parts}
    segments = sorted(set(outcomes.segment.tolist()))
    wanted = [(cell.offer, segment) for cell in overall for segment in segments]
    held_out = against_holdout(outcomes)
    plain = [_plain(cell) for cell in ([held_out] if held_out else []) + overall]
    return plain + [_shrunken(one, counts) for one in shrunken(parts, wanted)]


def _plain(cell: Cell) -> dict[str, str | int | float]:
    return _row(
        cell.offer, cell.segment, (cell.treated_count, cell.control_count), cell.difference, cell.standard_error
    )


def _shrunken(one: Shrunken, counts: dict[tuple[str, str], tuple[int, int]]) -> dict[str, str | int | float]:
    return _row(one.offer, one.segment, counts.get((one.offer, one.segment), (0, 0)), one.effect, one.standard_error)


def _row(
    offer: str, segment: str, counts: tuple[int, int], effect: float, error: float
) -> dict[str, str | int | float]:
    reach = Z95 * error
    numbers = {"effect_cents": effect, "low": effect - reach, "high": effect + reach, "standard_error": error}
    if not np.isfinite(list(numbers.values())).all():
        raise ValueError(f"effect of {offer} in {segment} is not finite: {numbers}")
    return {"offer": offer, "segment": segment, "treated_count": counts[0], "control_count": counts[1], **numbers}
