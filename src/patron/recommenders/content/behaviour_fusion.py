"""Content and behaviour in one vector per product: what buyers do counts more, the more buyers there are."""

from dataclasses import replace
from typing import Any

import numpy as np

from patron.recommenders.content.product_vectors import ProductVectors
from patron.recommenders.content.randomised_svd import right_factors, unit_rows
from patron.schema.errors import InvalidTable
from patron.schema.numbers import Numbers

PRIOR_BUYERS = 20.0
"""With so many buyers each, the behaviour of a pair counts half as much as its content; with many, as much."""


def fuse(content: ProductVectors, behaviour: Any, buyers: Numbers, *, seed: int = 0) -> ProductVectors:
    """Vectors of content followed by vectors of behaviour; new products have content only.

    A pair's score is half the cosine of content, plus up to half the cosine of behaviour, where both have buyers: so a
    new product is as near to one with many buyers as to one without any.

    `behaviour` has one row per product, in the order of `content`: factors (products x any number), or a sparse matrix
    products x products of what goes together, which is reduced to as many directions as content has. `buyers` is how
    many buyers each product has. Raises InvalidTable.
    """
    count, dimensions = content.vectors.shape
    if behaviour.shape[0] != count or len(buyers) != count:
        what = f"{count} products have {behaviour.shape[0]} rows of behaviour and {len(buyers)} numbers of buyers"
        raise InvalidTable(what, where="fuse", todo="Pass one of each per product.")
    is_sparse = not isinstance(behaviour, np.ndarray)
    rows = behaviour @ right_factors(behaviour, dimensions, seed=seed) if is_sparse else behaviour
    weight = np.asarray(buyers, dtype=np.float64) / (np.asarray(buyers) + PRIOR_BUYERS)
    fused = np.hstack([content.vectors, np.sqrt(weight)[:, None] * unit_rows(rows)]) / np.sqrt(2)
    return replace(content, vectors=fused.astype(np.float32), has_content=fused.any(axis=1))
