"""RP3beta: where a random walk over users and items ends, popular ends discounted.

From an item the walk goes to one of its users and on to one of that user's items. With c(u, i) the weight of a user's
rows of an item, each item keeps the `neighbours` largest of

    s(i, j) = sum over u of (c(u, i) / sum of c(., i))^alpha x (c(u, j) / sum of c(u, .))^alpha / (sum of c(., j))^beta,

and a user's score of j is the sum over what that user had of how much it counts, times s(i, j) (Christoffel et al.,
2015; Paudel et al., 2017). Departure: the first step, from the user, goes by how recent rows are, not by c alone.

Rows of weight 0 or less do not count. Cost: the sum over users of their items squared; memory: items x neighbours.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from patron.recommenders.catalogue import Catalogue
from patron.recommenders.interactions import Interactions
from patron.recommenders.neighbours.neighbours import (
    FittedNeighbours,
    ProfileLearner,
    largest_products,
    positive_matrix,
    recent_profiles,
)
from patron.recommenders.recommender import FittedRecommender


@dataclass(frozen=True)
class RP3beta(ProfileLearner):
    """Ends of random walks from what a user had."""

    neighbours: int = 200
    """Items that are kept next to each item."""
    alpha: float = 0.8
    """Power of each step's probability; below 1 evens steps out."""
    beta: float = 0.3
    """How much popular items are discounted: 0 not at all, 1 in proportion to their weight."""
    half_life_days: float = 30.0
    """Time before a user's last row after which a row counts half, days."""

    name: ClassVar[str] = "rp3beta"
    fitted: ClassVar[type[FittedRecommender]] = FittedNeighbours

    def fit_interactions(self, known: Interactions) -> FittedNeighbours:
        """Find where walks from each item end."""
        counts = positive_matrix(known)
        user = np.repeat(np.arange(len(known.users)), np.diff(counts.indptr))
        item, count = counts.indices, np.asarray(counts.data, dtype=np.float64)
        of_user, of_item = np.bincount(user, count), np.bincount(item, count)
        to_user, to_item = (count / of_item[item]) ** self.alpha, (count / of_user[user]) ** self.alpha
        first = sp.csr_array((to_user, (item, user)), shape=(len(known.items), len(known.users)))
        second = sp.csr_array((to_item / of_item[item] ** self.beta, item, counts.indptr), shape=counts.shape)
        neighbours = largest_products(first, second, self.neighbours)
        return FittedNeighbours(self, Catalogue.of(known), self.profiles(known), neighbours)

    def profiles(self, known: Interactions) -> sp.csr_array:
        """Users x items: rows that halve with their age."""
        return recent_profiles(known, self.half_life_days)
