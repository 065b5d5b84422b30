"""What a customer buys again and again, filled up with what sells now."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from patron.predict.recommend.popularity import MODEL_FILE, Shelf
from patron.predict.recommend.ranking import coded, ranked, summed


@dataclass(frozen=True)
class FittedBlend:
    """Popularity now; the customers' own purchases come with the question, so that the model keeps none of them."""

    learner: "PersonalFrequencyBlend"
    shelf: Shelf

    def predict(self, table: pa.Table) -> pa.Table:
        """Rank products for each customer of `table`, their purchases (customer_id, product_id, days_before)."""
        known = coded(table, also=pa.array(self.shelf.products, pa.string()))
        on_shelf = self.shelf.codes(known)
        popularity = np.zeros(len(known.products))
        popularity[on_shelf] = self.learner.popularity_weight * self.shelf.popularity
        fresh = 0.5 ** (known.days_before / self.learner.half_life_days)
        customer, product, frequency = summed(known.customer, known.product, fresh, len(known.products))
        own = (customer, product, frequency + popularity[product])
        # why: beyond its own products a customer's order is that of popularity, so this many popular ones suffice
        popular = on_shelf[: self.learner.count]
        return ranked(known, own, popular, popularity[popular], self.learner.count)

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        self.shelf.save(folder / MODEL_FILE, asdict(self.learner))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        shelf, settings = Shelf.load(folder / MODEL_FILE)
        return cls(PersonalFrequencyBlend(**{**settings, "count": int(settings["count"])}), shelf)


@dataclass(frozen=True)
class PersonalFrequencyBlend:
    """A customer's own purchases, each fading with time, plus recent popularity."""

    half_life_days: float = 120.0
    """Age at which a purchase counts half, days."""
    popularity_weight: float = 1.0
    """What the most popular product counts, in fresh purchases of one's own."""
    recent_days: float = 28.0
    """Length of the window of popularity, days."""
    count: int = 30
    """Products per customer."""

    name: ClassVar[str] = "personal_frequency_blend"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 1
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedBlend

    def fit(self, table: pa.Table) -> FittedBlend:
        """Learn from purchases: customer_id, product_id, days_before the origin. Raises NotEnoughData."""
        return FittedBlend(self, Shelf.of(table, self.recent_days))
