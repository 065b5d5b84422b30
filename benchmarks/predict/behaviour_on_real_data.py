"""Churn and purchase on Complete Journey and Online Retail at three origins each, next to RFM, recency and P(alive).

Usage: python benchmarks/predict/behaviour_on_real_data.py FOLDER (online_retail_2010_2011 as Parquet).
Every learner: AUC, log loss and calibration error with 95 % intervals over customers; the champion's paired gain in AUC
over logistic regression on recency, frequency and amount (with two ages), the share by recency, Pareto/NBD's chance,
and P(alive). Then when the next order comes: by the three chances, and by the customer's own pace.
Asked on Complete Journey: the gain in AUC over the logistic on RFM above 0 (aim .02), calibration error at most .02.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from value_on_real_data import JOURNEY, shops

from patron.estimators.bootstrap import bootstrap_weights, interval, paired_gain
from patron.estimators.learner import FORECAST, newest
from patron.predict import scoring
from patron.predict.backtest import ALL, Backtest, backtest
from patron.predict.learners import LEARNERS
from patron.predict.origins import at, cutoff_origins, known_at_origin
from patron.predict.probability_learners import RfmLogistic
from patron.predict.purchase.next_order import days_until
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.schema.models import metrics
from patron.schema.models.label_windows import label_windows
from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS, Question
from patron.schema.numbers import Numbers, float_column
from patron.storage.runs.stage_view import StageView

QUESTIONS = (CHURN, PURCHASE_7_DAYS, PURCHASE)
SHOPS = (JOURNEY, "online_retail_2010_2011")
SHOWN = (metrics.AUC, metrics.LOG_LOSS, metrics.CALIBRATION_ERROR)
RIVALS = ("logistic_rfm", "recency_only", "pareto_chance")
HORIZON = 90
QUANTILES = (0.1, 0.5, 0.9)
NEXT_ORDER = """
    select w.place, min(seconds_of(o.occurred_at) - seconds_of(w.as_of)) / 86400.0 as days
    from windows w left join orders o on o.customer_id = w.customer_id
        and o.occurred_at >= w.as_of and o.occurred_at < w.until
    group by w.place order by w.place"""


def main(folder: Path) -> None:
    for name, view in shops(folder):
        if name in SHOPS:
            show(name, view)


def show(name: str, view: StageView) -> None:
    features = scoring.read_features(view, "features").known
    results = {}
    for question in QUESTIONS:
        rows = scoring.with_labels(view, question, features)
        origins = cutoff_origins(question, rows, view.run.as_of)
        rng = np.random.default_rng(1)
        results[question] = backtest(question, LEARNERS[question.name], origins, rng=rng), rows
        print(f"\n{name}: {question.meaning}, origins {', '.join(results[question][0].origins)}")
        show_question(question, *results[question])
    show_next_order(view, {question: result for question, (result, _) in results.items()}, features)


def show_question(question: Question, result: Backtest, rows: pa.Table) -> None:
    own = result.evaluations[ALL, result.champion]
    weights = bootstrap_weights(own.customers, rng=np.random.default_rng(1))
    print(f"  champion {result.champion}; base rate {own.actual.mean():.3f}, {len(own.actual):,} rows")
    for learner in LEARNERS[question.name]:
        one = result.evaluations.get((ALL, learner.name))
        if one is not None:
            found = [interval(metric, one.actual, one.forecast, weights=weights) for metric in SHOWN]
            text = ", ".join(
                f"{m.name} {f.value:.4f} [{f.low:.4f}, {f.high:.4f}]" for m, f in zip(SHOWN, found, strict=True)
            )
            print(f"  {learner.name:15} {text}")
    rivals = {name: result.evaluations[ALL, name].forecast for name in RIVALS}
    if question is CHURN:
        rivals["P(alive)"] = at_origins(result, rows, one_minus_alive)
    rivals["plain RFM"] = at_origins(result, rows, plain_rfm)
    for name, forecast in rivals.items():
        gain = paired_gain(metrics.AUC, own.actual, own.forecast, forecast, weights=weights)
        print(f"  gain in AUC over {name:13} {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
    for origin in result.origins:
        one, rfm = result.evaluations[origin, result.champion], result.evaluations[origin, "logistic_rfm"]
        values = (metrics.AUC.of(one.actual, one.forecast), metrics.AUC.of(rfm.actual, rfm.forecast))
        error = metrics.CALIBRATION_ERROR.of(one.actual, one.forecast)
        print(f"  {origin}: AUC {values[0]:.4f}, logistic on RFM {values[1]:.4f}, calibration error {error:.4f}")


def at_origins(result: Backtest, rows: pa.Table, forecast: Callable[[pa.Table, pa.Table], Numbers]) -> Numbers:
    """A forecast of the customers of every origin, from what was known there."""
    cutoffs = {cutoff.strftime("%Y-%m-%d"): cutoff for cutoff in set(rows["as_of"].to_pylist())}
    days = result.question.horizon_days
    origins = [cutoffs[name] for name in result.origins]
    return np.concatenate([forecast(known_at_origin(rows, origin, days), at(rows, origin)) for origin in origins])


def one_minus_alive(known: pa.Table, here: pa.Table) -> Numbers:
    models = OrdersAndSpend.fit(newest(known))
    return 1 - models.orders.probability_alive(models.summary(here))


def plain_rfm(known: pa.Table, here: pa.Table) -> Numbers:
    columns = ("days_since_last_order", "order_count_lifetime", "paid_cents_lifetime")
    return float_column(RfmLogistic(columns=columns).fit(known).predict(here), FORECAST)


def show_next_order(view: StageView, results: Mapping[Question, Backtest], features: pa.Table) -> None:
    """How often orders came by the forecast day, and the mean distance from it, next to the customer's own pace.

    At the newest origin that all horizons share. Days are counted up to the horizon: later is as the horizon.
    """
    origin = next(name for name in results[CHURN].origins if all(name in result.origins for result in results.values()))
    cutoff = next(one for one in set(features["as_of"].to_pylist()) if one.strftime("%Y-%m-%d") == origin)
    here = at(features, cutoff)
    order = [PURCHASE_7_DAYS, PURCHASE, CHURN]
    forecasts = [results[question].evaluations[origin, results[question].champion].forecast for question in order]
    forecasts[-1] = 1 - forecasts[-1]
    chances = np.minimum.accumulate(np.column_stack(forecasts)[:, ::-1], axis=1)[:, ::-1]
    windows = label_windows(here.select(["customer_id", "as_of"]), HORIZON)
    windows = windows.append_column("place", pa.array(np.arange(here.num_rows)))
    actual = float_column(view.query(NEXT_ORDER, windows=windows), "days", np.inf)
    horizons = np.array([float(question.horizon_days) for question in order])
    days = {quantile: days_until(chances, horizons, quantile) for quantile in QUANTILES}
    print(f"\n  next order at {origin}, {here.num_rows:,} customers")
    for quantile, day in days.items():
        known = np.isfinite(day)
        came = np.mean(actual[known] <= day[known]) if known.any() else np.nan
        print(f"  {quantile:.0%} quantile: known for {known.mean():.0%}, of whom {came:.1%} had ordered by then")
    capped = np.minimum(actual, HORIZON)
    gaps = np.maximum(float_column(here, "order_day_count_lifetime") - 1, 0)
    spread, since = float_column(here, "days_from_first_to_last_order"), float_column(here, "days_since_last_order")
    shop = np.median(spread[gaps > 0] / gaps[gaps > 0])
    rivals = {
        "median of the chances": np.nan_to_num(days[0.5], nan=HORIZON),
        "own pace, shrunk": np.clip((spread + shop) / (gaps + 1) - since, 0, HORIZON),
        "median of all": np.full(here.num_rows, np.median(capped)),
    }
    weights = bootstrap_weights(np.arange(here.num_rows), rng=np.random.default_rng(1))
    own = np.abs(capped - rivals["median of the chances"])
    for name, day in rivals.items():
        error = np.abs(capped - day)
        draws = weights @ (error - own) / weights.sum(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        more = f"{error.mean() - own.mean():.2f} [{low:.2f}, {high:.2f}]"
        print(f"  {name:22} off by {error.mean():.2f} days; more than ours by {more}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
