"""Products that go together: by orders, by looks, by content, and by what people wrote about pairs of them."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron import recommenders
from patron.predict.recommend.codes import Codes, encoded, numbers_of, places
from patron.predict.recommend.product_content import read_products
from patron.predict.recommend.product_edges import (
    STRONGEST,
    edge_links,
    product_edges,
)
from patron.predict.recommend.text_vectors import content_vectors
from patron.recommenders.content import ProductVectors
from patron.recommenders.live.index_tables import ALIKE, FOLLOWS, NEVER, SUBSTITUTE, TOGETHER
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers
from patron.schema.tables import RELATED_PRODUCTS
from patron.storage.engine import sql_list, timestamp
from patron.storage.runs.stage_view import StageView

ORDERS_DAYS, VISITS_DAYS = 180, 90
"""How far back orders and visits count, days."""
RELATED = 30
"""Products that are kept next to each product."""
FIRM = 5.0
"""Purchases or looks at which half of a product's evidence counts."""
ALIKE_STRENGTH = 0.4
"""Strength of a product with the same content."""
MAX_NEIGHBOURS = 5_000
"""Products, those most looked at and bought, that have products of like content next to them."""
LOOKS = ("view", "click", "cart_add", "wishlist")
BASKETS = recommenders.ItemKNN(neighbours=RELATED + 1, weighting="cosine")
SEQUENCES = recommenders.CoVisitation(neighbours=RELATED + 1, half_life_days=7.0)


def related_products(view: StageView) -> pa.Table:
    """Rows of `related_products`: by orders, visits, the catalogue, pictures and the file of edges. Raises BadFile."""
    as_of = view.run.as_of
    orders = view.query(f"""
select order_id as user_id, product_id as item_id from order_lines
where not is_refund and product_id is not null and order_id is not null and known_at < {timestamp(as_of)}
  and ordered_at >= {timestamp(as_of - timedelta(days=ORDERS_DAYS))} and ordered_at < {timestamp(as_of)}
order by 1, 2""")
    visits = view.query(f"""
select customer_id as user_id, product_id as item_id, occurred_at as at from interactions
where product_id is not null and kind in {sql_list(LOOKS)} and known_at < {timestamp(as_of)}
  and occurred_at >= {timestamp(as_of - timedelta(days=VISITS_DAYS))} and occurred_at < {timestamp(as_of)}
order by 3, 1, 2""")
    links = [linked_products(BASKETS, orders, TOGETHER), linked_products(SEQUENCES, visits, FOLLOWS)]
    products = read_products(view).drop_columns("known_at")
    kept = view.read("text_vectors")
    if visits.num_rows and products.num_rows:  # why: where nobody is seen looking, no list can follow from a look
        looked_at = pa.concat_arrays([_ids(orders), _ids(visits)])
        links.append(alike_products(content_vectors(view, products, kept), looked_at))
    edges = product_edges(view.product_edges_file)
    if edges is not None:
        links.append(edge_links(edges, products, links[0]))
    rows = ranked(pa.concat_tables(links))
    run_id = pa.array([view.run.run_id] * rows.num_rows, pa.string())
    return rows.append_column("run_id", run_id).select(RELATED_PRODUCTS.schema().names).cast(RELATED_PRODUCTS.schema())


def linked_products(learner: recommenders.Recommender, rows: pa.Table, kind: str) -> pa.Table:
    """Links of a kind from (user_id, item_id): product_id, related_id, kind and strength."""
    products = encoded(rows["item_id"])
    names, counts = products.dictionary, np.bincount(products.indices.to_numpy(), minlength=len(products.dictionary))
    if not rows.num_rows:
        nothing = np.empty(0, np.int64)
        return _links(names, nothing, nothing, np.empty(0), kind)
    fitted = learner.fit(rows.set_column(1, "item_id", products.indices))
    similar = fitted.similar(np.arange(len(counts)), RELATED + 1)
    start, end, score = (similar[name].to_numpy() for name in ("item_id", "similar_id", "score"))
    is_link = (start != end) & (score > 0)
    start, end, score = start[is_link].astype(np.int64), end[is_link].astype(np.int64), score[is_link]
    best = np.zeros(len(counts))
    np.maximum.at(best, start, score)
    strength = STRONGEST * score / best[start] * (counts[start] / (counts[start] + FIRM))
    return _links(names, start, end, strength, kind)


def alike_products(vectors: ProductVectors, looked_at: pa.Array) -> pa.Table:
    """Links between products of like content; of those that customers look at most."""
    counts = looked_at.value_counts()
    most = np.argsort(-counts.field("counts").to_numpy(), kind="stable")[:MAX_NEIGHBOURS]
    similar = vectors.similar(counts.field("values").take(pa.array(most)), RELATED)
    known = vectors.items
    start, end = (np.asarray(pc.index_in(similar[name].combine_chunks(), known)) for name in ("item_id", "similar_id"))
    return _links(known, start, end, ALIKE_STRENGTH * similar["score"].to_numpy(), ALIKE)


def _ids(rows: pa.Table) -> pa.Array:
    return rows["item_id"].combine_chunks()


def _links(names: pa.Array, start: Codes, end: Codes, strength: Numbers, kind: str) -> pa.Table:
    """Links of products by their places in `names`."""
    return pa.table(
        {
            "product_id": names.take(pa.array(start)),
            "related_id": names.take(pa.array(end)),
            "kind": pa.array([kind] * len(start), pa.string()),
            "strength": pa.array(strength, pa.float64()),
        }
    )


def ranked(links: pa.Table) -> pa.Table:
    """The strongest links of each product and kind, with their rank; none between products that are never together."""
    kind = links["kind"].combine_chunks().dictionary_encode()
    names = pa.chunked_array([*links["product_id"].chunks, *links["related_id"].chunks]).unique()
    start, end = (numbers_of(links[name].combine_chunks(), names) for name in ("product_id", "related_id"))
    of_kind, strength = kind.indices.to_numpy().astype(np.int64), links["strength"].to_numpy()
    pair, never = start * len(names) + end, np.asarray(pc.equal(links["kind"], NEVER))
    order = np.lexsort((-strength, end, of_kind, start))
    order = order[never[order] | ~np.isin(pair[order], pair[never])]
    is_first = np.diff(pair[order], prepend=-1) != 0
    is_first |= np.diff(of_kind[order], prepend=-1) != 0
    order = order[is_first]
    order = order[np.lexsort((end[order], -strength[order], of_kind[order], start[order]))]
    rank = places(start[order] * len(kind.dictionary) + of_kind[order])
    is_near = (rank <= RELATED) | np.asarray(pc.is_in(links["kind"], pa.array([NEVER, SUBSTITUTE])))[order]
    return links.take(pa.array(order[is_near])).append_column("rank", pa.array(rank[is_near], pa.int64()))


def strongest_causes(
    user: Codes, product: Codes, list_user: Codes, list_product: Codes, links: pa.Table, products: pa.Array
) -> Codes:
    """Of each listed product, the product of its customer's history most strongly related to it; -1 without one.

    Both lists of pairs are of whole numbers; `links` has product_id, related_id and strength.
    """
    start, end = (
        np.asarray(pc.index_in(links[name].combine_chunks(), products).fill_null(-1)).astype(np.int64)
        for name in ("product_id", "related_id")
    )
    order = np.argsort(start, kind="stable")
    start, end, strength = start[order], end[order], links["strength"].to_numpy()[order]
    starts = np.searchsorted(start, np.arange(len(products) + 1))
    by_user = np.argsort(user, kind="stable")
    by_list = np.argsort(list_user, kind="stable")
    cause = np.full(len(list_user), -1, dtype=np.int64)
    cause[by_list] = _strongest(
        user[by_user], product[by_user], list_user[by_list], list_product[by_list], starts, end, strength
    )
    return cause


@kernel(nogil=True)
def _strongest(user, product, list_user, list_product, starts, end, strength):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """As `strongest_causes`, of pairs by user."""
    cause, best = np.full(len(list_user), -1, dtype=np.int64), np.zeros(len(list_user))
    place = np.full(len(starts) - 1, -1, dtype=np.int64)
    at = 0
    first = 0
    while first < len(list_user):
        last = first
        while last < len(list_user) and list_user[last] == list_user[first]:
            place[list_product[last]] = last
            last += 1
        while at < len(user) and user[at] < list_user[first]:
            at += 1
        while at < len(user) and user[at] == list_user[first]:
            if product[at] >= 0:
                for link in range(starts[product[at]], starts[product[at] + 1]):
                    listed = place[end[link]] if end[link] >= 0 else -1
                    if listed >= 0 and strength[link] > best[listed]:
                        best[listed], cause[listed] = strength[link], product[at]
            at += 1
        for row in range(first, last):
            place[list_product[row]] = -1
        first = last
    return cause
