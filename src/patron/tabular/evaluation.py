"""Every metric of a learner on a part of the table, each with its interval."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.schema.models import metrics
from patron.schema.models.metrics import Metric
from patron.schema.numbers import Numbers

Part = Literal["train", "validation", "test"]
MOST_LIKELY = (metrics.ACCURACY,)
"""Of the more probable class, as papers and the majority class have it."""
AT_THRESHOLD = (metrics.BALANCED_ACCURACY, metrics.PRECISION, metrics.RECALL, metrics.F1)
OF_PROBABILITY = (
    metrics.AUC,
    metrics.AVERAGE_PRECISION,
    metrics.LOG_LOSS,
    metrics.BRIER,
    metrics.CALIBRATION_ERROR,
    metrics.LIFT,
)
RANKING = frozenset({metrics.AUC, metrics.AVERAGE_PRECISION, metrics.LIFT})
"""Measured fold by fold: models of different folds are not on one scale."""
METRICS: tuple[Metric, ...] = (*MOST_LIKELY, *AT_THRESHOLD, *OF_PROBABILITY)
RESAMPLES = 200
MAX_CELLS = 4_000_000
"""Rows times resamples that are held at once."""
MIN_RESAMPLES = 40
STEPS = np.linspace(0, 1, 501)[1:-1]


@dataclass(frozen=True)
class ScoreRow:
    """One metric of one learner on one part; low and high are the ends of its 95 % interval."""

    learner: str
    part: Part
    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class JudgedPart:
    """The rows of a part with their labels, and resamples of its units (rows, or whole groups)."""

    part: Part
    label: Numbers
    units: npt.NDArray[Any]
    seed: int
    fold_sizes: tuple[int, ...] = ()
    """Rows of each fold, one fold after the other; none where one model made all forecasts."""

    def score(self, learner: str, probability: Numbers, decided: Numbers) -> list[ScoreRow]:
        """All metrics; `decided` is 1 where the probability reaches the threshold."""
        forecasts = dict.fromkeys(OF_PROBABILITY, probability)
        forecasts |= dict.fromkeys(AT_THRESHOLD, decided)
        forecasts |= dict.fromkeys(MOST_LIKELY, (probability >= 0.5).astype(np.float64))
        return [self._row(learner, metric, forecasts[metric]) for metric in METRICS]

    def _row(self, learner: str, metric: Metric, forecast: Numbers) -> ScoreRow:
        one = self.interval(metric, forecast)
        return ScoreRow(learner, self.part, metric=metric.name, value=one.value, low=one.low, high=one.high)

    def interval(self, metric: Metric, forecast: Numbers) -> Interval:
        """One metric of probabilities, or of decisions.

        Noise alone makes a calibration error, and a resample has more of it: its interval is mirrored at the value.
        """
        value = float(self._measure(metric, forecast))
        one = percentile_interval(value, self._draws(metric, forecast))
        if metric is not metrics.CALIBRATION_ERROR:
            return one
        return Interval(value, max(2 * value - one.high, 0.0), max(2 * value - one.low, value))

    def total(self, amounts: Numbers) -> Interval:
        """The sum of an amount that is known row by row."""
        draws = np.concatenate([weights @ amounts for weights in self._weights()])
        return percentile_interval(float(amounts.sum()), draws)

    def gain(self, metric: Metric, forecast: Numbers, other: Numbers) -> Interval:
        """How much better one forecast is than another on the same rows and resamples; above 0 is better."""
        value = metric.gain(self._measure(metric, forecast), self._measure(metric, other))
        draws = metric.gain(self._draws(metric, forecast), self._draws(metric, other))
        return percentile_interval(float(value), draws)

    def _draws(self, metric: Metric, forecast: Numbers) -> Numbers:
        """The metric of each resample; rankings by steps of 1 in 500, moved to where the exact value is."""
        if metric not in RANKING:
            return np.concatenate([self._measure(metric, forecast, weights) for weights in self._weights()])
        stepped = np.searchsorted(np.unique(np.quantile(forecast, STEPS)), forecast).astype(np.float64)
        draws = np.concatenate([self._measure(metric, stepped, weights) for weights in self._weights()])
        return draws + (self._measure(metric, forecast) - self._measure(metric, stepped))

    def _measure(self, metric: Metric, forecast: Numbers, weights: Numbers | None = None) -> Any:
        if metric not in RANKING or len(self.fold_sizes) < 2:
            return metric.of(self.label, forecast, weights)
        ends = np.cumsum(self.fold_sizes)
        folds = [slice(end - size, end) for end, size in zip(ends, self.fold_sizes, strict=True)]
        values = [
            metric.of(self.label[fold], forecast[fold], None if weights is None else weights[:, fold]) for fold in folds
        ]
        return np.average(values, axis=0, weights=self.fold_sizes)

    def _weights(self) -> Iterable[npt.NDArray[Any]]:
        """The same resamples each time, some at once; fewer of many rows, whose intervals are narrow."""
        count = max(MIN_RESAMPLES, min(RESAMPLES, 10 * MAX_CELLS // max(len(self.label), 1)))
        if count * len(self.label) <= MAX_CELLS:
            return [self._few_weights]
        return self._many_weights(count)

    @cached_property
    def _few_weights(self) -> npt.NDArray[Any]:
        weights = bootstrap_weights(self.units, rng=np.random.default_rng(self.seed), resamples=RESAMPLES)
        return weights.astype(np.float32)  # why: counts are exact in it, and half the bytes are moved

    def _many_weights(self, count: int) -> Iterator[npt.NDArray[Any]]:
        rng = np.random.default_rng(self.seed)
        at_once = max(1, min(count, MAX_CELLS // len(self.label)))
        for start in range(0, count, at_once):
            yield bootstrap_weights(self.units, rng=rng, resamples=min(at_once, count - start)).astype(np.float32)
