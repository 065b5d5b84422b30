"""What a live list costs: one customer, one thread, after events of the visit, with rules, diversity and reasons.

`python benchmarks/recommenders/live_cost.py [PRODUCTS ...]` makes a shop with as many customers as products (1,000,
10,000 and 100,000 by default) and prints the time to build its index, that of a list right after an event (median and
99th percentile of 2,000), and that of a list for everybody at night.
"""

import sys
import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.recommenders.lists.list_rules import ListRules
from patron.recommenders.live.exploration import RegretBudget
from patron.recommenders.live.index_tables import IndexTables, build_index
from patron.recommenders.live.list_maker import ListMaker, ListRequest
from patron.recommenders.live.recommendation_index import RecommendationIndex
from patron.recommenders.live.scenarios import Scenario
from patron.recommenders.live.session_memory import SessionEvent, SessionMemory

DAY, LISTS, NIGHTLY = 20_000.0, 2_000, 2_000
KINDS = ("view", "click", "cart_add", "shown", "order")
RULES = ListRules(least_margin_share=0.05, most_per_category=3, tail_share=0.1, diversity=0.3)


def made_products(ids: npt.ArrayLike, rng: np.random.Generator) -> pa.Table:
    """Category, brand, price and stock of each product."""
    count = len(np.asarray(ids))
    return pa.table(
        {
            "product_id": ids,
            "known_day": rng.uniform(DAY - 900, DAY, count),
            "category": [f"c{n % 200}" for n in range(count)],
            "brand": [f"b{n % 900}" for n in range(count)],
            "style_id": [f"s{n // 3}" for n in range(count)],
            "price_cents": rng.integers(100, 9_000, count),
            "cost_cents": rng.integers(50, 90, count),
            "stock": rng.integers(0, 9, count),
            "is_consumable": rng.random(count) < 0.3,
            "is_blocked": rng.random(count) < 0.01,
        }
    )


def made_index(count: int, rng: np.random.Generator) -> RecommendationIndex:
    """A shop of so many products and customers, 30 wanted and 60 related products each."""
    ids = np.array([f"p{n:07d}" for n in range(count)])
    customers = np.array([f"u{n:07d}" for n in range(count)])

    def some(size: int) -> npt.NDArray[np.str_]:
        return ids[np.minimum((rng.pareto(0.8, size) * 20).astype(np.int64), count - 1)]

    products = made_products(ids, rng)
    bought, related, wanted = 10 * count, 60 * count, 30 * count
    purchases = pa.table(
        {
            "customer_id": rng.choice(customers, bought),
            "product_id": some(bought),
            "days": rng.uniform(0, 365, bought),
            "is_return": rng.random(bought) < 0.05,
        }
    )
    links = pa.table(
        {
            "product_id": np.repeat(ids, 60),
            "related_id": some(related),
            "kind": rng.choice(["together", "follows", "alike"], related),
            "strength": rng.random(related) * 0.5,
        }
    )
    wants = pa.table(
        {
            "customer_id": np.repeat(customers, 30),
            "product_id": some(wanted),
            "probability": rng.random(wanted) * 0.3,
            "days_since": rng.uniform(0, 99, wanted),
            "usual_days": rng.uniform(5, 50, wanted),
            "because_product_id": some(wanted),
        }
    )
    return build_index(IndexTables(products, purchases, links, wants), at_day=DAY, margin_share=0.3)


def main(counts: list[int]) -> None:
    print("products  build s  median ms  p99 ms  at night ms a customer")
    for count in counts:
        rng = np.random.default_rng(0)
        since = time.perf_counter()
        index = made_index(count, rng)
        built = time.perf_counter() - since
        maker, memory = ListMaker(index, budget=RegretBudget(0.02)), SessionMemory()
        scenario = Scenario("home", RULES, value_weight=0.3, rotation=0.3)
        seconds = []
        for number in range(LISTS + 100):
            token, day = f"t{number % 500}", DAY + number / LISTS
            event = SessionEvent(day, KINDS[number % len(KINDS)], index.product_id(int(rng.integers(min(count, 500)))))
            memory.add(token, [event])
            begin = time.perf_counter()
            context = (int(rng.integers(count)),) if number % 3 == 0 else ()
            request = ListRequest(scenario, day, int(rng.integers(count)), memory.events([token]), context)
            maker.make(request, rng)
            seconds.append(time.perf_counter() - begin)
        live = 1_000 * np.array(seconds[100:])
        night, begin = ListMaker(index), time.perf_counter()
        for customer in range(NIGHTLY):
            night.make(ListRequest(scenario, DAY, customer % count), rng)
        at_night = 1_000 * (time.perf_counter() - begin) / NIGHTLY
        print(f"{count:8,}  {built:7.1f}  {np.median(live):9.2f}  {np.quantile(live, 0.99):6.2f}  {at_night:.2f}")


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1_000, 10_000, 100_000])
