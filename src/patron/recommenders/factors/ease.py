"""EASE: a linear model in which every item is forecast from all others, in closed form.

With X (users x items) 1 where a user has an item and P = (X'X + regularisation x d I)^-1, d being the mean number of
users of an item, item i says B(i, j) = -P(i, j) / P(j, j) for j, and nothing for itself (Steck, 2019). A user's score
of j is the sum of B(i, j) over what that user had. Departures: d makes the regularisation one for small and large
shops, and an item counts half with each half-life between its newest row and the user's last.

The inverse is dense: so only the `head` items with the most users have it; pairs with an item of the tail have the
cosine of item-KNN instead, scaled to fit B by least squares where both exist. Cost: head^3, or users x head^2 where
users are fewer; memory: 20 to 36 bytes x head^2 to fit (4,000 items: 4 s, at most 0.6 GB), 4 to keep. Set the number
of BLAS threads outside. Rows of weight 0 or less do not count.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy
import scipy.sparse as sp

from patron.recommenders.best_items import Scores
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.neighbours.item_knn import ItemKNN
from patron.recommenders.neighbours.neighbours import newest_profiles, positive_matrix
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class FittedEASE(FittedRecommender):
    """Dense weights between items of the head, sparse ones where an item of the tail is in the pair."""

    learner: "EASE"
    profiles: sp.csr_array
    """Users x items: how much what a user had counts."""
    head: Codes
    """Items that have dense weights, by number."""
    weights: npt.NDArray[np.float32]
    """Head x head: what an item says for others."""
    neighbours: sp.csr_array
    """Items x items: what an item says for others, of pairs that are not in `weights`."""

    def scores(self, users: Codes) -> Scores:
        """Sum of what the items of each user say; what nothing speaks for is no candidate."""
        return self._sums(sp.csr_array(self.profiles[users]))

    def similarities(self, items: Codes) -> Scores:
        """What each item says for others."""
        ones, shape = np.ones(len(items)), (len(items), len(self.catalogue.items))
        return self._sums(sp.csr_array((ones, (np.arange(len(items)), items)), shape=shape))

    def _sums(self, profiles: sp.csr_array) -> Numbers:
        sums = (profiles @ self.neighbours).toarray()
        sums[:, self.head] += profiles[:, self.head] @ self.weights
        return np.where(sums > 0, sums, -np.inf)

    def fold_rows(self, known: Interactions) -> Self:
        """The same weights, of what other users had."""
        return replace(self, catalogue=self.catalogue.fold_rows(known), profiles=self.learner.profiles(known))


@dataclass(frozen=True)
class EASE(Recommender):
    """Every item from all others, in closed form for the most popular ones."""

    head: int = 4_000
    """Items with the most users, which have dense weights; memory grows with its square."""
    regularisation: float = 5.0
    """How much weights are shrunk, in mean numbers of users of an item."""
    neighbours: int = 100
    """Items that are kept next to each item where one of the two is not in the head."""
    half_life_days: float = 120.0
    """Time before a user's last row after which an item counts half, days."""

    name: ClassVar[str] = "ease"
    fitted: ClassVar[type[FittedRecommender]] = FittedEASE

    def fit_interactions(self, known: Interactions) -> FittedEASE:
        """Invert the head, and find the neighbours of the tail."""
        owned = sp.csr_array(positive_matrix(known).sign())
        users = np.bincount(owned.indices, minlength=len(known.items))
        head = np.sort(np.argsort(-users, kind="stable")[: self.head])
        weights = _weights(sp.csr_array(owned[:, head]), self.regularisation * max(float(users[head].mean()), 1.0))
        tail = self._tail(known, head, weights)
        return FittedEASE(
            self, Catalogue.of(known), profiles=self.profiles(known), head=head, weights=weights, neighbours=tail
        )

    def profiles(self, known: Interactions) -> sp.csr_array:
        """Users x items: 1 for what a user had last, less for what is older."""
        return newest_profiles(known, self.half_life_days)

    def _tail(self, known: Interactions, head: Codes, weights: npt.NDArray[np.float32]) -> sp.csr_array:
        """Items x items: scaled cosines of pairs that are not both in the head."""
        count = len(known.items)
        if len(head) == count:
            return sp.csr_array((count, count))
        pairs = ItemKNN(self.neighbours, "cosine").fit_interactions(known).neighbours.tocoo()
        place = np.full(count, -1)
        place[head] = np.arange(len(head))
        of_row, of_column = place[pairs.row], place[pairs.col]
        in_head, is_other = (of_row >= 0) & (of_column >= 0), pairs.row != pairs.col
        both = in_head & is_other
        cosine, dense = pairs.data[both].astype(np.float64), weights[of_row[both], of_column[both]]
        scale = max(float(cosine @ dense), 0.0) / max(float(cosine @ cosine), np.finfo(float).tiny)
        kept = ~in_head & is_other
        return sp.csr_array((scale * pairs.data[kept], (pairs.row[kept], pairs.col[kept])), shape=(count, count))


def _weights(owned: sp.csr_array, ridge: float) -> npt.NDArray[np.float32]:
    """Items x items: what each says for the others."""
    users, items = owned.shape  # type: ignore[misc] - of every sparse array
    if users < items:  # the same inverse by the smaller side (Woodbury)
        dense = owned.toarray()
        inner = scipy.linalg.cho_factor(_gram(sp.csr_array(owned.T), ridge), lower=True, overwrite_a=True)
        inverse = dense.T @ scipy.linalg.cho_solve(inner, dense)
        inverse *= -1
        inverse[np.diag_indices(items)] += 1
    else:
        inverse = scipy.linalg.inv(_gram(owned, ridge), overwrite_a=True)
    weights = (inverse / -np.diagonal(inverse)).astype(np.float32)
    weights[np.diag_indices(items)] = 0
    return weights


def _gram(owned: sp.csr_array, ridge: float) -> Numbers:
    """Columns x columns: in how many rows both are, with the ridge on the diagonal."""
    gram = (owned.T @ owned).toarray().astype(np.float64)
    gram[np.diag_indices(len(gram))] += ridge
    return gram
