"""What a user had often and lately, and what is popular: the rule that is hard to beat where people buy again.

score(u, i) = sum over the rows of u with i of 0.5^(age / half-life) + popularity weight x popularity(i), where the
popularity is the share of the most popular item's users in the last days (0 to 1). Ages are counted from the user's
newest row: counted from everybody's, the history of a user who has been away for long would fade below what is popular,
though it still says most about the next basket. Fitting costs O(rows).
"""

from abc import ABC
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Scores
from patron.recommenders.catalogue import RECENT_DAYS, Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class FittedPersonal(FittedRecommender, ABC):
    """Each user's history on top of what everybody gets."""

    of_user: sp.csr_array
    """Users x items: what an item counts for a user who had it."""
    of_everybody: Numbers
    """What each item counts for everybody."""

    def scores(self, users: Codes) -> Scores:
        """The user's part and everybody's, in fresh rows."""
        rows = self.of_user[users].tocoo()
        scores = np.tile(self.of_everybody, (len(users), 1))
        scores[rows.row, rows.col] += rows.data
        return scores


@dataclass(frozen=True, eq=False)
class FittedFrequency(FittedPersonal):
    """Faded rows of each user."""

    learner: "PersonalFrequency"

    def fold_rows(self, known: Interactions) -> Self:
        """Fade and count the rows of other users."""
        return replace(self, catalogue=self.catalogue.fold_rows(known), of_user=self.learner.faded_rows(known))


@dataclass(frozen=True)
class PersonalFrequency(Recommender):
    """A user's rows with an item, faded by their age, plus recent popularity. Weights of rows are not used."""

    half_life_days: float = 120.0
    """After so many days a row counts half."""
    popularity_weight: float = 1.0
    """How many fresh rows the most popular item is worth to everybody."""
    recent_days: float = RECENT_DAYS
    """Popularity is that of so many days before the newest row."""

    name: ClassVar[str] = "personal_frequency"
    fitted: ClassVar[type[FittedRecommender]] = FittedFrequency

    def fit_interactions(self, known: Interactions) -> FittedFrequency:
        """Fade and count."""
        catalogue = Catalogue.of(known, self.recent_days)
        return FittedFrequency(self, catalogue, self.faded_rows(known), self.popularity_weight * catalogue.popularity)

    def faded_rows(self, known: Interactions) -> sp.csr_array:
        """Users x items: rows, faded by their age."""
        return known.matrix(0.5 ** (known.days_before_last / self.half_life_days))
