"""What lists are made from between two nights: product facts, what each customer may want, what goes together."""

from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from patron.recommenders.lists.product_facts import ProductFacts
from patron.recommenders.live.product_rows import Floats, Places, ProductRows
from patron.schema.numbers import Numbers

UNKNOWN = -1
"""Place of a product or customer that is not in the index."""
STRENGTH = "strength"
PROBABILITY = "probability"
DAYS = "days"
WANTED = (PROBABILITY, "days_since", "usual_days", "because")


@dataclass(frozen=True, eq=False)
class Customers:
    """What the last run expects of each customer, and what they bought and returned lately."""

    ids: pa.Array
    wanted: ProductRows
    """Products that a customer is expected to buy: `probability` within the horizon, `days_since` the customer last
    bought it, `usual_days` between purchases of it, and `because`, the product of the history that speaks for it (-1);
    NaN where it is not known."""
    bought: ProductRows
    """`days` from the purchase to the index's time, within the longest time that rules look back."""
    returned: ProductRows
    """`days` from the return to the index's time."""
    hidden: ProductRows
    """Products that a customer does not want to see; `days` since they said so."""

    @classmethod
    def nobody(cls) -> Self:
        """No customer."""
        past = ProductRows.empty(0, DAYS)
        return cls(pa.array([], pa.string()), ProductRows.empty(0, *WANTED), past, past, past)

    def code(self, customer_id: str | None) -> int:
        """Place of a customer; -1 of one that is not known."""
        return place_of(self.ids, customer_id)


@dataclass(frozen=True, eq=False)
class RecommendationIndex:
    """Everything that lists are made from besides the visit; frozen until the next run. Days are counted since 1970."""

    at_day: float
    """When the run's facts end."""
    facts: ProductFacts
    popularity: Floats
    """Of each product: recent purchases as a share of the most popular product's."""
    together: ProductRows
    """Products bought together with each product, by `strength`, 0 to 1."""
    follows: ProductRows
    """Products wanted next by those who look at a product, by `strength`, 0 to 1: substitutes, and what comes next."""
    alike: ProductRows
    """Products of like content, by `strength`, 0 to 1."""
    substitutes: ProductRows
    """Products that people wrote down as replacing each product, by `strength`, 0 to 1."""
    never: ProductRows
    """Products that people wrote down as never shown next to each product."""
    known_since: Floats
    """Day on which each product was first known."""
    margin_cents: Floats
    """Of one unit of each product; NaN where it is not known."""
    offer_starts_day: Numbers
    """Day on which the promotion of each product starts that runs or comes next; NaN where none is planned."""
    offer_ends_day: Numbers
    """Day on which it is over."""
    customers: Customers = field(default_factory=Customers.nobody)
    version: str = ""
    """Which run and model this is."""

    def code(self, product_id: str | None) -> int:
        """Place of a product; -1 of one that is not known."""
        return place_of(self.facts.products, product_id)

    def product_id(self, code: int) -> str:
        """Id of a product."""
        return self.facts.products[code].as_py()

    @cached_property
    def by_popularity(self) -> Places:
        """All products, the most popular first."""
        return np.argsort(-self.popularity, kind="stable").astype(np.int32)

    @cached_property
    def popularity_in_category(self) -> Floats:
        """Popularity of each product as a share of that of its category's best seller; 0 without a category."""
        category = self.facts.category
        best = np.zeros(len(self.facts.categories) + 1)
        np.maximum.at(best, category, self.popularity)
        best[-1] = 0.0
        shares = self.popularity / np.where(best > 0, best, 1.0)[category]
        return np.where(category >= 0, shares, 0.0).astype(np.float32)

    def best_of_category(self, category: int) -> Places:
        """Products of a category, the most popular first."""
        order, starts = self._by_category
        return order[starts[category] : starts[category + 1]]

    @cached_property
    def _by_category(self) -> tuple[Places, Places]:
        """Products by category, then popularity, and where each category begins."""
        category = self.facts.category
        order = np.lexsort((-self.popularity, category)).astype(np.int32)
        starts = np.searchsorted(category[order], np.arange(len(self.facts.categories) + 1))
        return order, starts.astype(np.int32)

    @cached_property
    def newest(self) -> Places:
        """All products, the newest first."""
        return np.argsort(-self.known_since, kind="stable").astype(np.int32)


def place_of(ids: pa.Array, value: str | None) -> int:
    """Place of a text among sorted ones, -1 where it is not; by halves, so that a million need no dictionary."""
    if value is None:
        return UNKNOWN
    at = bisect_left(range(len(ids)), value, key=lambda place: ids[place].as_py())
    return at if at < len(ids) and ids[at].as_py() == value else UNKNOWN
