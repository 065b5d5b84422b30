"""How good hazards are on customers that they were not learned from, next to the life table, censoring weighed in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.frames import table_without_index
from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.hazards.fitted_hazards import FittedHazards
from patron.tabular.hazards.hazard_model import LifeTableHazards
from patron.tabular.hazards.observed_lifetimes import Flags, Lifetimes
from patron.tabular.hazards.person_periods import (
    Hashes,
    PersonPeriods,
    customer_hashes,
    expand,
    lifetimes_of,
    read_person_periods,
)

RESAMPLES, MIN_RESAMPLES = 200, 40
MAX_CELLS = 20_000_000
"""Customers times resamples that are held; of many customers, whose intervals are narrow, there are fewer."""
MIN_AT_RISK = 20
MIN_UNCENSORED = 0.1
"""Nothing is measured beyond the period until which less than this share of customers is observed."""
BASELINE = "life table"
HIGHER_IS_BETTER = frozenset({"concordance", "concordance_uncensored", "auc"})
GAINS = ("concordance", "concordance_uncensored", "integrated_brier", "log_loss", "brier", "auc")


@dataclass(frozen=True)
class HazardScore:
    """One metric of a model, or of the baseline; low and high are the ends of its 95 % interval."""

    model: str
    metric: str
    period: int | None
    """Periods since observation began; nothing for a metric of all periods."""
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class HazardEvaluation:
    """Scores of a model and of the life table on the same customers.

    `concordance` is Harrell's, of the chance to leave within the horizon; `concordance_uncensored` is Uno's. `brier`,
    `auc` and `calibration_error` are of leaving within so many periods, `integrated_brier` is the mean over all of
    them, `log_loss` that of person-periods.
    """

    scores: tuple[HazardScore, ...]
    gains: tuple[HazardScore, ...]
    """How much better the model is than the life table, paired on the same customers; above 0 is better."""
    horizon: int
    customer_count: int
    event_count: int

    def score(self, model: str, metric: str, period: int | None = None) -> HazardScore:
        """One score. Raises KeyError where there is none."""
        return _only(self.scores, model, metric, period)

    def gain(self, metric: str, period: int | None = None) -> HazardScore:
        """One paired gain. Raises KeyError where there is none."""
        return _only(self.gains, self.gains[0].model, metric, period)

    def to_table(self) -> pa.Table:
        """The scores, a row each."""
        names = list(HazardScore.__dataclass_fields__)
        return pa.table({name: [getattr(one, name) for one in self.scores] for name in names})


def evaluate_hazards(
    model: FittedHazards, table: Any, *, periods: Sequence[int] | None = None, seed: int = 0
) -> HazardEvaluation:
    """Score hazards on other customers, with the columns that the model learned from.

    Time counts from the start of a customer's observation, and forecasts are of who was active then. `periods` are
    those whose chance to leave is scored; by default a quarter, half and all of the horizon, the last period that a
    tenth of the customers and at least 20 are observed until. Censored customers are weighed in by the inverse chance
    of being observed (IPCW). Raises BadComparison, NotEnoughData.
    """
    read = table_without_index(table)
    judged = JudgedLifetimes.of(model, read, periods)
    draws = bootstrap_weights(
        judged.units, rng=np.random.default_rng(seed), resamples=resample_count(len(judged.units))
    )
    baseline = FittedHazards(
        model.roles,
        LifeTableHazards(model.life_table),
        life_table=model.life_table,
        counts=model.counts,
        notes=(),
        kinds=model.kinds,
        encoding=model.encoding,
    )
    names = (model.model.kind, BASELINE) if model.model.kind != LifeTableHazards.kind else (BASELINE,)
    measured = [judged.measure(one, draws) for one in (model, baseline)[: len(names)]]
    scores = [
        HazardScore(name, metric, period=period, value=one.value, low=one.low, high=one.high)
        for name, values in zip(names, measured, strict=True)
        for (metric, period), (value, drawn) in values.items()
        for one in (_interval(metric, value, drawn),)
    ]
    gains = [
        HazardScore(names[0], metric, period=period, value=one.value, low=one.low, high=one.high)
        for (metric, period), (value, drawn) in measured[0].items()
        if metric in GAINS and len(names) > 1
        for one in (_gain(metric, (value, drawn), measured[1][metric, period]),)
    ]
    return HazardEvaluation(
        tuple(scores),
        tuple(gains),
        horizon=judged.horizon,
        customer_count=len(judged.followed),
        event_count=int(judged.is_event.sum()),
    )


@dataclass(frozen=True, eq=False)
class Follow:
    """How long customers were followed, in whole periods, and how it ended."""

    followed: Index
    """Periods from the start of observation to the one in which a customer left, or whole ones survived."""
    is_event: Flags

    @cached_property
    def observed_chance(self) -> Numbers:
        """P(observed in period t, unless a customer left before), for t = 0, 1 ...: Kaplan-Meier of the censoring.

        Who is censored after period t was observed in it, and events of a period come before its censoring.
        """
        length = int(self.followed.max()) + 1
        at_risk = np.cumsum(np.bincount(self.followed, minlength=length)[::-1])[::-1].astype(np.float64)
        events = np.bincount(self.followed, self.is_event, minlength=length)
        censored = np.bincount(self.followed, ~self.is_event, minlength=length)
        stays = at_risk - events
        kept = np.divide(stays - censored, stays, out=np.zeros(length), where=stays > 0)
        return np.concatenate([[1.0], np.cumprod(kept)[:-1]])

    def weights(self, period: int) -> Numbers:
        """Inverse chance that what happened until the period is known; 0 where it is not."""
        is_known = self.is_event | (self.followed >= period)
        chance = self.observed_chance[np.minimum(self.followed, period)]
        return np.divide(is_known, chance, out=np.zeros(len(chance)), where=chance > 0)

    def left_by(self, period: int) -> Numbers:
        """1 for customers who left by the period."""
        return (self.is_event & (self.followed <= period)).astype(np.float64)

    @property
    def horizon(self) -> int:
        """The last period until which enough customers are observed."""
        at_risk = np.cumsum(np.bincount(self.followed)[::-1])[::-1]
        is_enough = (at_risk >= MIN_AT_RISK) & (self.observed_chance >= MIN_UNCENSORED)
        enough = np.flatnonzero(is_enough[1:]) + 1
        return int(enough[-1]) if len(enough) else 0


Measured = dict[tuple[str, int | None], tuple[float, Numbers]]


@dataclass(frozen=True, eq=False)
class JudgedLifetimes:
    """Customers that were not learned from."""

    table: pa.Table
    """What is known of each customer when observation begins."""
    entered: Index
    followed: Index
    is_event: Flags
    all_rows: pa.Table
    rows: PersonPeriods
    owner: Index
    """The row of `table` of each person-period."""
    units: Hashes
    """What is resampled: whole customers, with all their landmarks."""
    periods: tuple[int, ...]
    horizon: int

    @classmethod
    def of(cls, model: FittedHazards, table: pa.Table, periods: Sequence[int] | None) -> "JudgedLifetimes":
        """Read them as the model read those that it learned from. Raises BadComparison, NotEnoughData."""
        lifetimes, rows = observe(model, table)
        lifetimes.refuse_without_events(model.roles.event)
        few = table.take(pa.array(lifetimes.rows))
        follow = Follow(lifetimes.whole_periods, lifetimes.is_event)
        horizon = follow.horizon
        if not horizon or not follow.left_by(horizon).any():
            what = f"{len(few):,} customers are too few to judge by, or nobody left while enough were observed"
            raise NotEnoughData(what, todo=f"Give at least {MIN_AT_RISK} customers, some of whom left.")
        chosen = tuple(dict.fromkeys(periods or (max(1, horizon // 4), max(1, horizon // 2), horizon)))
        if min(chosen) < 1 or max(chosen) > horizon:
            what = f"{max(chosen)} periods cannot be judged: enough customers are observed for {horizon}"
            raise BadComparison(what, where="periods", todo=f"Give periods from 1 to {horizon}.")
        if model.roles.period is None:
            owner = np.searchsorted(lifetimes.rows, rows.rows)
        else:
            owner = np.unique(rows.units, return_inverse=True)[1]  # `lifetimes_of` has them in the same order
        units = customer_hashes(table, model.roles.id)[lifetimes.rows]
        follows = follow.followed, follow.is_event
        return cls(few, lifetimes.entered, *follows, table, rows, owner, units, chosen, horizon)

    def measure(self, model: FittedHazards, draws: Numbers) -> Measured:
        """Every metric with its value in each resample, by name and period."""
        unit = model.roles.period_length
        leaves = 1 - model.survival(self.table, self.horizon, active_for=self.entered * unit)
        measured: Measured = dict(self._concordances(leaves[:, -1], draws))
        briers = np.zeros(len(self.followed))
        for period in range(1, self.horizon + 1):
            briers += self._brier(leaves, period) / self.horizon
        measured["integrated_brier", None] = _mean(briers, draws)
        measured["log_loss", None] = self._log_loss(model, draws)
        for period in self.periods:
            forecast, actual = leaves[:, period - 1], self.follow.left_by(period)
            weight = self.follow.weights(period)
            measured["brier", period] = _mean(self._brier(leaves, period), draws)
            measured["auc", period] = _measured(metrics.auc, actual, forecast, weight[None, :], draws * weight)
            # The mean of this is the share that left, whatever was censored.
            share = actual * weight
            every = np.ones((1, len(share)))
            measured["calibration_error", period] = _measured(metrics.calibration_error, share, forecast, every, draws)
            measured["mean_forecast", period] = _mean(forecast, draws)
            measured["share_left", period] = _mean(share, draws)
        return measured

    @cached_property
    def follow(self) -> Follow:
        """How long, and how it ended."""
        return Follow(self.followed, self.is_event)

    def _brier(self, leaves: Numbers, period: int) -> Numbers:
        return self.follow.weights(period) * (self.follow.left_by(period) - leaves[:, period - 1]) ** 2

    def _log_loss(self, model: FittedHazards, draws: Numbers) -> tuple[float, Numbers]:
        hazard = np.clip(
            model.hazard_of_rows(self.all_rows, self.rows.rows, self.rows.periods, self.rows.ahead), 1e-6, 1 - 1e-6
        )
        each = -(self.rows.label * np.log(hazard) + (1 - self.rows.label) * np.log1p(-hazard)) * self.rows.weight
        count = len(self.followed)
        loss, time = np.bincount(self.owner, each, count), np.bincount(self.owner, self.rows.weight, count)
        return float(loss.sum() / time.sum()), (draws @ loss) / (draws @ time)

    def _concordances(self, risk: Numbers, draws: Numbers) -> Iterator[tuple[tuple[str, None], tuple[float, Numbers]]]:
        """Of pairs of a leaver and a customer who stays longer, the share in which the leaver has the higher risk.

        Uno's counts a pair by the inverse squared chance that it is observed.
        """
        _, place = np.unique(risk, return_inverse=True)
        order = np.argsort(place, kind="stable")
        both = np.vstack([np.ones((1, len(order))), draws])[:, order]
        ranked = place[order]
        followed = self.followed[order]
        is_event = self.is_event[order]
        sums = np.zeros((4, len(both)))
        for period in range(1, self.horizon + 1):
            is_case = is_event & (followed == period)
            at_risk = np.flatnonzero((followed > period) | ((followed == period) & ~is_event) | is_case)
            if not is_case.any() or len(at_risk) == is_case.sum():
                continue
            cases = np.where(is_case[at_risk], both[:, at_risk], 0.0)
            others = both[:, at_risk] - cases
            ranks = ranked[at_risk]
            starts = np.flatnonzero(np.concatenate([[True], ranks[1:] != ranks[:-1]]))
            case_groups = np.add.reduceat(cases, starts, axis=1)
            other_groups = np.add.reduceat(others, starts, axis=1)
            below = np.cumsum(other_groups, axis=1) - other_groups / 2
            right, pairs = (case_groups * below).sum(axis=1), cases.sum(axis=1) * others.sum(axis=1)
            weight = 1 / self.follow.observed_chance[period] ** 2
            sums += np.array([right, pairs, weight * right, weight * pairs])
        ratios = np.divide(sums[[0, 2]], sums[[1, 3]], out=np.full((2, len(both)), np.nan), where=sums[[1, 3]] > 0)
        for name, values in zip(("concordance", "concordance_uncensored"), ratios, strict=True):
            yield (name, None), (float(values[0]), values[1:])


def resample_count(customers: int) -> int:
    """How many bootstrap resamples are drawn of so many customers."""
    return max(MIN_RESAMPLES, min(RESAMPLES, MAX_CELLS // max(customers, 1)))


def observe(model: FittedHazards, table: pa.Table) -> tuple[Lifetimes, PersonPeriods]:
    """Lifetimes and person-periods of a table, read as the model read the one it learned from."""
    roles = model.roles
    if roles.period is not None:
        rows = read_person_periods(table, roles)
        return lifetimes_of(rows)[0], rows
    lifetimes = Lifetimes.of(table, roles)
    total = int(lifetimes.period_counts.sum())
    return lifetimes, expand(lifetimes, customer_hashes(table, roles.id), limit=max(total, 1), seed=0)


def _measured(
    measure: Callable[..., Any], actual: Numbers, forecast: Numbers, weight: Numbers, draws: Numbers
) -> tuple[float, Numbers]:
    return float(measure(actual, forecast, weight)[0]), measure(actual, forecast, draws)


def _interval(metric: str, value: float, draws: Numbers) -> Interval:
    """Noise alone makes a calibration error, and a resample has more of it: its interval is mirrored at the value."""
    one = percentile_interval(value, draws)
    if metric != "calibration_error":
        return one
    return Interval(value, max(2 * value - one.high, 0.0), max(2 * value - one.low, value))


def _mean(values: Numbers, draws: Numbers) -> tuple[float, Numbers]:
    return float(values.mean()), (draws @ values) / draws.sum(axis=1)


def _gain(metric: str, one: tuple[float, Numbers], other: tuple[float, Numbers]) -> Interval:
    sign = 1 if metric in HIGHER_IS_BETTER else -1
    return percentile_interval(sign * (one[0] - other[0]), sign * (one[1] - other[1]))


def _only(scores: tuple[HazardScore, ...], model: str, metric: str, period: int | None) -> HazardScore:
    for one in scores:
        if (one.model, one.metric, one.period) == (model, metric, period):
            return one
    raise KeyError(f"no {metric} of {model} at {period}")
