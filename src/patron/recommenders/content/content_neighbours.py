"""What the products that a customer had say for products that nobody has bought yet.

The sum of all cosines with what a customer had prefers products that are a little like everything: on Complete Journey
it ranks new products no better than their category's popularity does. Here a new product j listens to its `count`
nearest products i with buyers only, the near ones far more than others, and what everybody has near it counts less:

    weight(i, j) = cos(i, j)^SHARPNESS / (1 + sum over its nearest i of cos(i, j)^SHARPNESS x buyers of i)^0.5.

Both numbers were chosen on a window before the one that is reported.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

from patron.recommenders.content.product_vectors import ProductVectors
from patron.recommenders.ids import codes_of_ids
from patron.schema.numbers import Numbers

SHARPNESS = 64.0


def content_neighbours(vectors: ProductVectors, buyers: Numbers, new_ids: Any, count: int = 100) -> sp.csr_array:
    """Products x products, as `vectors` has them: what having a product (row) says for a new one (column).

    `buyers` is how many buyers each product has. Customers x products of what they had, times this, are scores.
    """
    new = np.unique(codes_of_ids(new_ids, vectors.items))
    new = new[new >= 0]
    best = vectors.nearest_codes(new, vectors.has_content & (buyers > 0), count)
    row, place = np.nonzero(best.items >= 0)
    known, weight = best.items[row, place], best.scores[row, place] ** SHARPNESS
    weight /= np.sqrt(1 + np.bincount(row, weight * buyers[known], len(new)))[row]
    return sp.csr_array((weight, (known, new[row])), shape=(len(vectors.items),) * 2)
