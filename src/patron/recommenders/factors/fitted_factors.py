"""A fitted recommender of vectors: users and items near each other go together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from patron.recommenders.best_items import Scores
from patron.recommenders.factors.factor_solver import Factors
from patron.recommenders.interactions import Codes
from patron.recommenders.recommender import FittedRecommender


@dataclass(frozen=True, eq=False)
class FittedFactors(FittedRecommender):
    """Vectors of each user and item."""

    user_factors: Factors
    item_factors: Factors

    def scores(self, users: Codes) -> Scores:
        """Product of the vectors."""
        return (self.user_factors[users] @ self.item_factors.T).astype(np.float64)

    def similarities(self, items: Codes) -> Scores:
        """Cosine of the items' vectors."""
        return (self._unit_items[items] @ self._unit_items.T).astype(np.float64)

    @cached_property
    def _unit_items(self) -> Factors:
        return self.item_factors / np.maximum(np.linalg.norm(self.item_factors, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True, eq=False)
class FittedSoftmax(FittedFactors):
    """Vectors whose products are logarithms of odds."""

    def scores(self, users: Codes) -> Scores:
        """Probability that an item is next, of all items."""
        products = np.asarray(super().scores(users))
        odds = np.exp(products - products.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)
