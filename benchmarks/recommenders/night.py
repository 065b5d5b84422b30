"""A night's lists as a whole: fit, rank products for every customer, build the index, and make everybody's list.

`python benchmarks/recommenders/night.py [--rows 2000000] [--items 100000]` makes baskets as `cost.py` does (100,000
customers at 2,000,000 rows) and prints wall clock and processor seconds of each step, and the peak of memory. A run
trains only when a champion is due; the other three steps are those of each night.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cost import DAYS, SECONDS_A_DAY, made_baskets
from live_cost import DAY, made_products

from patron.predict.recommend.library_lists import FittedLists, LearnedLists
from patron.recommenders.live.index_tables import IndexTables, build_index
from patron.recommenders.live.list_maker import ListMaker, ListRequest
from patron.recommenders.live.recommendation_index import RecommendationIndex
from patron.recommenders.live.scenarios import Scenario

MESSAGE = Scenario.of("message", (), {})
RECENT_DAYS = 180.0
NO_RELATED = pa.schema(
    [("product_id", pa.string()), ("related_id", pa.string()), ("kind", pa.string()), ("strength", pa.float64())]
)


@contextmanager
def clock(step: str) -> Iterator[None]:
    """Print how long the block takes."""
    start = time.perf_counter(), time.process_time()
    yield
    wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"| {step} | {wall:.0f} | {processor:.0f} | {peak:.1f} |", flush=True)


def purchases(rows: int, items: int) -> pa.Table:
    """Columns customer_id, product_id, days_before."""
    baskets = made_baskets(rows, items)
    days = DAYS - baskets["at"].to_numpy() / SECONDS_A_DAY
    names = {"customer_id": "user_id", "product_id": "item_id"}
    columns = {name: pc.cast(baskets[one], pa.string()) for name, one in names.items()}
    return pa.table(columns | {"days_before": days})


def index_of(bought: pa.Table, wanted: pa.Table) -> RecommendationIndex:
    """The index of a shop that knows a product's category, price and stock."""
    rng, ids = np.random.default_rng(1), bought["product_id"].unique()
    products = made_products(ids, rng)
    recent = bought.filter(pc.less(bought["days_before"], RECENT_DAYS)).rename_columns(
        ["customer_id", "product_id", "days"]
    )
    recent = recent.append_column("is_return", pa.array(np.zeros(len(recent), dtype=bool)))
    wanted = wanted.append_column("because_product_id", pa.nulls(len(wanted), pa.string()))
    return build_index(IndexTables(products, recent, NO_RELATED.empty_table(), wanted), at_day=DAY, margin_share=0.3)


def lists(index: RecommendationIndex) -> int:
    """How many products everybody's lists hold."""
    maker, rng = ListMaker(index), np.random.default_rng(2)
    requests = (ListRequest(MESSAGE, DAY, place) for place in range(len(index.customers.ids)))
    return sum(len(maker.make(request, rng).products) for request in requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    options = parser.parse_args()
    bought = purchases(options.rows, options.items)
    customers, products = (len(bought[name].unique()) for name in ("customer_id", "product_id"))
    print(f"{len(bought):,} purchases of {customers:,} customers, {products:,} products")
    print("| step | wall clock s | processor s | peak GB |\n|---|---|---|---|")
    with clock("train"):
        fitted: FittedLists = LearnedLists().fit(bought)
    with clock("rank products for every customer"):
        wanted = fitted.predict(bought)
    with clock("build the index"):
        index = index_of(bought, wanted)
    with clock("everybody's list"):
        count = lists(index)
    print(f"{count:,} products listed")


if __name__ == "__main__":
    main()
