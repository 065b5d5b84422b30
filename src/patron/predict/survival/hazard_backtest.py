"""Which hazards carry curves on after the churn forecast: chosen at a past cutoff, next to the life table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from patron.predict.survival.landmarks import FEATURES, Landmarks
from patron.schema.errors import NotEnoughData
from patron.schema.models.survival import HORIZONS_DAYS, PAUSE_PERIODS, PERIOD_DAYS
from patron.schema.numbers import float_column
from patron.tabular.hazards import (
    FittedHazards,
    HazardEvaluation,
    HazardLogistic,
    HazardScore,
    HazardTrees,
    evaluate_hazards,
    fit_hazards,
)
from patron.tabular.hazards.evaluation import Follow

LIFE_TABLE, LIFE_TABLE_SCORE = "life_table", "life table"
LEARNERS: dict[str, HazardTrees | HazardLogistic] = {
    "hazard_trees": HazardTrees(rounds=60, leaves=6),
    "hazard_logistic": HazardLogistic(),
}
MAX_PERSON_PERIODS = 200_000
"""Of more, a sample is learned from."""
MIN_CUSTOMERS, MIN_LEAVERS = 50, 20
"""Customers at the past cutoff, and those who left: before it to learn from, and after it to check by."""


@dataclass(frozen=True)
class HazardBacktest:
    """Learners from a past cutoff on, on customers who were active and ordered in the next 90 days."""

    origin: int
    """Periods from the cutoff to the run's."""
    champion: str
    """The learner with the largest gain in log loss over the life table, if it is beyond noise; else the life table."""
    evaluations: dict[str, HazardEvaluation]

    @property
    def horizons_days(self) -> tuple[int, ...]:
        """Horizons that are checked, the churn forecast's first."""
        return tuple(days for days in HORIZONS_DAYS if days <= self.origin * PERIOD_DAYS)

    def rows(self, run_id: str, origin: str) -> list[dict[str, Any]]:
        """Rows of `survival_backtests`."""
        rows = []
        for learner in (*self.evaluations, LIFE_TABLE):
            one = next(iter(self.evaluations.values())) if learner == LIFE_TABLE else self.evaluations[learner]
            same = {"run_id": run_id, "origin": origin, "champion": self.champion, "learner": learner}
            same |= {"customer_count": one.customer_count, "leaver_count": one.event_count}
            rows += [same | row for row in _metric_rows(one, learner, self.horizons_days)]
        return rows


def backtest_hazards(landmarks: Landmarks, horizons_days: Sequence[int], *, seed: int) -> HazardBacktest:
    """Fit every learner to what was known at a past cutoff, and check it by what came after.

    The cutoff is the longest of the horizons ago, or a shorter one where too few customers are left to check it by. Two
    more, 30 and 60 days later, are forecast by the same fit; what is not over by now is censored.
    Raises NotEnoughData.
    """
    for days in sorted(horizons_days, reverse=True):
        origin = days // PERIOD_DAYS
        known, later = landmarks.known_at(origin), landmarks.since(origin)
        if _are_enough(known, later, origin - PAUSE_PERIODS):
            break
    else:
        raise NotEnoughData(
            "too few customers stayed and left to learn hazards from and to check them by",
            where="survival_backtests",
            todo="Import a longer history, or more customers.",
        )
    checked = [day // PERIOD_DAYS - PAUSE_PERIODS for day in HORIZONS_DAYS[1:] if day <= days]
    evaluations = {
        name: evaluate_hazards(fit_learner(name, known, seed=seed), later, periods=checked, seed=seed)
        for name in LEARNERS
    }
    gains = {name: one.gain("log_loss") for name, one in evaluations.items()}
    better = [name for name, gain in gains.items() if gain.low > 0]
    champion = max(better, key=lambda name: gains[name].value) if better else LIFE_TABLE
    return HazardBacktest(origin, champion, evaluations)


def fit_learner(name: str, lifetimes: pa.Table, *, seed: int) -> FittedHazards:
    """Fit one learner, or the life table. Raises NotEnoughData where nobody left."""
    learner: HazardTrees | HazardLogistic | Literal["baseline"] = LEARNERS.get(name, "baseline")
    columns = {"duration": "periods", "event": "left", "id": "key", "features": FEATURES}
    return fit_hazards(lifetimes, **columns, learner=learner, sample_limit=MAX_PERSON_PERIODS, seed=seed)


def _are_enough(known: pa.Table, later: pa.Table, periods: int) -> bool:
    followed, left = (float_column(later, name).astype(np.intp) for name in ("periods", "left"))
    leavers = min(int(float_column(rows, "left").sum()) for rows in (known, later))
    is_enough = later.num_rows >= MIN_CUSTOMERS and leavers >= MIN_LEAVERS
    return is_enough and Follow(followed, left > 0).horizon >= periods


def _metric_rows(one: HazardEvaluation, learner: str, horizons_days: Sequence[int]) -> list[dict[str, Any]]:
    is_baseline = learner == LIFE_TABLE
    name = LIFE_TABLE_SCORE if is_baseline else one.gains[0].model
    metrics = [("log_loss", None), ("concordance", None)]
    metrics += [("brier", days // PERIOD_DAYS - PAUSE_PERIODS) for days in horizons_days[1:]]
    rows = []
    for metric, period in metrics:
        gain = None if is_baseline else one.gain(metric, period)
        days = horizons_days[-1] if period is None else (period + PAUSE_PERIODS) * PERIOD_DAYS
        shares = dict.fromkeys(("forecast_share", "actual_share"))
        if period is not None:
            left = (one.score(name, share, period).value for share in ("mean_forecast", "share_left"))
            shares = dict(zip(shares, (1 - share for share in left), strict=True))
        ends = _ends(one.score(name, metric, period), "value", "low", "high")
        ends |= _ends(gain, "gain", "gain_low", "gain_high")
        rows.append({"metric": metric, "horizon_days": days} | shares | ends)
    return rows


def _ends(score: HazardScore | None, *names: str) -> dict[str, float | None]:
    numbers = (None, None, None) if score is None else (score.value, score.low, score.high)
    return dict(zip(names, numbers, strict=True))
