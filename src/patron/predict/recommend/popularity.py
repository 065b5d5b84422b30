"""What sells now, the same list for everybody: the baseline every recommender is compared with."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from patron.predict.recommend.ranking import Coded, Codes, coded, ranked
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json
from patron.schema.numbers import Numbers

OLDER_WEIGHT = 1e-6
"""What a line before the recent window counts: enough to order what did not sell lately, never to overtake what did."""

MODEL_FILE = "model.json"


@dataclass(frozen=True)
class Shelf:
    """Products by how many lines sold lately, most popular first; `popularity` is 0 to 1."""

    products: tuple[str, ...]
    popularity: Numbers

    @classmethod
    def of(cls, table: pa.Table, recent_days: float) -> Self:
        """Count the lines of each product. Raises NotEnoughData without any."""
        known = coded(table)
        if not len(known.product):
            raise NotEnoughData(
                "no purchase names a product", where="recommend", todo="Import order lines with product ids."
            )
        is_recent = known.days_before <= recent_days
        recent, older = (
            np.bincount(known.product[of], minlength=len(known.products)) for of in (is_recent, ~is_recent)
        )
        total = recent + OLDER_WEIGHT * older
        order = np.argsort(-total, kind="stable")
        return cls(tuple(known.products.take(pa.array(order)).to_pylist()), total[order] / total.max())

    def codes(self, known: Coded) -> Codes:
        """Number of each product of the shelf, best first."""
        at = pa.compute.index_in(pa.array(self.products, pa.string()), known.products)
        return np.asarray(at.to_numpy(zero_copy_only=False), dtype=np.int64)

    def without(self, products: Collection[str]) -> Self:
        """The shelf without some products."""
        kept = [place for place, product in enumerate(self.products) if product not in products]
        return replace(self, products=tuple(self.products[n] for n in kept), popularity=self.popularity[kept])

    def save(self, path: Path, settings: Mapping[str, float]) -> None:
        """Write as JSON; products only, nothing about any customer."""
        path.write_bytes(self.to_json(settings))

    def to_json(self, settings: Mapping[str, float]) -> bytes:
        """The shelf and the learner's settings as JSON."""
        content = {"products": self.products, "popularity": self.popularity.tolist(), "settings": dict(settings)}
        return json.dumps(content, sort_keys=True).encode()

    @classmethod
    def load(cls, path: Path) -> tuple[Self, dict[str, float]]:
        """Read what `save` wrote: the shelf and the learner's settings."""
        content = read_json(path)
        return cls(tuple(content["products"]), np.array(content["popularity"])), content["settings"]


@dataclass(frozen=True)
class FittedPopularity:
    """The list for everybody."""

    learner: "Popularity"
    shelf: Shelf

    def predict(self, table: pa.Table) -> pa.Table:
        """Rank products for each customer of `table` (customer_id, product_id, days_before)."""
        top = self.learner.count
        known = coded(table, also=pa.array(self.shelf.products[:top], pa.string()))
        nothing = (np.array([], np.int64), np.array([], np.int64), np.array([]))
        shelf = Shelf(self.shelf.products[:top], self.shelf.popularity[:top])
        return ranked(known, nothing, shelf.codes(known), shelf.popularity, top)

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        self.shelf.save(folder / MODEL_FILE, asdict(self.learner))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        shelf, settings = Shelf.load(folder / MODEL_FILE)
        return cls(Popularity(recent_days=settings["recent_days"], count=int(settings["count"])), shelf)


@dataclass(frozen=True)
class Popularity:
    """The products sold most in the last days, for everybody."""

    recent_days: float = 28.0
    """Length of the window that counts, days."""
    count: int = 30
    """Products per customer."""

    name: ClassVar[str] = "popularity"
    is_baseline: ClassVar[bool] = True
    complexity: ClassVar[int] = 0
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedPopularity

    def fit(self, table: pa.Table) -> FittedPopularity:
        """Learn from purchases: customer_id, product_id, days_before the origin. Raises NotEnoughData."""
        return FittedPopularity(self, Shelf.of(table, self.recent_days))
