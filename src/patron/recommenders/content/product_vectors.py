"""One vector per product from what the catalogue says of it: for products that nobody has bought yet.

Blocks of text, category, department, brand, price and vectors that a shop supplies stand next to each other, each
times the root of its weight in BLOCK_WEIGHTS, and are reduced to the directions in which products differ most. The
product of two vectors is how alike two products are, -1 to 1. Cost: products x terms of a text x dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from pyarrow import feather

from patron.recommenders.best_items import BestItems, Flags, best_items
from patron.recommenders.content.content_blocks import (
    label_block,
    price_block,
    rows_of_places,
    stacked,
    text_block,
    texts_of,
)
from patron.recommenders.content.encoded_texts import EncodedTexts, Encoder
from patron.recommenders.content.id_index import IdIndex
from patron.recommenders.content.product_table import product_table
from patron.recommenders.content.randomised_svd import right_factors, unit_rows
from patron.recommenders.ids import Codes, codes_of_ids, id_array
from patron.schema.errors import InvalidTable, NotFound
from patron.schema.numbers import Numbers

BLOCK_WEIGHTS: Mapping[str, float] = {
    "text": 1.0,
    "category": 1.0,
    "department": 0.3,
    "brand": 0.5,
    "price_cents": 0.2,
    "encoder": 1.0,
    "supplied": 1.0,
}
"""How much two products are alike that share one fact alone, before all are scaled to 1."""
LABELS = ("category", "department", "brand")
ROWS_AT_ONCE = 1_000
MIN_SCORE = 1e-6
"""Products that are less alike have nothing in common."""
VECTORS, IDS = "product_vectors.npz", "products.feather"


@dataclass(frozen=True, eq=False)
class ProductVectors:
    """One vector of length 1 per product, in the order of the catalogue."""

    items: pa.Array
    """Ids of the products."""
    vectors: npt.NDArray[np.float32]
    has_content: Flags
    """Whether the catalogue says anything of a product; the vector of others is zero."""
    encoded: EncodedTexts | None = None
    """What an encoder returned for the texts."""

    @classmethod
    def of(
        cls,
        products: Any,
        dimensions: int = 64,
        seed: int = 0,
        *,
        encoder: Encoder | None = None,
        earlier: Self | None = None,
        supplied: tuple[Any, Any] | None = None,
    ) -> Self:
        """Read a frame with product_id and, where it has them, the other columns of `product_table.COLUMNS`.

        `encoder` turns texts into a matrix; texts whose vectors `earlier` holds are not encoded again. `supplied` is
        (ids, matrix with one row per id): vectors of images, for example. Raises InvalidTable.
        """
        table = product_table(products)
        names, texts = table.column_names, texts_of(table)
        blocks: dict[str, Any] = {"text": text_block(texts)}
        blocks |= {name: label_block(table[name]) for name in LABELS if name in names}
        if "price_cents" in names:
            blocks["price_cents"] = price_block(table)
        encoded = None
        if encoder is not None:
            encoded = EncodedTexts.of(texts, encoder, earlier.encoded if earlier else None)
            blocks["encoder"] = _reduced(encoded.rows(texts), dimensions, seed)
        if supplied is not None:
            blocks["supplied"] = _reduced(_supplied_rows(table["product_id"], *supplied), dimensions, seed)
        matrix = stacked([(BLOCK_WEIGHTS[name], block) for name, block in blocks.items()], table.num_rows)
        vectors = np.zeros((table.num_rows, dimensions), dtype=np.float32)
        factors = right_factors(matrix, dimensions, seed=seed)
        vectors[:, : factors.shape[1]] = unit_rows(matrix @ factors)
        return cls(id_array(table["product_id"]), vectors, np.diff(matrix.indptr) > 0, encoded)

    def numbered(self, ids: pa.Array) -> Self:
        """The vectors of these products under their numbers, 0 the first; zero for one that is not known."""
        codes = codes_of_ids(ids, self.items)
        vectors = rows_of_places(self.vectors, codes).astype(np.float32)
        return type(self)(
            pa.array(np.arange(len(ids))), vectors, np.append(self.has_content, False)[codes]
        )  # -1 is the last

    def similar(self, item_ids: Any, k: int = 10) -> pa.Table:
        """The products most like each one: columns item_id, similar_id, rank from 1, score from 0 to 1.

        Products come in the order in which they are passed, each once; those that are not known, and those without
        content, are left out.
        """
        wanted = pc.unique(id_array(item_ids))
        codes = codes_of_ids(wanted, self.items)
        is_known = (codes >= 0) & np.append(self.has_content, False)[codes]  # -1 is the last place
        best = self.nearest_codes(codes[is_known], self.has_content, k)
        row, columns = self._columns(best)
        return pa.table({"item_id": wanted.filter(pa.array(is_known)).take(pa.array(row))} | columns)

    def nearest(self, item_ids: Any, k: int = 10, among: Any = None) -> pa.Table:
        """The products most like several together, without these: columns similar_id, rank from 1, score.

        `among` is a list of allowed product ids. Without any product that is known and has content the table is empty.
        """
        codes = self._index.codes(item_ids)
        codes = codes[codes >= 0]
        allowed = self.has_content
        if among is not None:
            places = self._index.codes(among)
            allowed = np.zeros(len(self.items), dtype=np.bool_)
            allowed[places[places >= 0]] = self.has_content[places[places >= 0]]
        profile = self.vectors[codes].sum(axis=0, keepdims=True) / max(len(codes), 1)
        return pa.table(self._columns(self._best(profile, np.zeros_like(codes), codes, allowed, k))[1])

    def nearest_codes(self, codes: Codes, allowed: Flags, k: int) -> BestItems:
        """The k allowed products most like each one, by their places among all; -1 after the last."""
        width = min(k, len(self.items))
        items, scores = [np.empty((0, width), dtype=np.int64)], [np.empty((0, width))]
        for at in range(0, len(codes), ROWS_AT_ONCE):
            batch = codes[at : at + ROWS_AT_ONCE]
            best = self._best(self.vectors[batch], np.arange(len(batch)), batch, allowed, k)
            items.append(best.items)
            scores.append(best.scores)
        return BestItems(np.concatenate(items), np.concatenate(scores))

    @cached_property
    def _index(self) -> IdIndex:
        return IdIndex.of(self.items)

    def save(self, folder: Path | str) -> None:
        """Write the vectors into a folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        feather.write_feather(pa.table({"product_id": self.items}), str(folder / IDS))
        arrays: dict[str, Any] = {"vectors": self.vectors, "has_content": self.has_content}
        if self.encoded:
            arrays |= {"hashes": self.encoded.hashes, "encoded": self.encoded.vectors}
        np.savez(folder / VECTORS, **arrays)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote. Raises NotFound."""
        folder = Path(folder)
        if not (folder / VECTORS).exists():
            raise NotFound("no product vectors were saved here", where=str(folder), todo="Check the path.")
        items = feather.read_table(str(folder / IDS))["product_id"].combine_chunks()
        with np.load(folder / VECTORS, allow_pickle=False) as arrays:
            encoded = EncodedTexts(arrays["hashes"], arrays["encoded"]) if "hashes" in arrays else None
            return cls(items, arrays["vectors"], arrays["has_content"], encoded)

    def _best(self, profiles: Any, row: Codes, without: Codes, allowed: Flags, k: int) -> BestItems:
        """The best products of each profile; `row` is the profile that goes without a product."""
        scores = (profiles @ self.vectors.T).astype(np.float64)
        scores[scores < MIN_SCORE] = -np.inf
        banned = sp.csr_array((np.ones(len(row)), (row, without)), shape=scores.shape)
        no_items = np.empty(0, dtype=np.int64)
        return best_items(scores, banned, allowed, no_items, np.empty(0), min(k, len(self.items)))

    def _columns(self, best: BestItems) -> tuple[Codes, dict[str, Any]]:
        """The row of each product, and the columns similar_id, rank and score."""
        row, place = np.nonzero(best.items >= 0)
        return row, {
            "similar_id": self.items.take(pa.array(best.items[row, place])),
            "rank": pa.array(place + 1, pa.int64()),
            "score": pa.array(best.scores[row, place]),
        }


def _reduced(rows: Numbers, dimensions: int, seed: int) -> Numbers:
    """Dense rows in fewer directions, of length 1."""
    return unit_rows(rows @ right_factors(rows, dimensions, seed=seed))


def _supplied_rows(products: Any, ids: Any, matrix: Any) -> Numbers:
    """A row of the matrix for each product; zero for those that it lacks. Raises InvalidTable."""
    known, rows = id_array(ids), np.asarray(matrix, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(known) or not np.isfinite(rows).all():
        what = f"{len(known)} ids have a matrix of shape {rows.shape}, or one with a number that is not finite"
        raise InvalidTable(what, where="supplied", todo="Pass one row of finite numbers per id.")
    return rows_of_places(rows, codes_of_ids(products, known))
