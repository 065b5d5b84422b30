"""What goes with what by a file that people edit, and where the product graph leads from there.

Walks start from products of the file alone. From others they bring nothing that purchases do not say: on Complete
Journey rows of walks are no better than rows of what is bought together, and of a product without purchases they are
worse than what sells (docs/explanation/recommenders.md).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.content import KIND_WEIGHTS, ProductGraph, read_edges
from patron.recommenders.live.index_tables import NEVER, SUBSTITUTE, TOGETHER

STRONGEST = 0.5
"""Strength of an edge of weight 1: as of the product that is most often bought with one of many orders."""
WALK_STRENGTH = 0.2
"""Strength of the first product of a walk."""
NEAREST = 100
"""Products that a walk meets most often, of which those count that go with something on the way."""
GOES_WITH = ("bought_together", "complement", "expert")
"""Edges by which a walk comes to a product that goes with another; by its category it comes to what replaces it."""
WALKED = {kind: weight for kind, weight in KIND_WEIGHTS.items() if kind != "substitute"}


def product_edges(path: Path) -> pa.Table | None:
    """The edges that people wrote; None without a file. Raises BadFile, which names the lines."""
    return read_edges(path) if path.exists() else None


def edge_links(edges: pa.Table, products: pa.Table, together: pa.Table) -> pa.Table:
    """Links product_id, related_id, kind and strength, of known products.

    What people wrote is together one way, substitute and never both ways. A product that something goes with by the
    file also goes with what a walk from it finds: over these edges, those of `together`, categories and brands.
    """
    known = products["product_id"]
    edges = edges.filter(pc.and_(pc.is_in(edges["product_id"], known), pc.is_in(edges["related_id"], known)))
    is_substitute, is_never = pc.equal(edges["kind"], "substitute"), pc.less(edges["weight"], 0)
    kind = pc.if_else(is_never, NEVER, pc.if_else(is_substitute, SUBSTITUTE, TOGETHER))
    strength = pc.multiply(pc.abs(edges["weight"]), STRONGEST)
    written = edges.select(["product_id", "related_id"]).append_column("kind", kind).append_column("strength", strength)
    is_together = pc.equal(kind, TOGETHER)
    mutual = written.filter(pc.invert(is_together))
    mutual = mutual.select(["related_id", "product_id", "kind", "strength"]).rename_columns(written.column_names)
    bought = together.select(["product_id", "related_id", "strength"]).rename_columns({"strength": "weight"})
    graph = ProductGraph.of(products, bought, edges)
    walked = walked_links(graph, pc.unique(written.filter(is_together)["product_id"]).to_pylist())
    return pa.concat_tables([written, mutual, walked])


def walked_links(graph: ProductGraph, starts: Iterable[str]) -> pa.Table:
    """Links of the kind together from each start to what goes with something on a walk from it."""
    products = []
    related = []
    strengths = [np.empty(0)]
    for start in starts:
        visits = graph.walk([start], NEAREST, kind_weights=WALKED)
        visits = visits.filter(pc.is_in(visits["kind"], pa.array(GOES_WITH)))
        score = visits["score"].to_numpy()
        products += [start] * len(score)
        related += visits["item_id"].to_pylist()
        strengths.append(WALK_STRENGTH * score / score.max(initial=1e-12))
    return pa.table(
        {
            "product_id": pa.array(products, pa.string()),
            "related_id": pa.array(related, pa.string()),
            "kind": pa.array([TOGETHER] * len(products), pa.string()),
            "strength": np.concatenate(strengths),
        }
    )
