"""SLIM: each item is forecast from its nearest items, by sparse least squares without negative weights.

With X (users x items) 1 where a user has an item, item j has weights w(i, j) >= 0 on its `neighbours` nearest items i
by cosine, which minimise |X_j - sum over i of w(i, j) X_i|^2 + regularisation x d x sum over i of w(i, j)^2, d being
the mean number of users of an item (Ning and Karypis 2011, with their selection of features first). One weight at a
time is set to what is best while the others stand still, until none moves by TOLERANCE, SWEEPS times at most; what is
not yet forecast is kept by user. A user's score of j is the sum of w(i, j) over what that user had, faded as in `ease`.
Departure: no penalty on the sum of weights, which gained nothing, since most weights are 0 without it.

It ranks as EASE does, without a dense matrix: cost is that of item-KNN, and the sum over items of their neighbours'
users times the sweeps; memory is items x neighbours. Rows of weight 0 or less do not count.
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
    newest_profiles,
    positive_matrix,
)
from patron.recommenders.recommender import FittedRecommender
from patron.schema.kernels import kernel

SWEEPS, TOLERANCE = 10, 1e-4


@dataclass(frozen=True)
class SLIM(ProfileLearner):
    """Least squares on near items."""

    neighbours: int = 100
    """Items that may speak for an item."""
    regularisation: float = 3.0
    """How much weights are shrunk, in mean numbers of users of an item."""
    half_life_days: float = 120.0
    """Time before a user's last row after which an item counts half, days."""

    name: ClassVar[str] = "slim"
    fitted: ClassVar[type[FittedRecommender]] = FittedNeighbours

    def fit_interactions(self, known: Interactions) -> FittedNeighbours:
        """Find the nearest items of each item, then what each of them says."""
        by_item = sp.csr_array(sp.csr_array(positive_matrix(known).sign()).T)
        users = np.diff(by_item.indptr)
        unit = sp.csr_array(sp.diags_array(1 / np.sqrt(np.maximum(users, 1))) @ by_item)
        near = largest_products(unit, sp.csr_array(unit.T), self.neighbours + 1)
        ridge = self.regularisation * max(float(users.mean()), 1.0)
        values = _weights(by_item.indptr, by_item.indices, near.indptr, near.indices, ridge, len(known.users))
        weights = sp.csr_array(sp.csr_array((values, near.indices, near.indptr), shape=near.shape).T)
        weights.eliminate_zeros()
        return FittedNeighbours(self, Catalogue.of(known), self.profiles(known), weights)

    def profiles(self, known: Interactions) -> sp.csr_array:
        """Users x items: 1 for what a user had last, less for what is older."""
        return newest_profiles(known, self.half_life_days)


@kernel()
def _weights(starts, users, near_starts, near, ridge, user_count):  # noqa: ANN001, ANN202
    """Weight of each near item, in the order of `near`; an item says nothing for itself."""
    rest, weights = np.zeros(user_count), np.zeros(len(near), dtype=np.float32)
    for item in range(len(starts) - 1):
        rest[users[starts[item] : starts[item + 1]]] = 1.0
        for _ in range(SWEEPS):
            if _sweep(item, starts, users, near_starts, near, ridge, rest, weights) < TOLERANCE:
                break
        for other in near[near_starts[item] : near_starts[item + 1]]:
            rest[users[starts[other] : starts[other + 1]]] = 0.0
        rest[users[starts[item] : starts[item + 1]]] = 0.0
    return weights


@kernel()
def _sweep(item, starts, users, near_starts, near, ridge, rest, weights):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Improve the weights of an item once; return by how much one moved at most."""
    most = 0.0
    for at in range(near_starts[item], near_starts[item + 1]):
        other = near[at]
        of_other = users[starts[other] : starts[other + 1]]
        if other == item:
            continue
        product = 0.0
        for user in of_other:
            product += rest[user]
        weight = np.float32(max(0.0, (product + len(of_other) * weights[at]) / (len(of_other) + ridge)))
        step = weight - weights[at]
        if step != 0:
            weights[at] = weight
            for user in of_other:
                rest[user] -= step
            most = max(most, abs(step))
    return most
