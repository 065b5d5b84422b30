"""What a catalogue says of its products as columns of numbers, one block a fact.

The product of two rows is how alike two products are in it.

A block's rows have length 1 at most, and 0 where the product lacks the fact:

- text: (1 + log count of a term in the text) x log((1 + products) / (1 + products with the term)) + 1, length 1;
- category, department, brand: one column a value, log((1 + products) / products with the value) / log(1 + products),
  so that what most products share says little;
- price: the place among all prices, 0 to 1, spread over the two nearest of PRICE_BANDS points, length 1.
"""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from patron.estimators.text_terms import terms_of
from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers, float_column

PRICE_BANDS = 8
TEXTS = ("name", "description")


def texts_of(products: pa.Table) -> list[str]:
    """Name and description of each product; "" where it has neither."""
    columns = [products[name].cast(pa.string()).to_pylist() for name in TEXTS if name in products.column_names]
    rows = zip(*columns, strict=True) if columns else [()] * products.num_rows
    return [" ".join(filter(None, row)).strip() for row in rows]


def text_block(texts: list[str]) -> sp.csr_array:
    """Products x terms."""
    place_of: dict[str, int] = {}
    starts = [0]
    places = []
    counts = []
    for text in texts:
        for term, count in Counter(terms_of(text)).items():
            places.append(place_of.setdefault(term, len(place_of)))
            counts.append(count)
        starts.append(len(places))
    products_with = np.bincount(np.array(places, dtype=np.int64), minlength=len(place_of))
    values = (1 + np.log(np.array(counts, dtype=np.float64))) * (np.log((1 + len(texts)) / (1 + products_with)) + 1)[
        places
    ]
    return _unit(sp.csr_array((values, places, starts), shape=(len(texts), len(place_of))))


def label_block(labels: pa.ChunkedArray) -> sp.csr_array:
    """Products x values of a label."""
    texts = labels.cast(pa.string())
    is_label = np.asarray(pc.fill_null(pc.not_equal(texts, ""), False))
    encoded = pc.filter(texts, pa.array(is_label)).combine_chunks().dictionary_encode()
    code = np.asarray(encoded.indices, dtype=np.int64)
    products_with = np.bincount(code, minlength=len(encoded.dictionary))
    weight = np.log((1 + len(texts)) / products_with) / np.log(max(1 + len(texts), 2))
    return sp.csr_array((weight[code], (np.flatnonzero(is_label), code)), shape=(len(texts), len(encoded.dictionary)))


def price_block(products: pa.Table) -> sp.csr_array:
    """Products x price bands; a price of 0 or less is none."""
    price = float_column(products, "price_cents", missing=np.nan)
    is_price = np.flatnonzero(price > 0)
    ordered = np.sort(price[is_price])
    first, last = (np.searchsorted(ordered, price[is_price], side) for side in ("left", "right"))
    place = (first + last) / 2 / max(len(ordered), 1) * (PRICE_BANDS - 1)
    lower = np.minimum(place.astype(np.int64), PRICE_BANDS - 2)
    share = place - lower
    values = np.concatenate([1 - share, share]), (np.tile(is_price, 2), np.concatenate([lower, lower + 1]))
    return _unit(sp.csr_array(values, shape=(len(price), PRICE_BANDS)))


def _unit(block: sp.csr_array) -> sp.csr_array:
    length = np.sqrt(block.multiply(block).sum(axis=1))
    return sp.csr_array(sp.diags_array(1 / np.where(length > 0, length, 1.0)) @ block)


def stacked(blocks: list[tuple[float, Any]], rows: int) -> sp.csr_array:
    """Blocks next to each other, each times the root of its weight."""
    parts = [sp.csr_array(block) * np.sqrt(weight) for weight, block in blocks]
    return sp.csr_array(sp.hstack(parts)) if parts else sp.csr_array((rows, 0))


def rows_of_places(matrix: npt.NDArray[Any], place: Codes) -> Numbers:
    """Rows of a matrix by their places; zero for place -1."""
    rows = np.zeros((len(place), matrix.shape[1]))
    rows[place >= 0] = matrix[place[place >= 0]]
    return rows
