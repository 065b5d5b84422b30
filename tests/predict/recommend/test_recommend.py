from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.predict.extras import with_extra

from patron.predict.backtest import backtest, to_table
from patron.predict.recommend import LEARNERS
from patron.predict.recommend.library_lists import AttentionLists, ItemHazardLists, PopularityLists, TowerLists
from patron.predict.recommend.product_content import content_at
from patron.predict.recommend.purchase_history import PurchaseHistory
from patron.predict.recommend.ranking_origins import RankingOrigin
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import RECOMMEND
from patron.schema.table_checks import violations
from patron.schema.tables import BACKTESTS


def purchases(rows):
    customer, product, days = zip(*rows, strict=True)
    return pa.table(
        {
            "customer_id": pa.array(customer, pa.string()),
            "product_id": pa.array(product, pa.string()),
            "days_before": pa.array(days, pa.float64()),
        }
    )


def drawn(people, products, lines, seed=3):
    """Customers with a few favourites each, and one product that everybody buys."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, lines)
    favourite = (person * 7 + rng.integers(0, 3, lines)) % products
    product = np.where(rng.random(lines) < 0.2, 0, favourite)
    return purchases(
        (f"c{p:04}", f"p{q:03}", d) for p, q, d in zip(person, product, rng.uniform(0, 200, lines), strict=True)
    )


def lists_of(table, customer):
    return [row["product_id"] for row in table.to_pylist() if row["customer_id"] == customer]


def test_popularity_counts_recent_buyers_and_orders_the_rest_behind_them():
    history = purchases(
        [(f"a{n}", "old", 90) for n in range(5)] + [("b", "new", 3), ("e", "new", 3), ("c", "fresh", 1)]
    )
    lists = PopularityLists().fit(history).predict(purchases([("d", None, None)]))
    assert lists_of(lists, "d") == ["new", "fresh", "old"]
    assert set(lists["reason"].to_pylist()) == {"popular"}


def test_what_is_due_comes_first_with_its_rhythm():
    every_week = [("a", "bread", 8 + 7 * n) for n in range(8)]
    history = purchases([*every_week, ("a", "lamp", 1), ("b", "sold", 1), ("c", "sold", 2)])
    rows = ItemHazardLists().fit(history).predict(history).to_pylist()
    first, *others = [row for row in rows if row["customer_id"] == "a"]
    assert (first["product_id"], first["reason"], first["days_since"], first["usual_days"]) == (
        "bread", "buy_again", 8.0, 7.0
    )  # fmt: skip
    facts = {row["product_id"]: (row["reason"], row["days_since"], row["usual_days"]) for row in others}
    assert facts == {"lamp": ("buy_again", 1.0, None), "sold": ("popular", None, None)}


SMALL = (
    *LEARNERS[:2],
    AttentionLists(fewest_lines=0, epochs=1, fewest_updates=20),
    TowerLists(fewest_lines=0),
)
"""Lists that can be made of few purchases."""


@pytest.mark.parametrize("learner", [with_extra(learner) for learner in SMALL], ids=lambda learner: learner.name)
class TestEveryRecommender:
    def test_lists_no_product_twice_and_ranks_from_one(self, learner):
        history = drawn(50, 80, 2_000)
        lists = learner.fit(history).predict(history).to_pandas()
        assert not lists.duplicated(["customer_id", "product_id"]).any()
        for _, one in lists.groupby("customer_id"):
            assert one["rank"].tolist() == list(range(1, len(one) + 1))
            assert len(one) <= learner.count
            assert one["score"].is_monotonic_decreasing

    def test_ranks_one_customer_as_it_ranks_many(self, learner):
        history = drawn(50, 80, 2_000)
        fitted = learner.fit(history)
        alone = fitted.predict(history.filter(pa.compute.equal(history["customer_id"], "c0007")))
        assert lists_of(alone, "c0007") == lists_of(fitted.predict(history), "c0007")

    def test_is_the_same_after_saving_and_in_any_row_order(self, learner, tmp_path):
        history = drawn(50, 80, 2_000)
        fitted = learner.fit(history)
        fitted.save(tmp_path)
        shuffled = history.take(np.random.default_rng(1).permutation(history.num_rows))
        again = type(fitted).load(tmp_path).predict(shuffled).sort_by("customer_id")
        first = fitted.predict(history).sort_by("customer_id")
        assert again["product_id"].to_pylist() == first["product_id"].to_pylist()
        assert type(fitted).load(tmp_path).learner == learner

    def test_ranks_numbered_columns_as_it_ranks_texts(self, learner):
        history = pa.concat_tables([drawn(50, 80, 2_000), purchases([("new", None, 0.0)])])
        some = pa.compute.not_equal(history["customer_id"], "c0007")
        numbered = history
        for at, name in enumerate(("customer_id", "product_id")):
            numbered = numbered.set_column(at, name, history[name].combine_chunks().dictionary_encode())
        texts, numbers = (learner.fit(one).predict(one.filter(some)) for one in (history, numbered))
        assert texts.sort_by("customer_id").equals(numbers.sort_by("customer_id"))
        assert "c0007" not in numbers["customer_id"].to_pylist()
        assert "new" in numbers["customer_id"].to_pylist()

    def test_refuses_a_shop_without_products(self, learner):
        with pytest.raises(NotEnoughData, match="names a product"):
            learner.fit(purchases([("a", None, 3.0)]))


@pytest.mark.extra
def test_a_product_that_nobody_has_bought_is_listed_for_those_who_like_its_looks(import_extra):
    import_extra("torch", "deep")
    rng = np.random.default_rng(0)
    looks = np.repeat([[1.0, 0.0], [0.0, 1.0]], 41, axis=0) + rng.normal(0, 0.1, (82, 2))
    customer, bought = rng.integers(0, 100, 3_000), rng.integers(0, 40, 3_000)
    names = [f"{look}{number}" for look in "ab" for number in range(41)]  # a40 and b40 are new
    history = purchases(
        (f"c{one}", names[41 * (one % 2) + product], day)
        for one, product, day in zip(customer, bought, rng.uniform(0, 90, 3_000), strict=True)
    )
    listed = pa.table({"product_id": names, "name": ["print"] * 82, "known_at": [CUTOFF - timedelta(days=9)] * 82})
    known = content_at(listed.cast(KNOWN), (pa.array(names), looks), CUTOFF)
    lists = (
        TowerLists(fewest_lines=0, count=41, fewest_new=0).fit(PurchaseHistory(history, content=known)).predict(history)
    )
    for one in range(20):
        new = [product for product in lists_of(lists, f"c{one}") if product in {"a40", "b40"}]
        assert new == ["ab"[one % 2] + "40"]
    assert content_at(listed.cast(KNOWN), None, CUTOFF - timedelta(days=10)).items.to_pylist() == []


CUTOFF = datetime(2017, 12, 5, tzinfo=UTC)
KNOWN = pa.schema([("product_id", pa.string()), ("name", pa.string()), ("known_at", pa.timestamp("us", tz="UTC"))])


def backtested(origin, **changes):
    rng = np.random.default_rng(1)
    result = backtest(replace(RECOMMEND, **changes), LEARNERS[:2], [origin], rng=rng)
    return to_table(result, run_id="t", rng=rng)


def test_the_backtest_writes_declared_rows_and_prefers_what_customers_buy_again():
    history, later = drawn(200, 80, 6_000), drawn(200, 80, 1_500, seed=4)
    rows = backtested(RankingOrigin.of(CUTOFF, history, later))
    assert violations(BACKTESTS, rows) == []
    best = next(r for r in rows.to_pylist() if r["learner"] == "item_hazard" and r["origin"] == "all")
    assert best["champion"] == "item_hazard"
    assert best["baseline"] == "popularity"
    assert best["gain_low"] > 0
    assert best["low"] < best["value"] < best["high"]


def test_ndcg_is_one_when_the_first_products_are_the_bought_ones():
    history = purchases([("a", "x", 1), ("a", "x", 2), ("a", "y", 3)] + [(who, "z", 1) for who in "bcd"])
    later = purchases([("a", "x", 0), ("a", "y", 0)])
    rows = backtested(RankingOrigin.of(CUTOFF, history, later), fewest_customers=1)
    found = {row["learner"]: row["value"] for row in rows.to_pylist() if row["metric"] == "ndcg_at_10"}
    assert found["item_hazard"] == 1.0
    assert found["popularity"] < 1.0
