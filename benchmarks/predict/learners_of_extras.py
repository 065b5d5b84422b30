"""Which learner is champion of a run on made shops: with orders that networks see, with pictures, with few outcomes?

Usage: python benchmarks/predict/learners_of_extras.py [SHOP ...] (by default all); networks need the extra `deep`. A
real run is made on each shop: import, features, backtests over past cutoffs, champion.

- `routines`: customers go through categories of their own in an order of their own, and take any product of each.
- `pictures`: thousands of products, bought by those who like their looks, which are known from their pictures alone.
- `growing`: most customers came in the last months. Some stay and some leave, and they look around in the shop in
  different ways; whether they stayed is known of few.
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
from patron.schema.models.questions import CHURN, RECOMMEND, Target
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import IMAGE_VECTORS_FILE

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 270
CUSTOMERS = 1_500
PRICE_CENTS = 2_000
WAYS = {
    "Products Searched": 1.0,
    "Product List Viewed": -1.0,
    "Product Viewed": 2.0,
    "Product Clicked": 1.0,
    "Product Added": -1.0,
    "Product Added to Wishlist": 0.6,
    "Product Reviewed": 0.4,
    "Promotion Viewed": -1.0,
    "Promotion Clicked": 0.6,
}
"""How often a visitor of a `growing` shop does each; those with a minus are done more by customers who leave."""


@dataclass(frozen=True)
class MadeShop:
    """What happened, what products look like, and which question is asked of it."""

    question: Target
    rows: list[dict[str, object]]
    looks: np.ndarray | None = None


def routines(seed: int = 1, *, categories: int = 40, in_each: int = 15, cycle: int = 4) -> MadeShop:
    """Each customer goes through categories of their own in an order of their own, and takes any product of each."""
    rng = np.random.default_rng(seed)
    rows = [listing(product, 0.0) for product in range(categories * in_each)]
    for customer in range(CUSTOMERS):
        routine = rng.choice(categories, cycle, replace=False)
        at, day = int(rng.integers(cycle)), float(rng.uniform(0, 60))
        while day < DAYS:
            category = routine[at % cycle] if rng.random() < 0.85 else rng.integers(categories)
            rows.append(order(customer, int(category * in_each + rng.integers(in_each)), day))
            at, day = at + 1, day + rng.exponential(9)
    return MadeShop(RECOMMEND, rows)


def pictures(seed: int = 1, *, products: int = 6_000, directions: int = 16, strength: float = 12.0) -> MadeShop:
    """Thousands of products, such as prints, of which each is bought a few times: by those who like its looks.

    Looks have length 1, as encoders of pictures give them.
    """
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(products, directions))
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    first_day = np.sort(rng.uniform(-DAYS, DAYS, products))
    rows = [listing(product, day) for product, day in enumerate(first_day)]
    for customer in range(CUSTOMERS):
        taste, day = rng.normal(size=directions), float(rng.uniform(0, 60))
        liking = looks @ taste / np.linalg.norm(taste)
        while day < DAYS:
            listed = int(np.searchsorted(first_day, day))
            weight = np.cumsum(np.exp(strength * liking[:listed]))
            rows.append(order(customer, int(np.searchsorted(weight, rng.uniform(0, weight[-1]))), day))
            day += rng.exponential(10)
    return MadeShop(RECOMMEND, rows, looks)


def growing(seed: int = 1, *, customers: int = 1_200, difference: float = 1.0) -> MadeShop:
    """Customers who come ever faster; half of them stay, and look around in the shop in another way."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        is_staying, busy = rng.random() < 0.5, np.exp(0.5 * rng.normal())
        first_day = day = DAYS * rng.random() ** 0.5
        while day < DAYS:
            rows.append(order(customer, int(rng.integers(50)), day))
            day += rng.exponential(45 if is_staying else 900)
        side = difference / 2 if is_staying else -difference / 2
        times = {
            way: busy * abs(rate) * np.exp(0.9 * rng.normal() + np.sign(rate) * side) for way, rate in WAYS.items()
        }
        day = first_day + rng.exponential(6)
        while day < DAYS:
            rows += [
                step(way, customer, day) for way, rate in times.items() for _ in range(rng.poisson(min(rate, 8.0)))
            ]
            day += rng.exponential(6)
    return MadeShop(CHURN, rows)


def listing(product: int, day: float) -> dict[str, object]:
    """A product comes."""
    what = {"product_id": f"p{product}", "product_name": f"Product {product}", "price_cents": PRICE_CENTS}
    return {"name": "Product Updated", "occurred_at": START + timedelta(days=float(day))} | what


def order(customer: int, product: int, day: float) -> dict[str, object]:
    """A purchase of one product."""
    line = {"product_id": f"p{product}", "price_cents": PRICE_CENTS, "quantity": 1}
    paid = {"revenue_cents": PRICE_CENTS, "currency": "USD", "products": [line]}
    return step("Order Completed", customer, day) | {"order_id": f"o{customer} {day}"} | paid


def step(name: str, customer: int, day: float) -> dict[str, object]:
    """Something that a customer does."""
    return {"name": name, "occurred_at": START + timedelta(days=float(day)), "user_id": f"u{customer}"}


def made_workspace(folder: Path, made: MadeShop) -> Shop:
    """A workspace with the shop's events, and pictures where it has them."""
    shop = Shop.create(folder)
    events = raw_events_table([{"event_id": f"event {number}"} | row for number, row in enumerate(made.rows)])
    load_events(shop, events, source="made", known="occurred", received_at=START + timedelta(days=DAYS))
    if made.looks is not None:
        ids = [f"p{number}" for number in range(len(made.looks))]
        pq.write_table(pa.table({"product_id": ids, "vector": made.looks.tolist()}), folder / IMAGE_VECTORS_FILE)
    return shop


def print_backtest(shop: Shop, question: Target) -> None:
    """The primary metric of each learner over all cutoffs, with its 95 % interval, and the champion."""
    snapshot = shop.snapshot()
    assert snapshot is not None
    rows = snapshot.query(f"""
select learner, value, low, high, learner = champion as is_champion from backtests
where question = '{question.name}' and origin = 'all' and metric = '{question.primary_metric.name}'""")
    for row in rows.to_pylist():
        mark = " <- champion" if row["is_champion"] else ""
        print(f"  {row['learner']:18} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]{mark}")


MADE: Mapping[str, Callable[[], MadeShop]] = {"routines": routines, "pictures": pictures, "growing": growing}


def main(names: tuple[str, ...] = tuple(MADE)) -> None:
    """Make each shop, run, and print the backtest of its question."""
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            made = MADE[name]()
            with closing(made_workspace(Path(place) / "shop", made)) as shop:
                started = time.process_time()
                run_loop(shop, START + timedelta(days=DAYS))
                spent = time.process_time() - started
                metric = made.question.primary_metric.name
                print(f"{name}: {len(made.rows):,} events, run {spent:.0f} processor seconds; {metric}")
                print_backtest(shop, made.question)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or tuple(MADE))
