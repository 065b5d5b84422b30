"""What users who are like a user bought in their newest baskets.

p(v, i) is the share of the newest r baskets of v that have the item, and score(u, i) = sum over u and the k users v
most like it of s(u, v)^q p(v, i), where s is the asymmetric cosine of the rows of p:

    s(u, v) = p(u) . p(v) / (|p(u)|^2a |p(v)|^2(1 - a))

Faggioli, Polato and Aiolli, UP-CF@r (UMAP 2020). Like users are looked for among so many who came last, so that scoring
n users costs O(n x that many), and fitting O(rows).
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
    squared_lengths,
    weights_of_neighbours,
)
from patron.recommenders.recommender import FittedRecommender, Recommender


@dataclass(frozen=True, eq=False)
class FittedUserWindowCf(FittedRecommender):
    """Windows of all users, and the users who can be neighbours."""

    learner: "UserWindowCf"
    shares: sp.csr_array
    """Users x items: share of the user's newest baskets with the item."""
    others: Codes
    """Users who can be neighbours."""

    def scores(self, users: Codes) -> Scores:
        """Shares of the user's and of like users' newest baskets, weighted by how like they are."""
        rows = self.shares[users]
        others = self._of_others
        learner = self.learner
        lengths, parts = squared_lengths(rows), []
        for block, product in others.products(rows):
            scale = lengths[block, None] ** learner.asymmetry * others.squared_lengths ** (1 - learner.asymmetry)
            likeness = (product / np.maximum(scale, np.finfo(float).tiny)) ** learner.locality
            likeness[users[block, None] == self.others] = 0.0
            columns = nearest(likeness, learner.neighbours)
            weights = np.take_along_axis(likeness, columns, axis=1)
            parts.append(weights_of_neighbours(columns, weights, product.shape))
        return sp.csr_array(rows + sp.csr_array(sp.vstack(parts)) @ others.rows)

    @cached_property
    def _of_others(self) -> Others:
        return Others.of(self.shares[self.others])


@dataclass(frozen=True)
class UserWindowCf(Recommender):
    """Newest baskets of a user and of like users. Rows of weight 0 or less do not count."""

    window: int = 25
    """How many of a user's newest baskets count."""
    asymmetry: float = 0.25
    """0 divides a product by the other user's length only, 1 by the user's; between, by both."""
    locality: float = 5.0
    """Power of the likeness: larger trusts only the users most like one."""
    neighbours: int = 300
    """How many like users are added up."""
    most_others: int = 20_000
    """They are looked for among so many users who came last."""

    name: ClassVar[str] = "user_window_cf"
    fitted: ClassVar[type[FittedRecommender]] = FittedUserWindowCf
    has_item_side: ClassVar[bool] = False

    def fit_interactions(self, known: Interactions) -> FittedUserWindowCf:
        """Count the items of each user's newest baskets."""
        baskets = Baskets.of(known)
        is_new = baskets.baskets_ago < self.window
        user, item = baskets.user[is_new], baskets.item[is_new]
        share = 1 / np.minimum(baskets.basket_count[user], self.window)
        shares = sp.csr_array((share, (user, item)), shape=(len(known.users), len(known.items)))
        return FittedUserWindowCf(self, Catalogue.of(known), shares, newest_users(known, self.most_others))
