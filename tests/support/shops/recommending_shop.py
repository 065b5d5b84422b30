"""A shop whose run has recommendations: customers with a few favourites each, which they buy in pairs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron import decide, predict
from patron.decide.recommendations import write_recommendations
from patron.govern.vault import Vault, initial_customer_id
from patron.predict.recommend.affinities import rank_products
from patron.schema.tables import IDENTITIES, ORDER_LINES, PRODUCTS, TABLES
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
CUSTOMERS, FAVOURITES, PRODUCT_COUNT = 40, 4, 50


def order_line(number: int, customer_id: str, product_id: str, at: datetime, **changes: object) -> dict[str, object]:
    """One line of an order, 1.00 paid."""
    money = {"gross_cents": 100, "discount_cents": 0, "paid_cents": 100, "quantity": 1}
    flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
    when = {"ordered_at": at, "occurred_at": at, "known_at": at}
    names = {"line_id": f"l{number}.{product_id}", "order_id": f"o{number}", "customer_id": customer_id}
    return {**names, "product_id": product_id, **money, **flags, **when, **changes}


def write_products(shop: Shop, **changes: list[object]) -> None:
    """Products p0 ... with names, five categories and prices; `changes` are further columns."""
    rows = [
        {
            "product_id": f"p{n}",
            "product_name": f"Product {n}",
            "category": f"k{n % 5}",
            "price_cents": 100 + n,
            "known_at": AS_OF - timedelta(days=300),
            **{name: values[n] for name, values in changes.items()},
        }
        for n in range(PRODUCT_COUNT)
    ]
    shop.lake.replace(PRODUCTS, pa.Table.from_pylist(rows, schema=PRODUCTS.schema()))


def finish_run(shop: Shop, run: Run) -> None:
    """Make the tables as they are those of a completed run."""
    versions = {table.name: shop.lake.version(table) for table in TABLES}
    row = {"run_id": run.run_id, "as_of": run.as_of, "finished_at": run.as_of, "seconds": 1.0, "seed": 1}
    with shop.store.begin() as connection:
        values = row | {"policy_version": "1", "table_versions": versions, "summary": {}}
        connection.execute(sa.insert(RUNS).values(values))


def run_recommendations(shop: Shop, as_of: datetime = AS_OF) -> Run:
    """Rank products and write lists, as a run does."""
    run = Run.at(as_of)
    rank_products(shop.view(predict.READS, predict.WRITES, run=run))
    write_recommendations(shop.view(decide.READS, decide.WRITES, run=run))
    return run


def recommending_shop(folder: Path, *, seed: int = 1, **changes: list[object]) -> Shop:
    """The shop after its run: customer n is user `un` and likes products n, n + 1, n + 2 and n + 3."""
    shop, rng = Shop.create(folder), np.random.default_rng(seed)
    vault, lines = Vault.open(shop), []
    users = pa.array([f"u{n}" for n in range(CUSTOMERS)])
    tokens = dict(enumerate(vault.store_tokens("user_id", users, AS_OF).to_pylist()))
    for number in range(1_500):
        customer = int(rng.integers(CUSTOMERS))
        at = AS_OF - timedelta(days=float(rng.uniform(0, 250)))
        first = int(rng.integers(FAVOURITES))
        for favourite in {first, (first + 1) % FAVOURITES}:
            product_id = f"p{(customer + favourite) % PRODUCT_COUNT}"
            lines.append(order_line(number, initial_customer_id(tokens[customer]), product_id, at))
    shop.lake.replace(ORDER_LINES, pa.Table.from_pylist(lines, schema=ORDER_LINES.schema()))
    identities = [
        {
            "token": token,
            "customer_id": initial_customer_id(token),
            "is_user": True,
            "known_at": AS_OF - timedelta(days=300),
            "shared_from": None,
            "rule": None,
        }
        for token in tokens.values()
    ]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(identities, schema=IDENTITIES.schema()))
    write_products(shop, **changes)
    finish_run(shop, run_recommendations(shop))
    return shop
