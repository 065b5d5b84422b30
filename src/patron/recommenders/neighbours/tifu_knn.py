"""Baskets of a user and of users who buy alike, the newest counting most.

The baskets of a user, newest last, are put into groups of m. A user's vector is

    v(u) = mean over groups of r_g^(groups since) x mean over the group's baskets of r_b^(its baskets since)

and score(u) = a v(u) + (1 - a) x the mean vector of the k users who are nearest in Euclidean distance: Hu et al.,
TIFU-KNN (SIGIR 2020). Groups are counted from the newest basket, so that the oldest one may be short. Nearest users are
looked for among so many who came last, so that scoring n users costs O(n x that many), and fitting O(rows).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Scores
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.neighbours.user_neighbours import (
    Baskets,
    Others,
    nearest,
    newest_users,
    weights_of_neighbours,
)
from patron.recommenders.recommender import FittedRecommender, Recommender


@dataclass(frozen=True, eq=False)
class FittedTifuKnn(FittedRecommender):
    """Vectors of all users, and the users who can be neighbours."""

    learner: "TifuKnn"
    vectors: sp.csr_array
    """Users x items: faded share of baskets with the item."""
    others: Codes
    """Users who can be neighbours."""

    def scores(self, users: Codes) -> Scores:
        """The user's vector blended with the neighbours' mean; faded share of baskets."""
        rows, share = self.vectors[users], self.learner.personal_share
        return sp.csr_array(share * rows + (1 - share) * (self._neighbours(users, rows) @ self._of_others.rows))

    @cached_property
    def _of_others(self) -> Others:
        return Others.of(self.vectors[self.others])

    def _neighbours(self, users: Codes, rows: sp.csr_array) -> sp.csr_array:
        parts, others = [], self._of_others
        for block, product in others.products(rows):
            closeness = 2 * product - others.squared_lengths  # the user's length is the same for all others
            closeness[users[block, None] == self.others] = -np.inf
            columns = nearest(closeness, self.learner.neighbours)
            is_other = np.take_along_axis(closeness, columns, axis=1) > -np.inf
            weights = is_other / np.maximum(is_other.sum(axis=1, keepdims=True), 1)
            parts.append(weights_of_neighbours(columns, weights, product.shape))
        return sp.csr_array(sp.vstack(parts))


@dataclass(frozen=True)
class TifuKnn(Recommender):
    """A user's baskets, faded in groups, and those of the nearest users. Rows of weight 0 or less do not count."""

    neighbours: int = 300
    """How many nearest users are averaged."""
    group_size: int = 7
    """Baskets in a group."""
    basket_decay: float = 1.0
    """Weight of a basket next to the one after it in its group."""
    group_decay: float = 0.6
    """Weight of a group next to the one after it."""
    personal_share: float = 0.7
    """Weight of the user's vector; the neighbours have the rest."""
    most_others: int = 20_000
    """Neighbours are looked for among so many users who came last."""

    name: ClassVar[str] = "tifu_knn"
    fitted: ClassVar[type[FittedRecommender]] = FittedTifuKnn
    has_item_side: ClassVar[bool] = False

    def fit_interactions(self, known: Interactions) -> FittedTifuKnn:
        """Fade each user's baskets."""
        baskets = Baskets.of(known)
        count = baskets.basket_count[baskets.user]
        groups_ago, place = np.divmod(baskets.baskets_ago, self.group_size)
        groups = -(-count // self.group_size)
        sizes = np.where(groups_ago == groups - 1, count - (groups - 1) * self.group_size, self.group_size)
        weight = self.group_decay ** groups_ago.astype(float) * self.basket_decay ** place.astype(float)
        shape = len(known.users), len(known.items)
        vectors = sp.csr_array((weight / (groups * sizes), (baskets.user, baskets.item)), shape=shape)
        vectors.eliminate_zeros()
        return FittedTifuKnn(self, Catalogue.of(known), vectors, newest_users(known, self.most_others))
