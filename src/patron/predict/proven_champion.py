"""A model is used only where it is better than the best rule by more than noise."""

from dataclasses import replace

import numpy as np

from patron.estimators.bootstrap import bootstrap_weights, percentile_interval
from patron.predict.backtest import ALL, Backtest


def with_proven_champion(result: Backtest, *, rng: np.random.Generator) -> Backtest:
    """The result with the best baseline as champion, unless the champion is better than it by more than noise."""
    metric = result.question.primary_metric
    champion, baseline = (result.evaluations[ALL, name] for name in (result.champion, result.baseline))
    weights = bootstrap_weights(champion.customer_ids(metric), rng=rng)
    drawn = metric.gain(champion.value(metric, weights), baseline.value(metric, weights))
    gain = percentile_interval(float(metric.gain(champion.value(metric), baseline.value(metric))), drawn)
    if gain.low > 0:
        return result
    why = f"{result.champion} is not better than {result.baseline} by more than noise: the baseline is used."
    return replace(result, champion=result.baseline, why=why)
