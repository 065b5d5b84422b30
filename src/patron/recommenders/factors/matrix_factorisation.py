"""Matrix factorisation that forecasts ratings: mean + bias of the user + bias of the item + x_u'y_i.

Where weights differ they are ratings, fitted by alternating least squares with a penalty on biases and factors (Koren,
Bell and Volinsky 2009), whose strength is chosen on held-out ratings. A high forecast says that a user would like an
item, not that they will have it next, so that items are ranked by other factors: those of `ALS`, in which every item
that a user does not have counts as a zero. Pairs with sampled zeros (BPR, Rendle et al. 2009) were tried in their
place: on groceries they ranked no better than popularity. Fitting costs O(rounds x rows x factors), up to 60 rounds for
ratings and 10 for the order.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from patron.recommenders.factors.als import ALS
from patron.recommenders.factors.fitted_factors import FittedFactors
from patron.recommenders.factors.rating_factors import RatingFactors, Ratings
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class FittedMatrixFactorisation(FittedFactors):
    """Factors for the order of items, and vectors for ratings."""

    learner: "MatrixFactorisation"
    user_ratings: Numbers
    """Users x (factors, mean + bias, 1); the last row is that of a user who is not known, and has the number -1."""
    item_ratings: Numbers
    """Items x (factors, 1, bias); the last row is that of an item that is not known."""
    rating_scale: Numbers
    """Lowest and highest rating, standard deviation, and penalty on factors; empty where all weights are the same."""
    mean_weight: float
    """Of the rows whose weight is above 0."""

    def fold_rows(self, known: Interactions) -> Self:
        """Fit the factors and ratings of other users to those of the items."""
        x = self.learner.order().user_factors(known, self.item_factors, self.mean_weight)
        other = replace(self, catalogue=self.catalogue.fold_rows(known), user_factors=x)
        if not len(self.rating_scale):
            return other
        of_items = RatingFactors.of_vectors(self.user_ratings, self.item_ratings, *self.rating_scale[2:])
        return replace(other, user_ratings=ratings_of(known).fit_users(of_items).vectors()[0])

    def ratings(self, users: Codes, items: Codes) -> Numbers | None:
        """Expected rating of each pair, within the range of ratings; of what is not known (-1) without its share.

        None where all weights were the same.
        """
        if not len(self.rating_scale):
            return None
        forecast = np.einsum("ij,ij->i", self.user_ratings[users], self.item_ratings[items])
        return np.clip(forecast, *self.rating_scale[:2])


@dataclass(frozen=True)
class MatrixFactorisation(Recommender):
    """Factors of ratings, and of which items users have."""

    factors: int = 64
    """Length of the vector of each user and item."""
    rating_factors: int = 16
    """Length of the vectors of ratings; 0 leaves biases alone."""
    seed: int = 0
    """Where factors begin, and which ratings are held out to choose the penalty."""

    name: ClassVar[str] = "matrix_factorisation"
    fitted: ClassVar[type[FittedRecommender]] = FittedMatrixFactorisation

    def fit_interactions(self, known: Interactions) -> FittedMatrixFactorisation:
        """Fit the order of items, and ratings where weights differ."""
        order = self.order().fit_interactions(known)
        factors = order.user_factors, order.item_factors
        ratings = self._fit_ratings(known)
        return FittedMatrixFactorisation(self, order.catalogue, *factors, *ratings, order.mean_weight)

    def order(self) -> ALS:
        """What items are ranked by."""
        return ALS(self.factors, seed=self.seed)

    def _fit_ratings(self, known: Interactions) -> tuple[Numbers, Numbers, Numbers]:
        """Vectors of users and of items whose products are ratings, and their scale."""
        lowest, highest = known.weight.min(), known.weight.max()
        if lowest == highest:
            return np.empty((0, 0)), np.empty((0, 0)), np.empty(0)
        fitted = ratings_of(known).fit(self.rating_factors, np.random.default_rng(self.seed))
        return *fitted.vectors(), np.array([lowest, highest, fitted.spread, fitted.penalty])


def ratings_of(known: Interactions) -> Ratings:
    """Weights as ratings."""
    return Ratings(known.user, known.item, known.weight, (len(known.users), len(known.items)))
