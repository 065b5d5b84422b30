"""Which learner of recommendations is champion of a run on two made shops, with the learners that need an extra?

Usage: python benchmarks/predict/learners_of_extras.py [SHOP ...] (by default all). A real run is made on each shop:
import, features, backtests over three past cutoffs, champion.

- `routines`: customers go through categories of their own in an order of their own, and take any product of each.
- `pictures`: thousands of products, bought by those who like their looks, which are known from their pictures alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from patron.collect.loader import load_events
from patron.run import run_loop
from patron.schema.data.raw_events import raw_events_table
from patron.schema.models.questions import RECOMMEND
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import IMAGE_VECTORS_FILE

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 240
CUSTOMERS = 1_500
PRICE_CENTS = 2_000
MINUTES = 20


@dataclass(frozen=True)
class MadeShop:
    """Purchases (customer, product, day), the day on which each product comes, and what products look like."""

    customer: np.ndarray
    product: np.ndarray
    day: np.ndarray
    first_day: np.ndarray
    looks: np.ndarray | None = None


def routines(seed: int = 1, *, categories: int = 40, in_each: int = 15, cycle: int = 4) -> MadeShop:
    """Each customer goes through categories of their own in an order of their own, and takes any product of each."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(CUSTOMERS):
        routine = rng.choice(categories, cycle, replace=False)
        at, day = int(rng.integers(cycle)), float(rng.uniform(0, 60))
        while day < DAYS:
            category = routine[at % cycle] if rng.random() < 0.85 else rng.integers(categories)
            rows.append((customer, category * in_each + rng.integers(in_each), day))
            at, day = at + 1, day + rng.exponential(9)
    customers, products, days = (np.array(column) for column in zip(*rows, strict=True))
    return MadeShop(customers, products, days, np.zeros(categories * in_each))


def pictures(seed: int = 1, *, products: int = 6_000, directions: int = 16, strength: float = 12.0) -> MadeShop:
    """Thousands of products, such as prints, of which each is bought a few times: by those who like its looks.

    Looks have length 1, as encoders of pictures give them.
    """
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(products, directions))
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    first_day = np.sort(rng.uniform(-DAYS, DAYS, products))
    rows = []
    for customer in range(CUSTOMERS):
        taste, day = rng.normal(size=directions), float(rng.uniform(0, 60))
        liking = looks @ taste / np.linalg.norm(taste)
        while day < DAYS:
            listed = int(np.searchsorted(first_day, day))
            weight = np.cumsum(np.exp(strength * liking[:listed]))
            rows.append((customer, np.searchsorted(weight, rng.uniform(0, weight[-1])), day))
            day += rng.exponential(10)
    customers, bought, days = (np.array(column) for column in zip(*rows, strict=True))
    return MadeShop(customers, bought, days, first_day, looks)


def events(made: MadeShop) -> pa.Table:
    """Raw events: products as they come, and orders."""
    rows = [
        {
            "event_id": f"product {number}",
            "name": "Product Updated",
            "occurred_at": START + timedelta(days=float(day)),
            "product_id": f"p{number}",
            "product_name": f"Product {number}",
            "price_cents": PRICE_CENTS,
        }
        for number, day in enumerate(made.first_day)
    ]
    rows += [
        {
            "event_id": f"order {number}",
            "name": "Order Completed",
            "occurred_at": START + timedelta(days=float(day)),
            "user_id": f"u{customer}",
            "order_id": f"o{number}",
            "revenue_cents": PRICE_CENTS,
            "currency": "USD",
            "products": [{"product_id": f"p{product}", "price_cents": PRICE_CENTS, "quantity": 1}],
        }
        for number, (customer, product, day) in enumerate(zip(made.customer, made.product, made.day, strict=True))
    ]
    return raw_events_table(rows)


def made_workspace(folder: Path, made: MadeShop) -> Shop:
    """A workspace with the shop's events, and pictures where it has them."""
    shop = Shop.create(folder)
    load_events(shop, events(made), source="made", known="occurred", received_at=START + timedelta(days=DAYS))
    if made.looks is not None:
        ids = [f"p{number}" for number in range(len(made.looks))]
        pq.write_table(pa.table({"product_id": ids, "vector": made.looks.tolist()}), folder / IMAGE_VECTORS_FILE)
    return shop


def print_backtest(shop: Shop) -> None:
    """The primary metric of each learner of lists over all cutoffs, with its 95 % interval, and the champion."""
    snapshot = shop.snapshot()
    assert snapshot is not None
    rows = snapshot.query(f"""
select learner, value, low, high, learner = champion as is_champion from backtests
where question = '{RECOMMEND.name}' and origin = 'all' and metric = '{RECOMMEND.primary_metric.name}'""")
    for row in rows.to_pylist():
        mark = " <- champion" if row["is_champion"] else ""
        print(f"  {row['learner']:18} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]{mark}")


MADE: Mapping[str, Callable[[], MadeShop]] = {"routines": routines, "pictures": pictures}


def main(names: tuple[str, ...] = tuple(MADE)) -> None:
    """Make each shop, run, and print the backtest of recommendations."""
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            made = MADE[name]()
            with closing(made_workspace(Path(place) / "shop", made)) as shop:
                started = time.process_time()
                run_loop(shop, START + timedelta(days=DAYS))
                print(f"{name}: {len(made.day):,} purchases, run {time.process_time() - started:.0f} processor seconds")
                print_backtest(shop)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or tuple(MADE))
