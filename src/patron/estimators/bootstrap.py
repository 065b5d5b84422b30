"""How sure a number is: bootstrap intervals over customers, and paired gains."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from patron.schema.models.metrics import Metric
from patron.schema.numbers import Numbers

LEVEL = 0.95
RESAMPLES = 400


@dataclass(frozen=True)
class Interval:
    """A number with the ends of its interval, in the number's unit."""

    value: float
    low: float
    high: float


def bootstrap_weights(units: npt.NDArray[Any], *, rng: np.random.Generator, resamples: int = RESAMPLES) -> Numbers:
    """How often each row is drawn, one row of counts per resample: whole units (customers) are drawn, all their rows.

    Counts are multinomial, drawn as one histogram of `resamples * units` uniform integers.
    """
    _, place = np.unique(units, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if not count:
        return np.zeros((resamples, 0))
    drawn = rng.integers(0, count, size=(resamples, count)) + count * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count)
    return counts[:, place].astype(np.float64)


def percentile_interval(value: float, draws: Numbers, level: float = LEVEL) -> Interval:
    """The middle `level` share of bootstrap draws around a value; NaN draws are left out."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def interval(metric: Metric, actual: Numbers, forecast: Numbers, *, weights: Numbers, level: float = LEVEL) -> Interval:
    """A measure with its bootstrap interval; `weights` from `bootstrap_weights`."""
    return percentile_interval(float(metric.of(actual, forecast)), metric.of(actual, forecast, weights), level=level)


def paired_gain(
    metric: Metric, actual: Numbers, forecast: Numbers, baseline: Numbers, *, weights: Numbers, level: float = LEVEL
) -> Interval:
    """How much better `forecast` is than `baseline` on the same rows and resamples; above zero is better."""
    draws = metric.gain(metric.of(actual, forecast, weights), metric.of(actual, baseline, weights))
    value = metric.gain(metric.of(actual, forecast), metric.of(actual, baseline))
    return percentile_interval(float(value), draws, level=level)
