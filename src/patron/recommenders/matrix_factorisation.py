"""Matrix factorisation that forecasts ratings: mean + bias of the user + bias of the item + x_u'y_i.

Where weights differ they are ratings, fitted by alternating least squares with a penalty on biases and factors (Koren,
Bell and Volinsky 2009), whose strength is chosen on held-out ratings. A high forecast says that a user would like an
item, not that they will have it next, so that items are ranked by other factors: those of `ALS`, in which every item
that a user does not have counts as a zero. Pairs with sampled zeros (BPR, Rendle et al. 2009) were tried in their
place: on groceries they ranked no better than popularity. Fitting costs O(rounds x rows x factors), up to 60 rounds for
ratings and 10 for the order.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patron.recommenders.als import ALS
from patron.recommenders.fitted_factors import FittedFactors
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.learner import Fitted, Learner
from patron.recommenders.rating_factors import Ratings
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class FittedMatrixFactorisation(FittedFactors):
    """Factors for the order of items, and vectors for ratings."""

    user_ratings: Numbers
    """Users x (factors, mean + bias, 1); the last row is that of a user who is not known, and has the number -1."""
    item_ratings: Numbers
    """Items x (factors, 1, bias); the last row is that of an item that is not known."""
    rating_range: Numbers
    """Lowest and highest rating; empty where weights are no ratings, all being the same."""

    def ratings(self, users: Codes, items: Codes) -> Numbers | None:
        """Expected rating of each pair, within the range of ratings; of what is not known (-1) without its share.

        None where all weights were the same.
        """
        if not len(self.rating_range):
            return None
        forecast = np.einsum("ij,ij->i", self.user_ratings[users], self.item_ratings[items])
        return np.clip(forecast, *self.rating_range)


@dataclass(frozen=True)
class MatrixFactorisation(Learner):
    """Factors of ratings, and of which items users have."""

    factors: int = 64
    """Length of the vector of each user and item."""
    rating_factors: int = 16
    """Length of the vectors of ratings; 0 leaves biases alone."""
    seed: int = 0
    """Where factors begin, and which ratings are held out to choose the penalty."""

    name: ClassVar[str] = "matrix_factorisation"
    fitted: ClassVar[type[Fitted]] = FittedMatrixFactorisation

    def fit_interactions(self, known: Interactions) -> FittedMatrixFactorisation:
        """Fit the order of items, and ratings where weights differ."""
        order = ALS(self.factors, seed=self.seed).fit_interactions(known)
        factors = order.user_factors, order.item_factors
        return FittedMatrixFactorisation(self, order.catalogue, *factors, *self._fit_ratings(known))

    def _fit_ratings(self, known: Interactions) -> tuple[Numbers, Numbers, Numbers]:
        """Vectors of users and of items whose products are ratings, and their range."""
        bounds = np.array([known.weight.min(), known.weight.max()])
        if bounds[0] == bounds[1]:
            return np.empty((0, 0)), np.empty((0, 0)), np.empty(0)
        ratings = Ratings(known.user, known.item, known.weight, (len(known.users), len(known.items)))
        fitted = ratings.fit(self.rating_factors, np.random.default_rng(self.seed))
        return *fitted.vectors(), bounds
