"""What most users had lately, the same list for everybody: the baseline."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from patron.recommenders.best_items import Scores
from patron.recommenders.catalogue import RECENT_DAYS, Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.recommender import FittedRecommender, Recommender


@dataclass(frozen=True, eq=False)
class FittedPopularity(FittedRecommender):
    """One list for everybody."""

    def scores(self, users: Codes) -> Scores:
        """Share of the most popular item's recent users, 0 to 1, for everybody."""
        return np.tile(self.catalogue.popularity, (len(users), 1))

    def fold_rows(self, known: Interactions) -> Self:
        """The same list; other histories are left out of it."""
        return replace(self, catalogue=self.catalogue.fold_rows(known))


@dataclass(frozen=True)
class RecentPopularity(Recommender):
    """How many users an item had within the last days; older ones only order what had none."""

    recent_days: float = RECENT_DAYS
    """Length of the window before the newest row, days."""

    name: ClassVar[str] = "recent_popularity"
    fitted: ClassVar[type[FittedRecommender]] = FittedPopularity

    def fit_interactions(self, known: Interactions) -> FittedPopularity:
        """Count the users of each item."""
        return FittedPopularity(self, Catalogue.of(known, self.recent_days))
