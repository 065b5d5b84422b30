"""Seconds and memory of reasons for churn: exact Shapley values and the facts of one million customers.

Usage: python benchmarks/predict/reasons_speed.py [CUSTOMERS]. Trees are fitted to 50,000 of the customers, whose
features are drawn at random; the bar is 60 s for a million customers on two cores.
"""

import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from patron.estimators.learner import FORECAST
from patron.predict import READS, WRITES
from patron.predict.churn.churn_reasons import reason_rows
from patron.predict.explanation import explain
from patron.predict.probability_learners import BoostedProbability
from patron.schema.models.questions import CHURN
from patron.schema.models.reason_codes import CODE_OF_FEATURE, NEVER_A_REASON, REASON_CODES
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

LEARNED_FROM = 50_000
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def made_up(count: int, rng: np.random.Generator) -> pa.Table:
    """Customers with a number in every feature of a model, whose leaving depends on some of them."""
    names = [*CODE_OF_FEATURE, *(name for name in NEVER_A_REASON if "favourite" not in name and "first_" not in name)]
    columns = {name: rng.gamma(1.0, 3.0, count).round(1) for name in sorted(names)}
    columns["days_since_last_order"] *= 10
    columns["days_since_first_order"] = columns["days_since_last_order"] + rng.gamma(1.0, 200.0, count)
    odds = (
        columns["days_since_last_order"] / 30 + (columns["refund_count_30_days"] > 4) - columns["order_count_90_days"]
    )
    leaves = rng.uniform(size=count) < 1 / (1 + np.exp(-odds / 3))
    times = pa.array([AS_OF] * count, pa.timestamp("us", tz="UTC"))
    ids = pa.array(np.arange(count)).cast(pa.string())
    return pa.table({"customer_id": ids, "as_of": times, **columns, "label": leaves.astype(float)})


def main(count: int) -> None:
    """Fit, explain and print."""
    rows = made_up(count, np.random.default_rng(1))
    fitted = BoostedProbability().fit(
        rows.slice(0, LEARNED_FROM).append_column("sample_key", pa.array(range(LEARNED_FROM)))
    )
    scores = pa.table({"value": fitted.predict(rows)[FORECAST]})
    with tempfile.TemporaryDirectory() as folder:
        view = Shop.create(Path(folder) / "w").view(READS, WRITES, run=Run.at(AS_OF))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        busy, since = time.process_time(), time.perf_counter()
        explanation = explain(fitted, rows, REASON_CODES)
        explained = time.perf_counter()
        reasons = reason_rows(view, CHURN, rows, scores, explanation)
        ended, busy = time.perf_counter(), time.process_time() - busy
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{count:,} customers, {len(rows.column_names) - 3} features, {reasons.num_rows:,} reasons")
    parts = f"contributions and their sums {explained - since:.1f} s, facts and choice {ended - explained:.1f} s"
    print(f"{parts}; processor {busy:.1f} s")
    print(f"peak memory {after / 2**20:.2f} GB, {(after - before) / 2**20:.2f} GB more than before")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
