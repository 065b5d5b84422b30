"""How early warnings come and how often they are right: lead time against precision, next to simple rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.schema.errors import BadComparison
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.hazards.evaluation import Follow, observe, resample_count
from patron.tabular.hazards.fitted_hazards import FittedHazards
from patron.tabular.hazards.observed_lifetimes import read_numbers
from patron.tabular.hazards.person_periods import PersonPeriods

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3)
LIFE_TABLE = "life table"


@dataclass(frozen=True)
class WarningScore:
    """Warnings by one rule at one threshold, each number with its 95 % interval.

    A customer is warned of once: in the first period at whose start the rule reaches the threshold.
    """

    rule: str
    share: float
    """Share of all person-periods that reach the threshold."""
    threshold: float
    warned_share: Interval
    """Share of customers who are warned of."""
    precision: Interval
    """Share of those warned of who leave within `within` periods of the first warning, that period counted."""
    leavers_warned_share: Interval
    """Share of the customers who left that was warned of before."""
    lead_quartiles: tuple[Interval, Interval, Interval]
    """Periods from the first warning to the one in which the customer left: 0 is in that very period."""


@dataclass(frozen=True, eq=False)
class EarlyWarning:
    """Rules on the same customers, the model first; shares of person-periods make them comparable."""

    scores: tuple[WarningScore, ...]
    gains: tuple[tuple[str, float, Interval], ...]
    """By how much the model's precision is above another rule's at the same share: rule, share, paired gain."""
    within: int
    customer_count: int
    leaver_count: int

    def score(self, rule: str, share: float) -> WarningScore:
        """One score. Raises KeyError where there is none."""
        for one in self.scores:
            if (one.rule, one.share) == (rule, share):
                return one
        raise KeyError(f"no warnings by {rule} at {share}")

    def to_table(self) -> pa.Table:
        """A row for each rule and share, numbers with the ends of their intervals."""
        return pa.Table.from_pylist([_row(one) for one in self.scores])


def early_warning(
    model: FittedHazards,
    table: Any,
    *,
    within: int = 3,
    shares: Sequence[float] = SHARES,
    rule: str | None = None,
    seed: int = 0,
) -> EarlyWarning:
    """Judge the forecasts made at the start of each period as warnings, on customers that were not learned from.

    The table has the columns that the model learned from; features that change need a row for each period, or
    landmarks. A forecast is the chance to leave within `within` periods. `rule` is a column to compare with, such as
    the days since the last order: the higher, the likelier to leave. Whether somebody left in time is not known of all;
    who is known counts by the inverse chance of being known (IPCW). Raises BadComparison, NotEnoughData.
    """
    read = table_without_index(table)
    if within < 1 or not all(0 < share < 1 for share in shares):
        todo = "Give `within` from 1 on and `shares` between 0 and 1."
        raise BadComparison("warnings need periods and shares", where="early_warning", todo=todo)
    rows, warned = _decisions(model, read, within, seed)
    forecasts = {model.model.kind: _chances(model, read, rows, within)}
    if rule is not None:
        if rule not in read.column_names:
            raise BadComparison(f"there is no column {rule!r}", where="rule", todo="Name a column of the table.")
        values = read_numbers(read[rule], rule)
        forecasts[rule] = np.nan_to_num(values, nan=-np.inf)[rows.rows]
    forecasts[LIFE_TABLE] = _life_table_chances(model, rows, within)
    scores, gains = [], []
    for share in sorted(shares):
        first: Numbers | None = None
        for name, forecast in forecasts.items():
            score, precisions = warned.score(name, forecast, share)
            scores.append(score)
            if first is None:
                first = precisions
            else:
                gain = first - precisions
                gains.append((name, share, percentile_interval(float(gain[0]), gain[1:])))
    return EarlyWarning(
        tuple(scores),
        tuple(gains),
        within=within,
        customer_count=len(warned.is_event),
        leaver_count=int(warned.is_event.sum()),
    )


@dataclass(frozen=True, eq=False)
class _Warnings:
    """Person-periods customer by customer, in the order of time."""

    owner: Index
    periods: Index
    entered: Index
    last: Index
    is_event: Any
    follow: Follow
    within: int
    draws: Numbers
    """How often each customer counts; the first line counts each once."""

    def score(self, name: str, forecast: Numbers, share: float) -> tuple[WarningScore, Numbers]:
        """Warnings of a rule, and its precision in each resample, the value first."""
        threshold = _threshold(forecast, share)
        reaches = np.flatnonzero(forecast >= threshold)
        who, first_place = np.unique(self.owner[reaches], return_index=True)
        period = self.periods[reaches[first_place]]
        leaves = self.is_event[who] & (self.last[who] < period + self.within)
        warned = self.draws[:, who]
        weight = self._known_weight(who, period)
        precision = _ratio(warned @ (weight * leaves), warned @ weight)
        leavers = self.draws @ self.is_event
        left = np.flatnonzero(self.is_event[who])
        reached = _ratio(warned[:, left].sum(axis=1), leavers)
        leads = self.last[who[left]] - period[left]
        quartiles = [_weighted_quantile(leads, warned[:, left], level) for level in (0.25, 0.5, 0.75)]
        warned_share = warned.sum(axis=1) / self.draws.sum(axis=1)
        one, two, three = (_interval(values) for values in quartiles)
        intervals = (_interval(warned_share), _interval(precision), _interval(reached))
        return WarningScore(name, share, threshold, *intervals, (one, two, three)), precision

    def _known_weight(self, who: Index, period: Index) -> Numbers:
        """Inverse chance that it is known whether a customer left in time, of those observed in the first period."""
        chance = self.follow.observed_chance
        until = np.minimum(self.last[who], period + self.within - 1) - self.entered[who]
        is_known = self.is_event[who] | (self.last[who] >= period + self.within - 1)
        at, since = chance[np.minimum(until, len(chance) - 1)], chance[period - self.entered[who]]
        return np.where(is_known, since / np.maximum(at, 1e-12), 0.0)


def _decisions(model: FittedHazards, table: pa.Table, within: int, seed: int) -> tuple[PersonPeriods, _Warnings]:
    """When a customer could have been warned of: at the start of each person-period, or at each landmark."""
    lifetimes, rows = observe(model, table)
    lifetimes.refuse_without_events(model.roles.event)
    last, is_event = rows.periods, rows.label > 0
    if model.roles.has_landmarks:
        ends = lifetimes.last, lifetimes.is_event
        rows = rows.take(np.flatnonzero(rows.ahead == 1))
        places = np.searchsorted(lifetimes.rows, rows.rows)
        last, is_event = (values[places] for values in ends)
    order = np.lexsort((rows.periods, rows.units))
    rows, last, is_event = rows.take(order), last[order], is_event[order]
    starts = np.flatnonzero(np.concatenate([[True], rows.units[1:] != rows.units[:-1]]))
    owner = np.repeat(np.arange(len(starts)), np.diff([*starts.tolist(), len(order)]))
    last, is_event = np.maximum.reduceat(last, starts), np.logical_or.reduceat(is_event, starts)
    entered = rows.periods[starts] - 1
    rng = np.random.default_rng(seed)
    resamples = bootstrap_weights(np.arange(len(starts)), rng=rng, resamples=resample_count(len(starts)))
    draws = np.vstack([np.ones(len(starts)), resamples])
    follow = Follow(last - entered, is_event)
    return rows, _Warnings(owner, rows.periods, entered, last, is_event, follow, within, draws)


def _chances(model: FittedHazards, table: pa.Table, rows: PersonPeriods, within: int) -> Numbers:
    """Chance to leave within some periods, at the start of each person-period."""
    stays = np.ones(len(rows.rows))
    for step in range(within):
        stays *= 1 - model.hazard_of_rows(table, rows.rows, rows.periods + step, rows.ahead + step)
    return 1 - stays


def _life_table_chances(model: FittedHazards, rows: PersonPeriods, within: int) -> Numbers:
    ahead = rows.periods[:, None] + np.arange(within)
    return 1 - np.prod(1 - model.life_table.hazard(ahead.ravel()).reshape(ahead.shape), axis=1)


def _threshold(forecast: Numbers, share: float) -> float:
    """The value that nearly a share of the forecasts reach; of many equal ones, so that at most as many reach it."""
    ranked = np.sort(forecast)[::-1]
    count = max(1, round(share * len(ranked)))
    threshold = float(ranked[count - 1])
    if (forecast >= threshold).sum() > count and threshold < ranked[0]:
        threshold = float(ranked[ranked > threshold][-1])
    return threshold


def _weighted_quantile(values: Index, weights: Numbers, level: float) -> Numbers:
    """The quantile of whole numbers, one for each line of weights; NaN of none."""
    if not len(values):
        return np.full(len(weights), np.nan)
    counts = np.zeros((len(weights), int(values.max()) + 1))
    np.add.at(counts.T, values, weights.T)
    sums = np.cumsum(counts, axis=1)
    places = (sums < level * sums[:, -1:]).sum(axis=1).astype(np.float64)
    return np.where(sums[:, -1] > 0, places, np.nan)


def _ratio(top: Numbers, bottom: Numbers) -> Numbers:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def _interval(values: Numbers) -> Interval:
    return percentile_interval(float(values[0]), values[1:])


def _row(one: WarningScore) -> dict[str, Any]:
    numbers = {
        "warned_share": one.warned_share,
        "precision": one.precision,
        "leavers_warned_share": one.leavers_warned_share,
        "lead_lower_quartile": one.lead_quartiles[0],
        "lead_median": one.lead_quartiles[1],
        "lead_upper_quartile": one.lead_quartiles[2],
    }
    row: dict[str, Any] = {"rule": one.rule, "share": one.share, "threshold": one.threshold}
    for name, interval in numbers.items():
        row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row
