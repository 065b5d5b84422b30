"""Products and how they are related: categories, brands, what goes together, and the edges that people write.

Products, categories, departments and brands are nodes. A walk from some products (what is in a cart, or was looked at)
meets what is related to them, the closer the more often; the strongest path to each result says why it is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyarrow import feather

from patron.recommenders.content.graph_edges import KIND_WEIGHTS, KINDS, both_ways, label_edges, relation_table
from patron.recommenders.content.id_index import IdIndex
from patron.recommenders.content.product_table import product_table
from patron.recommenders.content.random_walk import EdgeLists, Visits, walk
from patron.recommenders.ids import Codes, codes_of_ids, id_array
from patron.schema.errors import NotFound
from patron.schema.numbers import float_column

EPSILON = 1e-5
"""How much of a walk may wait at a node, times its edges: less is more exact, and slower."""
EDGES = "product_graph.npz"
IDS = "products.feather"
IGNORED = "ignored.feather"


@dataclass(frozen=True, eq=False)
class ProductGraph:
    """Edges between products, and from products to their categories, departments and brands."""

    items: pa.Array
    """Ids of the products."""
    edges: EdgeLists
    """Products come first, in their order; categories, departments and brands follow."""
    never_together: sp.csr_array
    """Products x products: not 0 where an expert says so, in both directions."""
    ignored: pa.Table
    """Rows of edges that name a product which the catalogue lacks, ids as texts."""

    @classmethod
    def of(cls, products: Any, together: Any = None, edges: Any = None) -> Self:
        """Build the graph from frames.

        `products` has product_id and, where it has them, category, department and brand. `together` and `edges` have
        product_id, related_id, kind and weight; the kind of `together` is bought_together where it has none, a weight
        that is missing 1. A weight below 0, of an `expert` edge only, means never together. Raises InvalidTable.
        """
        table = product_table(products)
        items = id_array(table["product_id"])
        frames = [
            relation_table(one, kind) for one, kind in ((together, "bought_together"), (edges, None)) if one is not None
        ]
        relations = pa.concat_tables([relation_table(_NO_EDGES), *frames], promote_options="default")
        node, target = (codes_of_ids(relations[name], items) for name in ("product_id", "related_id"))
        kind = codes_of_ids(relations["kind"], pa.array(KINDS))
        weight = float_column(relations, "weight")
        is_pair = (node >= 0) & (target >= 0) & (node != target)
        parts, nodes = label_edges(table)
        is_edge = is_pair & (weight > 0)
        forward, backward = both_ways(node[is_edge], target[is_edge], kind[is_edge], weight[is_edge])
        is_mutual = forward[2] == KINDS.index("substitute")
        parts += [forward, tuple(one[is_mutual] for one in backward)]
        columns = [np.concatenate(one) for one in zip(*parts, strict=True)]
        never = np.column_stack([node, target])[is_pair & (weight < 0)]
        never = np.concatenate([never, never[:, ::-1]])
        ignored = relations.filter(pa.array((node < 0) | (target < 0)))
        return cls(items, EdgeLists.of(*columns, nodes=nodes), _pair_matrix(never, len(items)), ignored)

    def walk(
        self, item_ids: Any, k: int = 10, *, among: Any = None, kind_weights: Mapping[str, float] = KIND_WEIGHTS
    ) -> pa.Table:
        """The products most related to some products, without these and without what never goes with one of them.

        Columns item_id, rank from 1, score (share of the walk's time), kind, neighbour_id and start_id: the strongest
        path to the item begins at start_id, and its last step is from neighbour_id by an edge of that kind. A kind
        that `kind_weights` lacks is not followed: a cart has no use for substitutes, for example. `among` is a list of
        allowed product ids. Products that are not known are left out; an id that comes twice counts twice.
        """
        start = self._index.codes(item_ids)
        start = start[start >= 0]
        is_allowed = np.full(len(self.items), among is None)
        if among is not None:
            codes = self._index.codes(among)
            is_allowed[codes[codes >= 0]] = True
        is_allowed[start] = False
        never, first = self.never_together, self.never_together.indptr
        for product in start:
            is_allowed[never.indices[first[product] : first[product + 1]]] = False
        weights = np.array([max(kind_weights.get(kind, 0.0), 0.0) for kind in KINDS])
        return self._table(walk(self.edges, start, weights, is_allowed, min(k, len(self.items)), EPSILON))

    @cached_property
    def _index(self) -> IdIndex:
        return IdIndex.of(self.items)

    def save(self, folder: Path | str) -> None:
        """Write the graph into a folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        feather.write_feather(pa.table({"product_id": self.items}), str(folder / IDS))
        feather.write_feather(self.ignored, str(folder / IGNORED))
        pairs = np.column_stack(self.never_together.nonzero())
        np.savez(folder / EDGES, never_together=pairs, **vars(self.edges))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote. Raises NotFound."""
        folder = Path(folder)
        if not (folder / EDGES).exists():
            raise NotFound("no product graph was saved here", where=str(folder), todo="Check the path.")
        items = feather.read_table(str(folder / IDS))["product_id"].combine_chunks()
        with np.load(folder / EDGES, allow_pickle=False) as arrays:
            edges = EdgeLists(**{field.name: arrays[field.name] for field in fields(EdgeLists)})
            never = _pair_matrix(arrays["never_together"], len(items))
        return cls(items, edges, never, feather.read_table(str(folder / IGNORED)))

    def _table(self, visits: Visits) -> pa.Table:
        return pa.table(
            {
                "item_id": self.items.take(pa.array(visits.node)),
                "rank": pa.array(np.arange(1, len(visits.node) + 1)),
                "score": pa.array(visits.score),
                "kind": pa.array([KINDS[kind] for kind in visits.kind], pa.string()),
                "neighbour_id": self.items.take(pa.array(visits.neighbour)),
                "start_id": self.items.take(pa.array(visits.start)),
            }
        )


def _pair_matrix(pairs: Codes, count: int) -> sp.csr_array:
    return sp.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))


_NO_EDGES = pa.table({name: pa.array([], pa.string()) for name in ("product_id", "related_id", "kind")})
