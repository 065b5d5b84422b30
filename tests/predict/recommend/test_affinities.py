from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron import predict
from patron.predict.recommend.affinities import affinities, rank_products
from patron.predict.recommend.library_lists import PopularityLists
from patron.predict.recommend.purchase_history import PurchaseHistory
from patron.schema.tables import BY_NAME, PROMOTIONS
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def sell(shop, days_of_history, product_of):
    rng = np.random.default_rng(1)
    rows = []
    for n in range(2_000):
        at = AS_OF + timedelta(days=float(rng.uniform(-days_of_history, 40)))
        customer = int(rng.integers(0, 60))
        money = {"gross_cents": 100, "discount_cents": 0, "paid_cents": 100, "quantity": 1}
        flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
        when = {"ordered_at": at, "occurred_at": at, "known_at": at}
        names = {"line_id": f"l{n}", "order_id": f"o{n}", "customer_id": f"c{customer}"}
        rows.append({**names, "product_id": product_of(customer, rng), **money, **flags, **when})
    table = BY_NAME["order_lines"]
    shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()))


def view_of(shop):
    return shop.view(predict.READS, predict.WRITES, run=Run.at(AS_OF))


def test_a_run_ranks_every_customer_and_keeps_the_champion(shop):
    sell(shop, 200, lambda customer, rng: f"p{(customer + int(rng.integers(0, 4))) % 50}")
    shop.lake.replace(PROMOTIONS, PROMOTIONS.empty())
    view = view_of(shop)
    rankings = rank_products(view)
    assert set(rankings.backtests["origin"].to_pylist()) == {"2024-03-09", "2024-04-06", "2024-05-04", "all"}
    assert set(rankings.backtests["champion"].to_pylist()) == {"item_hazard"}
    lists = view.read("affinities").to_pandas()
    assert lists.groupby("customer_id").size().eq(30).all()
    assert lists["customer_id"].nunique() == 60
    version = lists["model_version"].iloc[0]
    versions = model_registry.manifest(shop.folder / "models", shop.store, version).table_versions
    assert set(versions) == {"order_lines", "promotions"}
    assert None not in versions.values()
    assert "ndcg_at_10" in model_registry.card(shop.folder / "models", shop.store, version)["why"]


def test_nothing_after_the_cutoff_changes_the_lists(shop):
    sell(shop, 200, lambda customer, rng: f"p{(customer + int(rng.integers(0, 4))) % 50}")
    view = view_of(shop)
    rank_products(view)
    first = view.read("affinities").to_pylist()
    table = BY_NAME["order_lines"]
    known = view.query(f"select * from order_lines where known_at < timestamptz '{AS_OF.isoformat()}'")
    shop.lake.replace(table, known)
    rank_products(view)
    assert view.read("affinities").to_pylist() == first


def test_a_short_history_is_not_backtested_but_served(shop):
    sell(shop, 20, lambda _customer, rng: f"p{int(rng.integers(0, 5))}")
    view = view_of(shop)
    assert rank_products(view).backtests.num_rows == 0
    assert view.read("affinities").num_rows == 60 * 5


def test_a_shop_without_product_ids_has_no_lists(shop):
    sell(shop, 200, lambda _customer, _rng: None)
    view = view_of(shop)
    assert rank_products(view).backtests.num_rows == 0
    assert view.read("affinities").num_rows == 0


def test_a_product_with_a_personal_id_is_recommended_once_two_customers_have_ordered_it(shop):
    alone, shared = "i_" + "0a" * 16, "i_" + "0b" * 16
    sell(shop, 20, lambda customer, rng: {0: alone, 1: shared, 2: shared}.get(customer, f"p{int(rng.integers(0, 5))}"))
    view = view_of(shop)
    rank_products(view)
    assert set(view.read("affinities")["product_id"].to_pylist()) == {shared, *(f"p{n}" for n in range(5))}


def test_a_product_with_a_personal_id_that_a_kept_model_lists_is_not_recommended_when_nobody_has_ordered_it(shop):
    token = "i_" + "0a" * 16
    bought = [(f"c{n}", token if n % 2 else "p1", 1.0) for n in range(20)]
    purchases = pa.table(
        dict(zip(("customer_id", "product_id", "days_before"), zip(*bought, strict=True), strict=True))
    )
    fitted = PopularityLists().fit(purchases)
    assert token in fitted.predict(purchases)["product_id"].to_pylist()
    sell(shop, 20, lambda _customer, _rng: "p1")
    today = PurchaseHistory(purchases.filter(pc.equal(purchases["product_id"], "p1")))
    lists = affinities(view_of(shop), fitted, today, BY_NAME["related_products"].empty(), "kept")
    assert set(lists["product_id"].to_pylist()) == {"p1"}
