"""The lists of a run on Complete Journey: what the product recommends, rules and all, next to simple rules.

`python benchmarks/recommenders/service_lists.py [--earlier] [counts | learned]`. As a run does: a champion is fitted
before the cut, what its scores mean is learned 28 days earlier, and the list of the scenario `message` is made from
its candidates with the default policy.toml. Lists are compared with popularity and with personal frequency on the same
customers; the window is the one of `complete_journey.py`, and `--earlier` the one before it.
"""

import sys
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from complete_journey import CUT, DAYS, Window, order_lines, window

from patron.estimators.bootstrap import bootstrap_weights, percentile_interval
from patron.predict.recommend.library_lists import ItemHazardLists, LearnedLists, LibraryLists
from patron.predict.recommend.list_probabilities import ListProbabilities
from patron.predict.recommend.ranking_origins import RankingOrigin
from patron.recommenders import PersonalFrequency, RecentPopularity
from patron.recommenders.live.index_tables import IndexTables, build_index
from patron.recommenders.live.list_maker import ListMaker, ListRequest
from patron.recommenders.live.scenarios import Scenario
from patron.schema.models.metrics import ndcg
from patron.storage.recommendations.recommendation_policy import RecommendationPolicy

KINDS: dict[str, LibraryLists] = {"counts": ItemHazardLists(), "learned": LearnedLists()}
TOP = 10


def purchases(table: pa.Table, cut: datetime) -> pa.Table:
    """Lines as the run reads them: customer_id, product_id, days_before."""
    seconds = pc.subtract(pa.scalar(cut, table["at"].type), table["at"]).cast(pa.int64())
    days = seconds.to_numpy() / 86_400e6
    names = (table[name].cast(pa.string()) for name in ("user_id", "item_id"))
    return pa.table(dict(zip(("customer_id", "product_id"), names, strict=True)) | {"days_before": days})


def lists_of_the_run(one: Window, learner: LibraryLists) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The list of each customer, as a run at the cut makes it, and one of products that are new to them."""
    history = purchases(one.train, one.cut)
    earlier = one.cut - timedelta(days=DAYS)
    is_before = pc.less(one.train["at"], pa.scalar(earlier, one.train["at"].type))
    before, after = (purchases(one.train.filter(rows), earlier) for rows in (is_before, pc.invert(is_before)))
    listed = RankingOrigin.of(earlier, before, after).evaluate(learner.fit(before)).listed
    fitted = learner.fit(history)
    wanted = type(fitted)(
        fitted.learner, fitted.products, fitted.recommender, ListProbabilities.fit(listed) if listed else None
    ).predict(history)
    wanted = wanted.append_column("because_product_id", pa.nulls(wanted.num_rows, pa.string()))
    recent = history.filter(pc.less_equal(history["days_before"], float(DAYS)))
    ids = pc.unique(history["product_id"])
    empty = {name: pa.nulls(len(ids), pa.string()) for name in ("category", "brand", "style_id")}
    products = pa.table(
        {
            "product_id": ids,
            "known_day": np.zeros(len(ids)),
            **empty,
            **{name: pa.nulls(len(ids), pa.float64()) for name in ("price_cents", "cost_cents", "stock")},
            "is_consumable": consumables(history, ids),
            "is_blocked": np.zeros(len(ids), dtype=bool),
        }
    )
    bought = recent.rename_columns(["customer_id", "product_id", "days"])
    bought = bought.append_column("is_return", pa.array(np.zeros(bought.num_rows, dtype=bool)))
    none = {"product_id": pa.string(), "related_id": pa.string(), "kind": pa.string(), "strength": pa.float64()}
    related = pa.schema(list(none.items())).empty_table()
    index = build_index(IndexTables(products, bought, related, wanted), at_day=0.0, margin_share=0.3)
    scenario = Scenario.of("message", (), RecommendationPolicy().of_scenario("message").model_dump())
    maker, rng = ListMaker(index), np.random.default_rng(0)
    owned: dict[str, set[str]] = {}
    for customer, product in zip(history["customer_id"].to_pylist(), history["product_id"].to_pylist(), strict=True):
        owned.setdefault(customer, set()).add(product)
    lists, new = {}, {}
    for place, customer in enumerate(index.customers.ids.to_pylist()):
        hidden = index.facts.codes(sorted(owned.get(customer, ()))).tolist()
        for kept, without in ((lists, ()), (new, hidden)):
            made = maker.make(ListRequest(scenario, 0.0, place, hidden=without), rng)
            kept[customer] = [index.product_id(product.product) for product in made.products]
    return lists, new


def consumables(history: pa.Table, ids: pa.Array) -> np.ndarray:
    """Products of which a repeat is usual, as a run finds them where the catalogue says nothing."""
    days = history.append_column("day", pc.floor(history["days_before"]))
    pairs = days.group_by(["product_id", "customer_id"]).aggregate([("day", "count_distinct")])
    of = pairs.group_by("product_id").aggregate([("day_count_distinct", "sum"), ("customer_id", "count")])
    purchases_, customers = of["day_count_distinct_sum"].to_numpy(), of["customer_id_count"].to_numpy()
    share = (purchases_ - customers).sum() / purchases_.sum()
    shares = (purchases_ - customers + 20 * share) / (purchases_ + 20)
    return shares[np.asarray(pc.index_in(ids, of["product_id"].combine_chunks()))] >= 0.15


def values(lists: dict[str, list[str]], truth: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """NDCG (the ideal cut at 10) and recall of each customer of the truth."""
    wanted: dict[str, set[str]] = {}
    for user, item in zip(truth["user_id"].to_pylist(), truth["item_id"].to_pylist(), strict=True):
        wanted.setdefault(str(user), set()).add(str(item))
    gains = np.array(
        [[item in one for item in (lists.get(user, []) + [""] * TOP)[:TOP]] for user, one in wanted.items()]
    )
    counts = np.array([len(one) for one in wanted.values()])
    return ndcg(gains.astype(float), counts), gains.sum(axis=1) / counts


def main(arguments: list[str]) -> None:
    cut = CUT - timedelta(days=DAYS) if "--earlier" in arguments else CUT
    one = window(order_lines(), cut)
    names = [name for name in arguments if name in KINDS] or list(KINDS)
    users = pc.unique(one.train["user_id"])
    tables, novel = {}, {}
    for learner in (RecentPopularity(), PersonalFrequency()):
        fitted = learner.fit(one.train)
        tables[learner.name] = grouped(fitted.recommend(users, TOP, exclude_seen=False))
        novel[learner.name] = grouped(fitted.recommend(users, TOP))
    for name in names:
        tables[f"service, {name}"], novel[f"service, {name}"] = lists_of_the_run(one, KINDS[name])
    base = {}
    for part, truth, of_part in (
        ("28 days", one.days, tables),
        ("next", one.next_basket, tables),
        ("novel", one.novel, novel),
    ):
        for name, lists in of_part.items():
            ranking, recall = values(lists, truth)
            base.setdefault(part, values(of_part["personal_frequency"], truth)[0])
            weights = bootstrap_weights(np.arange(len(ranking)), rng=np.random.default_rng(0))
            gain = ranking - base[part]
            interval = percentile_interval(float(gain.mean()), weights @ gain / weights.sum(axis=1))
            print(
                f"{part:8} {name:24} ndcg_cut {ranking.mean():.4f}  recall {recall.mean():.4f}  over personal rule "
                f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]",
                flush=True,
            )


def grouped(table: pa.Table) -> dict[str, list[str]]:
    """Items of each user, in order."""
    lists: dict[str, list[str]] = {}
    for user, item in zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True):
        lists.setdefault(str(user), []).append(str(item))
    return lists


if __name__ == "__main__":
    main(sys.argv[1:])
