"""What the customers it is given will pay together in the next 90 days, and how sure that is; forecasts add up to it.

Models of customers see no season and no growth; the shop's own past totals do. Three forecasts of the total are
averaged, as none is best everywhere: what the models add up to; what established customers paid in the last 90 days,
times how that changed before; and how many of them there are, times what each paid before. The steadier a method was,
the more it counts. The last two are out of reach while nobody has been a customer for 90 days at a cutoff whose next
90 days are known.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.learner import LABEL, labelled, newest, rows_where
from patron.schema.numbers import Numbers, float_column
from patron.schema.questions import VALUE

DAYS = VALUE.horizon_days
FEWEST_ESTABLISHED = 50
CUTOFFS = 3
"""Newest cutoffs with known labels that tell how totals change."""
MONTHS = np.array([0.92, 0.91, 1.0, 0.96, 0.99, 0.97, 0.97, 0.98, 0.95, 0.99, 1.13, 1.23])
"""Sales of a month against the year's mean, roughly, of shops whose year ends in presents: assumed, not measured."""
PRIOR_SHARE = 0.5
"""How much of that season a shop is believed to have before it has seen a year."""
SEASON_SPREAD = 0.15
"""Standard deviation of the logarithm of a season that a shop has not seen."""
LEAST_SPREAD = 0.05
MODELS_SPREAD = 0.1
"""Standard deviation of the logarithm of what models of customers add up to, as published holdouts have it."""
UNKNOWN_SPREAD = 0.3
"""That of a method seen at one cutoff only."""
YEAR = (345, 380)
"""Days back at which a cutoff saw the season that now begins."""
SHUT = 0.05
"""A cutoff at which established customers paid less than this share of the usual tells nothing of the others."""
STRONGEST = 2.0
"""A season brings no more than this factor, or its inverse."""
SURE = 1.2816
"""Standard deviations either side that hold 80 %."""


@dataclass(frozen=True)
class ShopTotal:
    """Forecast total of the next 90 days, with an 80 % interval, cents."""

    cents: float
    low_cents: float
    high_cents: float
    methods: Mapping[str, float]
    """What each method forecasts before the season, cents."""
    season: float
    """Factor for the season to come against the one just gone."""
    is_season_observed: bool
    """Whether the shop has seen this season, a year ago."""

    def saved(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**vars(self), "methods": dict(self.methods)}


@dataclass(frozen=True)
class _Past:
    """Of the established customers of one cutoff: how many, what they paid before it, and in the 90 days after."""

    at: datetime
    count: int
    paid_cents: float
    then_cents: float

    @property
    def change(self) -> float:
        """What they paid after, against before."""
        return self.then_cents / self.paid_cents


def shop_total(table: pa.Table, modelled: Numbers) -> ShopTotal:
    """The total of the customers of the newest cutoff, from the forecast of each and from earlier cutoffs' labels."""
    rows = newest(table)
    now = rows["as_of"][0].as_py()
    is_old = float_column(rows, "days_since_first_order") >= DAYS
    methods, spreads = {"models": float(modelled.sum())}, [MODELS_SPREAD]
    past = _known(labelled(table), now)
    recent = [one for one in past if one.at >= now - timedelta(days=2 * DAYS + 30)][-CUTOFFS:]
    if recent and is_old.sum() >= FEWEST_ESTABLISHED:
        paid, new = float(float_column(rows, "paid_cents_90_days")[is_old].sum()), float(modelled[~is_old].sum())
        changes = [one.change / _prior(one.at) for one in recent]
        each = [one.then_cents / one.count / _level(one.at) for one in recent]
        before = _level(now - timedelta(days=DAYS))
        totals = {"change": (paid * float(np.mean(changes)) + new, changes)}
        totals["each"] = (float(np.mean(each)) * before * int(is_old.sum()) + new, each)
        for name, (cents, values) in totals.items():
            if cents > 0:
                methods[name] = cents
                spreads.append(_spread(values))
    season, is_seen = _season(past, now)
    logs = np.log([max(one, 1.0) for one in methods.values()])
    weights = 1 / (LEAST_SPREAD**2 + np.square(spreads))
    mean = np.average(logs, weights=weights)
    cents = float(np.exp(mean) * season)
    apart = np.average((logs - mean) ** 2, weights=weights)
    unseen = 0.0 if is_seen else SEASON_SPREAD
    spread = float(np.sqrt(1 / weights.sum() + apart + unseen**2))
    low, high = cents * np.exp(-SURE * spread), cents * np.exp(SURE * spread)
    return ShopTotal(cents, float(low), float(high), methods, season, is_seen)


def _spread(values: list[float]) -> float:
    """Standard deviation of the logarithms of what a method said at different cutoffs."""
    return float(np.std(np.log(values), ddof=1)) if len(values) > 1 else UNKNOWN_SPREAD


def _known(rows: pa.Table, now: datetime) -> list[_Past]:
    """Cutoffs with enough established customers, all with a label, oldest first; none when the shop was nearly shut."""
    found = []
    for cutoff in sorted(set(rows["as_of"].to_pylist())):
        if cutoff > now - timedelta(days=DAYS):
            continue
        here = rows_where(rows, pc.equal(rows["as_of"], pa.scalar(cutoff, rows.schema.field("as_of").type)))
        is_old = float_column(here, "days_since_first_order") >= DAYS
        if is_old.sum() >= FEWEST_ESTABLISHED:
            paid, then = (float_column(here, name)[is_old] for name in ("paid_cents_90_days", LABEL))
            found.append(_Past(cutoff, int(is_old.sum()), float(paid.sum()), float(then.sum())))
    usual = float(np.median([one.then_cents for one in found])) if found else 0.0
    return [one for one in found if min(one.paid_cents, one.then_cents) > max(SHUT * usual, 0.0)]


def _season(past: list[_Past], now: datetime) -> tuple[float, bool]:
    """The season to come against the last one: half of the shop's own of a year ago and half of what is assumed.

    One year is one draw: a promotion or an outage then is no season. Without a year, what is assumed alone.
    """
    then = [one for one in past if YEAR[0] <= (now - one.at).days <= YEAR[1]]
    if then:
        usual = float(np.exp(np.mean([np.log(one.change) for one in past])))
        own = float(np.mean([one.change for one in then])) / usual
        return float(np.clip(math.sqrt(own * _prior(now)), 1 / STRONGEST, STRONGEST)), True
    return _prior(now), False


def _prior(at: datetime) -> float:
    """How much more the 90 days from a cutoff bring than those before it, as the shop is believed to have it."""
    return _level(at) / _level(at - timedelta(days=DAYS))


def _level(at: datetime) -> float:
    """Sales of the 90 days from a cutoff against the year's mean, as the shop is believed to have it."""
    months = [(at + timedelta(days=day)).month - 1 for day in range(DAYS)]
    return float((MONTHS[months].mean() / MONTHS.mean()) ** PRIOR_SHARE)
