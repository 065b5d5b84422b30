"""The measures of forecasts: each with its definition and unit.

Every measure takes `actual`, `forecast` and optional `weights`: one weight a row, or one row of weights per bootstrap
resample, in which case it returns one value per resample. A bootstrap is thereby one call, without a Python loop.
Rankings are first measured customer by customer
(`ndcg`); of them a metric is the mean, which takes these values and `weights`. Intervals: `bootstrap_intervals`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers

Measure = Callable[..., Any]

WINSOR_SHARE = 0.99
MIN_PROBABILITY = 1e-3
BINS = 10


@dataclass(frozen=True)
class Metric:
    """A named measure, and which way is better."""

    name: str
    of: Measure
    higher_is_better: bool = False
    target: float | None = None
    """When set, better is nearer to this value (bias: 0)."""

    def gain(self, value: Any, baseline: Any) -> Any:
        """How much better a value is than the baseline's; above zero is better."""
        if self.target is not None:
            return np.abs(np.asarray(baseline) - self.target) - np.abs(np.asarray(value) - self.target)
        return value - baseline if self.higher_is_better else baseline - value


def rmse(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Root mean squared error, in the unit of the forecast."""
    return np.sqrt(mean((actual - forecast) ** 2, weights))


def mse(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean squared error, in the squared unit of the forecast."""
    return mean((actual - forecast) ** 2, weights)


def rmse_winsorised(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """RMSE after capping both the actual and the forecast at the 99th percentile of the actual (not resampled)."""
    if not len(actual):
        return rmse(actual, forecast, weights)
    cap = np.quantile(actual, WINSOR_SHARE)
    return rmse(np.minimum(actual, cap), np.minimum(forecast, cap), weights)


def mae(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean absolute error, in the unit of the forecast. A poor primary metric: forecasting zero does well on it."""
    return mean(np.abs(actual - forecast), weights)


def bias_share(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Forecast total over actual total, less 1; NaN when nothing happened."""
    return _ratio(mean(forecast, weights), mean(actual, weights)) - 1


def log_loss(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean of -ln of the probability given to what happened; probabilities are kept within .001 and .999."""
    sure = np.clip(forecast, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return mean(-(actual * np.log(sure) + (1 - actual) * np.log1p(-sure)), weights)


def brier(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean squared difference of probability and outcome."""
    return mean((actual - forecast) ** 2, weights)


def auc(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Probability that a random positive is ranked above a random negative, ties half; NaN with one class only."""
    order, starts = _groups(forecast)
    weight = _rows(weights, len(actual))[:, order]
    positive = np.add.reduceat(weight * actual[order], starts, axis=1)
    negative = np.add.reduceat(weight * (1 - actual[order]), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _shape(_ratio((positive * below).sum(axis=1), pairs), weights)


def average_precision(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean precision at each positive, ranked by the forecast, ties together, 0 to 1; NaN without a positive."""
    order, starts = _groups(-forecast)
    weight = _rows(weights, len(actual))[:, order]
    positive = np.add.reduceat(weight * actual[order], starts, axis=1)
    rows = np.cumsum(np.add.reduceat(weight, starts, axis=1), axis=1)
    precision = np.divide(np.cumsum(positive, axis=1), rows, out=np.zeros_like(rows), where=rows > 0)
    return _shape(_ratio((positive * precision).sum(axis=1), positive.sum(axis=1)), weights)


def lift(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Share of positives in the tenth with the highest forecasts, over that of all; ties count in proportion."""
    order, starts = _groups(-forecast)
    weight = _rows(weights, len(actual))[:, order]
    rows = np.add.reduceat(weight, starts, axis=1)
    positive = np.add.reduceat(weight * actual[order], starts, axis=1)
    before = np.cumsum(rows, axis=1) - rows
    tenth = weight.sum(axis=1, keepdims=True) / 10
    share_inside = np.clip(np.divide(tenth - before, rows, out=np.zeros_like(rows), where=rows > 0), 0.0, 1.0)
    return _shape(_ratio((share_inside * positive).sum(axis=1) * 10, positive.sum(axis=1)), weights)


def accuracy(actual: Numbers, decided: Numbers, weights: Numbers | None = None) -> Any:
    """Share of decisions, 0 or 1, that are right."""
    return mean((actual == decided).astype(np.float64), weights)


def precision(actual: Numbers, decided: Numbers, weights: Numbers | None = None) -> Any:
    """Share of positives among those decided to be; NaN where none is."""
    return _among(actual, decided, weights)


def recall(actual: Numbers, decided: Numbers, weights: Numbers | None = None) -> Any:
    """Share of the positives that are decided to be; NaN where there is none."""
    return _among(decided, actual, weights)


def balanced_accuracy(actual: Numbers, decided: Numbers, weights: Numbers | None = None) -> Any:
    """Mean of the recall of both classes; NaN with one class only."""
    return (recall(actual, decided, weights) + recall(1 - actual, 1 - decided, weights)) / 2


def f1(actual: Numbers, decided: Numbers, weights: Numbers | None = None) -> Any:
    """Harmonic mean of precision and recall; 0 where no positive is decided to be one."""
    weight = _rows(weights, len(actual))
    hits, both = weight @ (actual * decided), weight @ (actual + decided)
    return _shape(_ratio(2 * hits, both), weights)


def spearman(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Pearson correlation of mid-ranks, -1 to 1; NaN when either side is constant."""
    weight = _rows(weights, len(actual))
    x, y = _mid_ranks(actual, weight), _mid_ranks(forecast, weight)
    total = weight.sum(axis=1, keepdims=True)
    x = x - (weight * x).sum(axis=1, keepdims=True) / total
    y = y - (weight * y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weight * x * x).sum(axis=1) * (weight * y * y).sum(axis=1))
    return _shape(_ratio((weight * x * y).sum(axis=1), spread), weights)


def gini(actual: Numbers, by: Numbers | None = None) -> float:
    """Gini of amounts, ranked by `by` (by themselves when None): 0 everybody the same, near 1 one has all; NaN of 0."""
    return float(_gini(actual, actual if by is None else by, None)[0])


def normalised_gini(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Gini of the actual ranked by the forecast, over its Gini ranked by itself: 1 is perfect, 0 no ranking."""
    return _shape(_ratio(_gini(actual, forecast, weights), _gini(actual, actual, weights)), weights)


def decile_mape(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean over deciles of the forecast of |mean forecast - mean actual| / mean actual; NaN when nothing happened."""
    forecasts, actuals, _ = _by_bin(actual, forecast, _rows(weights, len(actual)))
    gaps = np.abs(_ratio(forecasts - actuals, np.abs(actuals)))
    known = ~np.isnan(gaps)
    return _shape(_ratio(np.where(known, gaps, 0.0).sum(axis=1), known.sum(axis=1)), weights)


def calibration_error(actual: Numbers, forecast: Numbers, weights: Numbers | None = None) -> Any:
    """Mean over ten bins of |mean probability - share that happened| (ECE), 0 to 1; of equal count, but for ties."""
    forecasts, actuals, counts = _by_bin(actual, forecast, _rows(weights, len(actual)))
    gaps = np.where(counts > 0, counts * np.abs(forecasts - actuals), 0.0)
    return _shape(gaps.sum(axis=1) / counts.sum(axis=1), weights)


def decile_of(forecast: Numbers, bins: int = BINS) -> npt.NDArray[np.int64]:
    """Decile of each forecast, 1 the lowest; equal counts, ties in the order given."""
    place = np.empty(len(forecast), dtype=np.int64)
    place[np.argsort(forecast, kind="stable")] = np.arange(len(forecast))
    return place * bins // max(len(forecast), 1) + 1


def ndcg(gains: Numbers, ideal_counts: npt.NDArray[np.int64]) -> Numbers:
    """NDCG of each row: `gains` are 0/1 in the order shown, `ideal_counts` how many could have been right; 0 to 1."""
    discount = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(ideal_counts, gains.shape[1])]
    return np.divide(gains @ discount, best, out=np.zeros(len(gains)), where=best > 0)


def mean(values: Numbers, weights: Numbers | None = None) -> Any:
    """Mean of a measure that is known customer by customer; NaN of nobody."""
    if weights is None:
        return values.mean() if len(values) else np.nan
    return _ratio(weights @ values, weights.sum(axis=-1))


def population_stability_index(reference: Numbers, current: Numbers, bins: int = BINS) -> float:
    """Sum of (p - q) ln(p / q) over quantile bins of the reference, NaN as a bin of its own; 0 is the same."""
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.array([])

    def shares(values: Numbers) -> Numbers:
        place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
        counts = np.bincount(place, minlength=len(edges) + 2) + 0.5  # half a row: an empty bin is not infinitely far
        return counts / counts.sum()

    p, q = shares(reference), shares(current)
    return float(np.sum((p - q) * np.log(p / q)))


def _among(values: Numbers, of: Numbers, weights: Numbers | None) -> Any:
    weight = _rows(weights, len(of))
    return _shape(_ratio(weight @ (values * of), weight @ of), weights)


def _ratio(top: Any, bottom: Any) -> Any:
    bottom = np.asarray(bottom, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom != 0)


def _rows(weights: Numbers | None, count: int) -> Numbers:
    return np.ones((1, count)) if weights is None else np.atleast_2d(weights)


def _shape(values: Numbers, weights: Numbers | None) -> Any:
    return values if weights is not None and weights.ndim == 2 else values[0]


def _groups(values: Numbers) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ascending order, and where each run of equal values starts in it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _mid_ranks(values: Numbers, weight: Numbers) -> Numbers:
    order, starts = _groups(values)
    within = np.add.reduceat(weight[:, order], starts, axis=1)
    middle = np.cumsum(within, axis=1) - within / 2
    ranks = np.empty_like(weight)
    ranks[:, order] = np.repeat(middle, np.diff([*starts.tolist(), len(values)]), axis=1)
    return ranks


def _gini(actual: Numbers, by: Numbers, weights: Numbers | None) -> Numbers:
    """Twice the area between the diagonal and the share of the actual that the lowest `by` hold, ties averaged."""
    weight = _rows(weights, len(actual))
    order, starts = _groups(by)
    rows = np.add.reduceat(weight[:, order], starts, axis=1)
    amounts = np.add.reduceat(weight[:, order] * actual[order], starts, axis=1)
    held = np.cumsum(amounts, axis=1) - amounts / 2
    area = _ratio((rows * held).sum(axis=1), rows.sum(axis=1) * amounts.sum(axis=1))
    return 1 - 2 * area


def _by_bin(actual: Numbers, forecast: Numbers, weight: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Mean forecast, mean actual and weight of each decile of the forecast, one row per resample."""
    order = np.argsort(forecast, kind="stable")
    starts = np.linspace(0, len(order), BINS, endpoint=False).astype(np.int64)
    # why: equal forecasts are one group; which of them would be first in the table says nothing
    starts = np.unique(np.searchsorted(forecast[order], forecast[order][starts])) if len(order) else starts
    counts = np.add.reduceat(weight[:, order], starts, axis=1)
    forecasts = np.add.reduceat(weight[:, order] * forecast[order], starts, axis=1)
    actuals = np.add.reduceat(weight[:, order] * actual[order], starts, axis=1)
    return _ratio(forecasts, counts), _ratio(actuals, counts), counts


RMSE = Metric("rmse", rmse)
MSE = Metric("mse", mse)
RMSE_WINSORISED = Metric("rmse_winsorised", rmse_winsorised)
MAE = Metric("mae", mae)
BIAS_SHARE = Metric("bias_share", bias_share, target=0.0)
LOG_LOSS = Metric("log_loss", log_loss)
BRIER = Metric("brier", brier)
AUC = Metric("auc", auc, higher_is_better=True)
SPEARMAN = Metric("spearman", spearman, higher_is_better=True)
NORMALISED_GINI = Metric("normalised_gini", normalised_gini, higher_is_better=True)
DECILE_MAPE = Metric("decile_mape", decile_mape)
CALIBRATION_ERROR = Metric("calibration_error", calibration_error)
ACCURACY = Metric("accuracy", accuracy, higher_is_better=True)
BALANCED_ACCURACY = Metric("balanced_accuracy", balanced_accuracy, higher_is_better=True)
PRECISION = Metric("precision", precision, higher_is_better=True)
RECALL = Metric("recall", recall, higher_is_better=True)
F1 = Metric("f1", f1, higher_is_better=True)
WITHIN_CAMPAIGN_AUC = Metric("within_campaign_auc", auc, higher_is_better=True)
"""AUC of each campaign, then their mean: whom to choose for a message, whatever its campaign's rate is."""
AVERAGE_PRECISION = Metric("average_precision", average_precision, higher_is_better=True)
LIFT = Metric("lift", lift, higher_is_better=True)
NDCG_AT_10 = Metric("ndcg_at_10", mean, higher_is_better=True)
RECALL_AT_10 = Metric("recall_at_10", mean, higher_is_better=True)
NOVEL_NDCG_AT_10 = Metric("novel_ndcg_at_10", mean, higher_is_better=True)
