"""Factors of users and items whose product says who has what: alternating least squares on implicit feedback.

Minimises the sum over all pairs of c_ui (p_ui - x_u'y_i)^2, plus l sqrt(n_u) |x_u|^2 and l sqrt(n_i) |y_i|^2. Here p is
1 for what a user had and 0 for all other items; c is 1, plus the confidence of a row for each row of the pair (Hu,
Koren and Volinsky 2008). The penalty grows with the root of n, the number of items that a user has or of users that an
item has: between that paper's, which does not grow, and one in proportion (Rendle et al. 2021). All rows count alike
however old they are: fading them by half in 180 days gained nothing. At the end users are fitted from nothing to the
items' last factors, as other users are later. Fitting costs O(rounds x (pairs x factors + (users + items) x
factors^2)), memory is O(pairs + (users + items) x factors).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.catalogue import Catalogue
from patron.recommenders.factors.factor_solver import Entries, Factors, random_factors, solve
from patron.recommenders.factors.fitted_factors import FittedFactors
from patron.recommenders.interactions import Interactions
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers

LAST_STEPS = 12
"""Of users from nothing, with the items' last factors: enough to be at the solution."""


@dataclass(frozen=True, eq=False)
class FittedALS(FittedFactors):
    """Scores are near 1 for what a user has or would have, near 0 for what is far from it."""

    learner: "ALS"
    mean_weight: float
    """Of the rows whose weight is above 0."""

    def fold_rows(self, known: Interactions) -> Self:
        """Fit the factors of other users to those of the items."""
        x = self.learner.user_factors(known, self.item_factors, self.mean_weight)
        return replace(self, catalogue=self.catalogue.fold_rows(known), user_factors=x)


@dataclass(frozen=True)
class ALS(Recommender):
    """Matrix factorisation of implicit feedback: what a user had, and how often."""

    factors: int = 128
    """Length of the vector of each user and item."""
    regularisation: float = 1.5
    """Penalty on a vector, times the root of how many pairs it has."""
    confidence: float = 0.5
    """How much a row of average weight adds to the 1 that every pair counts, those without rows too."""
    rounds: int = 10
    """How often users and items are fitted in turn."""
    seed: int = 0
    """Where the factors begin."""

    name: ClassVar[str] = "als"
    fitted: ClassVar[type[FittedRecommender]] = FittedALS

    def fit_interactions(self, known: Interactions) -> FittedALS:
        """Fit users and items in turn."""
        mean_weight = mean_liked_weight(known)
        by_user = self._confidences(known, mean_weight)
        by_item = sp.csr_array(by_user.T)
        rng = np.random.default_rng(self.seed)
        x = random_factors(rng, len(known.users), self.factors)
        y = random_factors(rng, len(known.items), self.factors)
        sides = (x, y, by_user), (y, x, by_item)
        equations = [
            (of, other, Entries.of(matrix, 1 + matrix.data), self._ridge(matrix)) for of, other, matrix in sides
        ]
        for _ in range(self.rounds):
            for of, other, entries, ridge in equations:
                solve(of, entries, other, other.T @ other, ridge)
        return FittedALS(
            self,
            Catalogue.of(known),
            user_factors=self.user_factors(known, y, mean_weight),
            item_factors=y,
            mean_weight=mean_weight,
        )

    def user_factors(self, known: Interactions, item_factors: Factors, mean_weight: float) -> Factors:
        """What fits best to the factors of items."""
        matrix, y = self._confidences(known, mean_weight), item_factors
        x = np.zeros((len(known.users), y.shape[1]), dtype=np.float32)
        solve(x, Entries.of(matrix, 1 + matrix.data), y, y.T @ y, self._ridge(matrix), LAST_STEPS)
        return x

    def _confidences(self, known: Interactions, mean_weight: float) -> sp.csr_array:
        """Users x items: what the rows of a pair add to the 1 that every pair counts."""
        liked = known.where(known.weight > 0)
        matrix = liked.matrix(self.confidence * liked.weight / mean_weight)
        matrix.sum_duplicates()
        return matrix

    def _ridge(self, matrix: sp.csr_array) -> Numbers:
        return self.regularisation * np.sqrt(np.diff(matrix.indptr))


def mean_liked_weight(known: Interactions) -> float:
    """Of the rows whose weight is above 0; 1 where there are none."""
    liked = known.weight[known.weight > 0]
    return float(liked.mean()) if len(liked) else 1.0
