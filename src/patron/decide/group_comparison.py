"""Whether a selection treats groups of customers alike: rates and calibration by group, with bootstrap intervals.

Definitions are in `schema.group_metrics`.

Each group is compared with all other rows of a known group: the two have no customer in common, so that they are
resampled independently, whole customers with all their rows. A resample of a rate gets half a selected and half an
unselected row more on average (Jeffreys' prior), so that a rate of 0 of 50 is not taken for sure. Intervals of gaps
and ratios are normal, by the standard error of the resamples (of a ratio in logarithms), and hold for all tested
comparisons together (Bonferroni): among many groups the unluckiest one is no finding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from patron.estimators.bootstrap import LEVEL, Interval, bootstrap_weights, percentile_interval
from patron.schema.models import metrics
from patron.schema.models.group_metrics import (
    AUC,
    CALIBRATION_ERROR,
    CALIBRATION_GAP,
    FALSE_POSITIVE_RATE,
    SELECTION_RATE,
    SELECTION_RATIO,
    TRUE_POSITIVE_RATE,
)
from patron.schema.numbers import Numbers

RESAMPLES = 400
HALF = 0.5
"""Rows that Jeffreys' prior adds to each side of a rate."""
CELLS = 2_000_000
"""Rows times resamples that are in memory at once."""


@dataclass(frozen=True, eq=False)
class SelectedRows:
    """One entry per row; arrays of equal length."""

    customers: npt.NDArray[Any]
    """Who the row is about: any ids; rows of one customer are resampled together."""
    is_selected: npt.NDArray[np.bool_]
    forecast: Numbers | None = None
    """Probability, 0 to 1."""
    happened: Numbers | None = None
    """1 where it happened, 0 where it did not."""

    def where(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        """Some of the rows, by mask or position."""
        return type(self)(
            self.customers[which],
            self.is_selected[which],
            None if self.forecast is None else self.forecast[which],
            None if self.happened is None else self.happened[which],
        )

    def __len__(self) -> int:
        return len(self.is_selected)


@dataclass(frozen=True)
class GroupMetric:
    """One metric of one group, next to that of all others."""

    group: str
    metric: str
    customer_count: int
    """Customers that the metric looks at: for the true positive rate those for whom it happened."""
    value: Interval
    """Of the group, with its 95 % interval."""
    others_value: float
    """Of all others of a known group."""
    gap: Interval | None
    """The group's value less the others', with an interval that holds for all comparisons; None for the ratio."""


@dataclass(frozen=True)
class GroupComparison:
    """Metrics of all groups that are large enough, and how many customers are in none of them."""

    metrics: tuple[GroupMetric, ...]
    left_out_count: int
    """Customers of groups that, or all others than which, are too few: not named, so that nobody is recognised."""
    without_group_count: int
    """Customers of whom no group is known."""


def compare_groups(
    rows: SelectedRows, groups: npt.NDArray[np.str_], *, fewest: int, rng: np.random.Generator, tests: int = 1
) -> GroupComparison:
    """Compare each group (one entry per row, '' unknown) of at least `fewest` customers with all others.

    A rate of fewer than `fewest` customers is left out too. `tests` is how many tests are made of each group, for all
    of which together the intervals of gaps hold. Equal rows give equal results in whatever order, whatever the ids are.
    """
    known, sizes = groups != "", _sizes(rows, groups)
    large = [name for name, count in sizes.items() if count >= fewest]
    rest = _customer_count(rows.where(~known))
    level = 1 - (1 - LEVEL) / max(tests * len(large), 1)
    compared: list[GroupMetric] = []
    for name in large:
        others = rows.where(known & (groups != name))
        if _customer_count(others) >= fewest:
            compared += _compare(name, rows.where(groups == name), others, fewest=fewest, level=level, rng=rng)
    named = {one.group for one in compared}
    left_out = sum(count for name, count in sizes.items() if name not in named)
    return GroupComparison(tuple(compared), left_out, rest)


def group_values(
    rows: SelectedRows, weights: Numbers | None = None, prior: tuple[Numbers, Numbers] | None = None
) -> dict[str, Numbers]:
    """Every metric that the rows allow (all but the ratio): one value, or one per row of weights (resamples).

    `prior` are selected and unselected rows, one number of each per resample, that are added to every rate.
    """
    weight = np.ones((1, len(rows))) if weights is None else weights
    chosen = rows.is_selected.astype(np.float64)
    more = (np.zeros(len(weight)), np.zeros(len(weight))) if prior is None else prior
    values = {SELECTION_RATE: _share(weight, chosen, np.ones(len(rows)), more)}
    if rows.happened is not None:
        values[TRUE_POSITIVE_RATE] = _share(weight, chosen * rows.happened, rows.happened, more)
        values[FALSE_POSITIVE_RATE] = _share(weight, chosen * (1 - rows.happened), 1 - rows.happened, more)
    if rows.happened is not None and rows.forecast is not None:
        values[CALIBRATION_GAP] = (weight @ (rows.forecast - rows.happened)) / weight.sum(axis=1)
        for name, metric in ((CALIBRATION_ERROR, metrics.calibration_error), (AUC, metrics.auc)):
            values[name] = np.atleast_1d(metric(rows.happened, rows.forecast, weight))
    return values


def _compare(
    name: str, rows: SelectedRows, others: SelectedRows, *, fewest: int, level: float, rng: np.random.Generator
) -> Iterator[GroupMetric]:
    """Metrics of one group and the gaps to the others, in the order of GROUP_METRICS."""
    rows, others = _in_order(rows), _in_order(others)
    values, of_others = group_values(rows), group_values(others)
    draws, draws_of_others = _draws(rows, rng), _draws(others, rng)
    for metric, value in values.items():
        count = _count_for(rows, metric)
        if min(count, _count_for(others, metric)) < fewest:
            continue
        one, other = float(value[0]), float(of_others[metric][0])
        between = draws[metric] - draws_of_others[metric]
        half = NormalDist().inv_cdf((1 + level) / 2)
        width = half * float(np.nanstd(between))
        gap = Interval(one - other, one - other - width, one - other + width)
        yield GroupMetric(
            name, metric, customer_count=count, value=_interval(one, draws[metric]), others_value=other, gap=gap
        )
        if metric == SELECTION_RATE and other > 0:
            ratios = np.log(draws[metric]) - np.log(draws_of_others[metric])
            low, high = np.exp(ratios.mean() + half * ratios.std() * np.array([-1, 1])).tolist()
            ratio = Interval(one / other, min(low, one / other), max(high, one / other))
            yield GroupMetric(name, SELECTION_RATIO, customer_count=count, value=ratio, others_value=1.0, gap=None)


def _draws(rows: SelectedRows, rng: np.random.Generator) -> dict[str, Numbers]:
    """Bootstrap draws of every metric."""
    step = max(1, min(RESAMPLES, CELLS // max(len(rows), 1)))
    parts: list[dict[str, Numbers]] = []
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        weights = bootstrap_weights(rows.customers, rng=rng, resamples=size)
        parts.append(group_values(rows, weights, (rng.gamma(HALF, size=size), rng.gamma(HALF, size=size))))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _interval(value: float, draws: Numbers) -> Interval:
    """The middle of the draws, and never without the value itself."""
    middle = percentile_interval(value, draws)
    return Interval(value, min(middle.low, value), max(middle.high, value))


def _in_order(rows: SelectedRows) -> SelectedRows:
    """The same rows, with customers numbered by what is known of them, so that draws depend on no id and no order."""
    rows = rows.where(np.lexsort(_numbers(rows)))
    _, place = np.unique(rows.customers, return_inverse=True)
    sums = [np.bincount(place), *(np.bincount(place, weights=values) for values in _numbers(rows))]
    rank = np.empty(len(sums[0]), dtype=np.int64)
    rank[np.lexsort(sums)] = np.arange(len(rank))
    rows = SelectedRows(rank[place], rows.is_selected, rows.forecast, rows.happened)
    return rows.where(np.lexsort([rows.customers, *_numbers(rows)]))


def _numbers(rows: SelectedRows) -> list[Numbers]:
    """What is known of each row."""
    return [one.astype(np.float64) for one in (rows.is_selected, rows.forecast, rows.happened) if one is not None]


def _share(weight: Numbers, part: Numbers, whole: Numbers, more: tuple[Numbers, Numbers]) -> Numbers:
    """Weighted part over weighted whole, one per row of weights; NaN where there is no whole."""
    above, below = weight @ part + more[0], weight @ whole + more[0] + more[1]
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)


def _count_for(rows: SelectedRows, metric: str) -> int:
    """Customers that a metric looks at; of one that needs both outcomes, the fewer."""
    if rows.happened is None or metric in (SELECTION_RATE, CALIBRATION_GAP, CALIBRATION_ERROR):
        return _customer_count(rows)
    cases, others = (_customer_count(rows.where(rows.happened == one)) for one in (1, 0))
    return {TRUE_POSITIVE_RATE: cases, FALSE_POSITIVE_RATE: others}.get(metric, min(cases, others))


def _customer_count(rows: SelectedRows) -> int:
    return len(np.unique(rows.customers))


def _sizes(rows: SelectedRows, groups: npt.NDArray[np.str_]) -> dict[str, int]:
    """Customers of each known group, in order of its name."""
    names = np.unique(groups[groups != ""]).tolist()
    return {name: _customer_count(rows.where(groups == name)) for name in names}
