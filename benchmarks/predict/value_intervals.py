"""80 % intervals of value on real data: outcomes by decile of the forecast, next to conformalised quantile trees.

Usage: python benchmarks/predict/value_intervals.py FOLDER (online_retail_2010_2011 and cdnow_master as Parquet).
Quantile trees learn the 10 % and 90 % quantile of the logarithm of spend from all features (conformalised quantile
regression: Romano, Patterson and Candes 2019). Both are calibrated on the other origins. The interval score (Gneiting
and Raftery 2007) counts the width and ten times what lies outside; lower is better; amounts are capped at their 99th
percentile. Intervals of the gain draw whole customers.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from value_on_real_data import STACK, shops

from patron.estimators.boosted_trees import Trees
from patron.estimators.bootstrap import bootstrap_weights, percentile_interval
from patron.estimators.learner import labelled, newest
from patron.predict import scoring, value
from patron.predict.backtest import ALL, backtest
from patron.predict.feature_matrix import Design
from patron.predict.origins import at, cutoff_origins, known_at_origin
from patron.predict.prediction_intervals import LEVEL, Outcomes
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.predict.value.training_matrix import with_history
from patron.schema.models.metrics import decile_of
from patron.schema.models.questions import VALUE
from patron.schema.numbers import Numbers, float_column

ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
ROUNDS = Trees(rounds=150)
Interval = tuple[Numbers, Numbers]


def main(folder: Path) -> None:
    for name, view in shops(folder):
        rows = scoring.with_labels(view, VALUE, scoring.read_features(view, "features").known)
        result = backtest(
            VALUE, value.LEARNERS, cutoff_origins(VALUE, rows, view.run.as_of), rng=np.random.default_rng(1)
        )
        cutoffs = {cutoff.strftime("%Y-%m-%d"): cutoff for cutoff in set(rows["as_of"].to_pylist())}
        evaluations = [result.evaluations[origin, STACK] for origin in result.origins]
        trees = [
            quantiles(known_at_origin(rows, cutoffs[origin], VALUE.horizon_days), at(rows, cutoffs[origin]))
            for origin in result.origins
        ]
        found: dict[str, list[Interval]] = {"outcomes by decile": [], "quantile trees": []}
        for place, here in enumerate(evaluations):
            others = [index for index in range(len(evaluations)) if index != place]
            actual, forecast = (
                np.concatenate([getattr(evaluations[other], k) for other in others]) for k in ("actual", "forecast")
            )
            ends = Outcomes.of(actual, forecast).interval(here.forecast)
            assert ends is not None
            found["outcomes by decile"].append(ends)
            margin = np.quantile(
                np.concatenate([missed(trees[other], evaluations[other].actual) for other in others]), LEVEL
            )
            low, high = trees[place][0] - margin, trees[place][1] + margin
            found["quantile trees"].append(
                (np.minimum(amount(low), here.forecast), np.maximum(amount(high), here.forecast))
            )
        print_coverage(
            name,
            np.concatenate([evaluation.actual for evaluation in evaluations]),
            result.evaluations[ALL, STACK].customers,
            found,
            evaluations,
        )


def quantiles(known: pa.Table, here: pa.Table) -> Interval:
    """Ends of the interval in the logarithm, before any calibration."""
    rows, models = labelled(known), OrdersAndSpend.fit(newest(known))
    history = with_history(rows, models)
    design = Design.of(history)
    matrix, score_matrix = design.matrix(history), design.matrix(with_history(here, models))
    label = logarithm(float_column(rows, "label"))
    low, high = (ROUNDS.fit(matrix, label, {"objective": "quantile", "alpha": end}).raw(score_matrix) for end in ENDS)
    return low, np.maximum(low, high)


def logarithm(cents: Numbers) -> Numbers:
    return np.log1p(np.maximum(cents, 0.0) / 100)


def amount(logarithm: Numbers) -> Numbers:
    return np.expm1(np.maximum(logarithm, 0.0)) * 100


def missed(ends: Interval, actual: Numbers) -> Numbers:
    """How far outside the interval each outcome was, below 0 when inside."""
    log_actual = logarithm(actual)
    return np.maximum(ends[0] - log_actual, log_actual - ends[1])


def score(actual: Numbers, ends: Interval) -> Numbers:
    """Interval score of each outcome, cents."""
    low, high = ends
    outside = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
    return high - low + 2 / (1 - LEVEL) * outside


def print_coverage(
    name: str, actual: Numbers, customers: np.ndarray, found: dict[str, list[Interval]], evaluations: list
) -> None:
    print(f"\n{name}")
    cap = np.quantile(actual, 0.99)
    weights = bootstrap_weights(customers, rng=np.random.default_rng(1))
    deciles = np.concatenate([decile_of(evaluation.forecast) for evaluation in evaluations])
    scores = {}
    for kind, parts in found.items():
        low, high = (np.concatenate([part[end] for part in parts]) for end in (0, 1))
        held = (actual >= low) & (actual <= high)
        scores[kind] = score(np.minimum(actual, cap), (np.minimum(low, cap), np.minimum(high, cap)))
        width = float((np.minimum(high, cap) - np.minimum(low, cap)).mean())
        by_decile = " ".join(f"{held[deciles == index].mean():.2f}" for index in range(1, 11))
        print(f"  {kind:18} covers {held.mean():.3f}, width {width:.5g}, score {scores[kind].mean():.5g}, {by_decile}")
    first, second = scores.values()
    draws = weights @ (first - second) / weights.sum(axis=1) / first.mean()
    gain = percentile_interval(float((first - second).mean() / first.mean()), draws)
    print(f"  quantile trees gain {gain.value:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}] of the score")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
