"""What the customers it is given will pay together in the next 90 days, and how sure that is; forecasts add up to it.

Two forecasts of the total are averaged, as neither is best everywhere. Buying history along the shop's season knows
Christmas, and the lapsed, of whom an earlier cutoff had few; it is moved by what it missed at the newest cutoffs whose
next 90 days are known. The models of customers know all features, and see a strong season in part. Each counts the
more, the less it is usually off. The interval holds the doubt about the season, about both, and the chance of the
coming 90 days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import LABEL, Fitted, newest, rows_where
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import VALUE, Question
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import SHOP_FORECASTS
from patron.storage.runs.stage_view import StageView

HORIZON = timedelta(days=VALUE.horizon_days)
HISTORY, MODELS = "history", "models"
MODELS_MISS = 0.1
"""Standard deviation of the logarithm of what models of customers are off by together, as in published holdouts."""
HISTORY_MISS = 0.15
"""That of buying history alone."""
LATER_MISS = 0.03
"""That of how a miss changes from a cutoff to one a horizon later."""
MISSES = 2
"""Newest cutoffs with labels that tell what history misses."""
UNSEEN_SHARE = 0.3
"""How much of a season's logarithm the models of customers may not have seen."""
UNKNOWN_CHANCE = 0.1
"""Standard deviation of the logarithm of the total by chance, where no cutoff's next 90 days are known."""
SURE = 1.2816
"""Standard deviations either side that hold 80 %."""


@dataclass(frozen=True)
class ShopTotal:
    """Forecast total of the next 90 days, with an 80 % interval, cents."""

    cents: float
    low_cents: float
    high_cents: float
    methods: Mapping[str, float]
    """What each method forecasts, cents."""
    season: float
    """Factor of the 90 days against the year's mean: the shop's own, or what is assumed of any."""
    is_season_observed: bool
    """Whether the shop has shown it: it is a year old."""
    season_spread: float
    """Standard deviation of the logarithm of that factor."""
    history_weight: float
    """How much buying history counts in the total, 0 to 1; the models of customers count for the rest."""
    calendar_trust: float | None
    """How far the season that people entered is believed, 0 to 1; None where nobody entered one."""


@runtime_checkable
class SumsToTotal(Protocol):
    """A fitted learner whose forecasts add up to one of the shop."""

    @property
    def total(self) -> ShopTotal:
        """The shop's total."""
        ...


def shop_total(table: pa.Table, modelled: Numbers, history: OrdersAndSpend) -> ShopTotal:
    """The total of the customers of the newest cutoff, from the forecast of each and from an earlier cutoff's labels.

    `history` is fitted to the newest cutoff. Raises NotEnoughData where nobody is expected to buy.
    """
    rows = newest(table)
    now = rows["as_of"][0].as_py()
    level, season_spread = history.season.level(now), history.season.spread(now)
    missed, miss_spread, chance = _history_miss(table, history)
    totals = {HISTORY: float(history.forecast(rows).sum()) * float(np.exp(missed)), MODELS: float(modelled.sum())}
    spreads = {HISTORY: miss_spread, MODELS: float(np.hypot(MODELS_MISS, UNSEEN_SHARE * np.log(level)))}
    methods = {name: cents for name, cents in totals.items() if cents >= 1}
    if not methods:
        raise NotEnoughData("nobody is expected to buy", where="value", todo="Import what happened since.")
    logs = np.log(list(methods.values()))
    weights = np.array([1 / spreads[name] ** 2 for name in methods])
    mean = np.average(logs, weights=weights)
    apart = np.average((logs - mean) ** 2, weights=weights)
    spread = float(np.sqrt(1 / weights.sum() + apart + season_spread**2 + chance**2))
    low, high = np.exp(mean - SURE * spread), np.exp(mean + SURE * spread)
    # chance alone does not move what is expected
    expected = np.exp(mean + (spread**2 - chance**2) / 2)
    return ShopTotal(
        float(expected),
        float(low),
        high_cents=float(high),
        methods=methods,
        season=level,
        is_season_observed=history.season.is_observed,
        season_spread=season_spread,
        history_weight=float(weights[list(methods).index(HISTORY)] / weights.sum()) if HISTORY in methods else 0.0,
        calendar_trust=history.season.trust,
    )


def shop_forecast(view: StageView, question: Question, fitted: Fitted, scores: pa.Table) -> pa.Table:
    """Row of `shop_forecasts` where the forecasts add up to one of the shop; none for other questions.

    The learner may have seen a sample of the customers: the rest is in proportion to what all of them add up to.
    """
    total = fitted.total if isinstance(fitted, SumsToTotal) else None
    if total is None or not scores.num_rows:
        return SHOP_FORECASTS.empty()
    value = float(float_column(scores, "value").sum())
    scale = value / total.cents
    row = {
        "run_id": view.run.run_id,
        "question": question.name,
        "value": value,
        "low": total.low_cents * scale,
        "high": total.high_cents * scale,
        "history_value": total.methods[HISTORY] * scale if HISTORY in total.methods else None,
        "models_value": total.methods[MODELS] * scale if MODELS in total.methods else None,
        "history_weight": total.history_weight,
        "season": total.season,
        "is_season_observed": total.is_season_observed,
        "calendar_trust": total.calendar_trust,
    }
    return pa.Table.from_pylist([row], schema=SHOP_FORECASTS.schema())


def _history_miss(table: pa.Table, history: OrdersAndSpend) -> tuple[float, float, float]:
    """Logarithm of what came against history's forecast at the newest cutoffs with labels, as far as it is sure.

    With it the standard deviation of what is left of it, and that of the logarithm of a total by chance alone.
    """
    known = rows_where(table, pc.is_valid(table[LABEL]))
    misses, chances = [], []
    for cutoff in pc.unique(known["as_of"]).sort(order="descending")[:MISSES]:
        rows = rows_where(known, pc.equal(known["as_of"], cutoff))
        came, expected = float_column(rows, LABEL), history.forecast(rows)
        if came.sum() > 0 and expected.sum() > 0:
            times = came.sum() / expected.sum()
            misses.append(float(np.log(times)))
            chances.append(float(np.sqrt(np.square(came - times * expected).sum()) / came.sum()))
    if not misses:
        return 0.0, float(np.hypot(HISTORY_MISS, LATER_MISS)), UNKNOWN_CHANCE
    chance = float(np.mean(chances))
    believed = HISTORY_MISS**2 / (HISTORY_MISS**2 + chance**2)
    left = float(np.sqrt(HISTORY_MISS**2 * (1 - believed) + LATER_MISS**2))
    return believed * float(np.mean(misses)), left, chance
