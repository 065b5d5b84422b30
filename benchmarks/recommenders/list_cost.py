"""What lists cost: one customer live, and a night of 100,000 customers; rules and diversity included.

`python benchmarks/recommenders/list_cost.py`: 100,000 products, vectors of 64 dimensions or none. Live is one customer
with 500 candidates and 50 products in the past, 2,000 calls, milliseconds; at night 60 candidates a customer, seconds.
Live, arrays become candidates and a past within the time. Compilation, which happens once, is not counted.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from patron.recommenders.lists import (
    ItemsByRow,
    ListCandidates,
    ListRules,
    ProductFacts,
    ProductLists,
    ShopperFacts,
    choose_lists,
)

PRODUCTS, CUSTOMERS, DIMENSIONS, K, CALLS = 100_000, 100_000, 64, 10, 2_000
PLAIN = ListRules()
FULL = ListRules(least_margin_share=0.05, most_per_category=3, min_relevance=0.01, tail_share=0.2, diversity=0.3)


def product_facts(rng: np.random.Generator) -> ProductFacts:
    number = np.arange(PRODUCTS)
    return ProductFacts.of(
        pa.table(
            {
                "product_id": pa.array(number).cast(pa.string()),
                "category": rng.integers(0, 300, PRODUCTS),
                "brand": rng.integers(0, 2_000, PRODUCTS),
                "style_id": rng.integers(0, PRODUCTS // 2, PRODUCTS),
                "margin_share": rng.uniform(0, 0.6, PRODUCTS),
                "stock": rng.poisson(3, PRODUCTS),
                "is_consumable": rng.random(PRODUCTS) < 0.3,
                "is_tail": number > PRODUCTS // 5,
            }
        )
    )


def candidate_arrays(rng: np.random.Generator, rows: int, of_row: int) -> tuple:
    item = (PRODUCTS * rng.random(rows * of_row) ** 2).astype(np.int64)
    return np.repeat(np.arange(rows), of_row), item, rng.beta(1, 5, rows * of_row)


def past_arrays(rng: np.random.Generator, rows: int, of_row: int) -> list[tuple]:
    """Rows, products and days of what was bought, returned and hidden."""
    return [
        (np.repeat(np.arange(rows), count), rng.integers(0, PRODUCTS, rows * count), rng.uniform(0, 400, rows * count))
        for count in (of_row, 2, 1)
    ]


def choose(known: ProductFacts, rules: ListRules, rows: int, candidates: tuple, past: list[tuple]) -> ProductLists:
    bought, returned, hidden = (ItemsByRow.of(rows, *one) for one in past)
    shopper = ShopperFacts(bought, returned, hidden)
    row, item, relevance = candidates
    return choose_lists(ListCandidates(row, item, relevance, rows), known, rules, K, shopper)


def measure() -> Iterator[tuple]:
    rng = np.random.default_rng(1)
    facts = product_facts(rng)
    vectors = facts.with_vectors(rng.normal(size=(PRODUCTS, DIMENSIONS)))
    calls = [(1, candidate_arrays(rng, 1, 500), past_arrays(rng, 1, 50)) for _ in range(CALLS)]
    night = CUSTOMERS, candidate_arrays(rng, CUSTOMERS, 60), past_arrays(rng, CUSTOMERS, 10)
    for name, known, rules in (
        ("filters only", facts, PLAIN),
        ("all rules, category and brand", facts, FULL),
        ("all rules, vectors", vectors, FULL),
    ):
        choose(known, rules, *calls[0])
        spans = np.array([clock(known, rules, *call) for call in calls]) * 1e3
        median, slow = np.percentile(spans, (50, 99), axis=0)
        yield name, *median, *slow, *clock(known, rules, *night)


def clock(known: ProductFacts, rules: ListRules, *call: Any) -> tuple[float, float]:
    """Wall clock and processor time, seconds."""
    start = time.perf_counter(), time.thread_time()
    choose(known, rules, *call)
    return time.perf_counter() - start[0], time.thread_time() - start[1]


def main() -> None:
    print("Wall clock / processor time.")
    print("| rules | one customer, p50 ms | p99 ms | 100,000 customers, s |")
    print("|---|---|---|---|")
    for name, *values in measure():
        cells = [f"{wall:.2f} / {processor:.2f}" for wall, processor in zip(values[::2], values[1::2], strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
