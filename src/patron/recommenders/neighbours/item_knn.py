"""Item-KNN: what is had by the same users as the things a user had.

With w(i, u) the weight of user u for item i, s(i, j) = sum over u of w(i, u) w(j, u), of which each item keeps its
`neighbours` largest, itself among them; a user's score of j is the sum over what that user had of how much it counts,
times s(i, j) (Sarwar et al., 2001; Deshpande and Karypis, 2004). Users are to an item what words are to a text: with
c(i, u) the weight of a user's rows of an item, a rare word counts idf(u) = log(1 + (N - n(u) + 0.5) / (n(u) + 0.5)), N
being all items and n(u) those of the user, and

- bm25: w = idf c (k1 + 1) / (c + k1 (1 - b + b length(i) / mean length)) (Robertson and Walker, 1994),
- tfidf: w = idf sqrt(c), divided by the item's norm,
- cosine: w = c, divided by the item's norm.

Rows of weight 0 or less do not count. Cost: the sum over users of their items squared; memory: items x neighbours.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from patron.recommenders.catalogue import Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.neighbours.neighbours import (
    FittedNeighbours,
    ProfileLearner,
    largest_products,
    positive_matrix,
    recent_profiles,
)
from patron.recommenders.recommender import FittedRecommender
from patron.schema.errors import BadInteractions
from patron.schema.numbers import Numbers

Weighting = Literal["bm25", "tfidf", "cosine"]


@dataclass(frozen=True)
class ItemKNN(ProfileLearner):
    """Items of the same users; itself among them, so that what was had counts where it is not left out."""

    neighbours: int = 200
    """Items that are kept next to each item."""
    weighting: Weighting = "bm25"
    """How a user's rows of an item are weighted: bm25 favours what is popular, tfidf and cosine what is alike."""
    half_life_days: float = 30.0
    """Time before a user's last row after which a row counts half, days."""
    k1: float = 1.2
    """How slowly further rows of the same item add less, of bm25."""
    b: float = 0.5
    """How much items with many rows are discounted, of bm25; 0 to 1."""

    name: ClassVar[str] = "item_knn"
    fitted: ClassVar[type[FittedRecommender]] = FittedNeighbours

    def fit_interactions(self, known: Interactions) -> FittedNeighbours:
        """Find the neighbours of each item. Raises BadInteractions for a weighting that does not exist."""
        weights = self._weights(sp.csr_array(positive_matrix(known).T))
        neighbours = largest_products(weights, sp.csr_array(weights.T), self.neighbours)
        return FittedNeighbours(self, Catalogue.of(known), self.profiles(known), neighbours)

    def profiles(self, known: Interactions) -> sp.csr_array:
        """Users x items: rows that halve with their age."""
        return recent_profiles(known, self.half_life_days)

    def _weights(self, counts: sp.csr_array) -> sp.csr_array:
        """Items x users."""
        items, users = counts.shape  # type: ignore[misc] - of every sparse array
        item, user = np.repeat(np.arange(items), np.diff(counts.indptr)), counts.indices
        of_user = np.bincount(user, minlength=users)
        idf = np.log1p((items - of_user + 0.5) / (of_user + 0.5))[user]
        count = np.asarray(counts.data, dtype=np.float64)
        match self.weighting:
            case "bm25":
                length = np.bincount(item, count, items)
                relative = length / max(float(length.mean()), np.finfo(float).tiny)
                discount = self.k1 * (1 - self.b + self.b * relative)
                values = idf * count * (self.k1 + 1) / (count + discount[item])
            case "tfidf":
                values = _unit(idf * np.sqrt(count), item)
            case "cosine":
                values = _unit(count, item)
            case _:
                what = f"{self.weighting!r} is not a valid weighting"
                raise BadInteractions(what, where="item_knn", todo="Use bm25, tfidf or cosine.")
        return sp.csr_array((values, user, counts.indptr), shape=(items, users))


def _unit(values: Numbers, item: Codes) -> Numbers:
    """Values of each item, divided by their norm; by the largest one first, so that no square is 0 or infinite."""
    largest = np.zeros(int(item.max(initial=-1)) + 1)
    np.maximum.at(largest, item, values)
    shares = values / largest[item]
    return shares / np.sqrt(np.bincount(item, shares**2))[item]
