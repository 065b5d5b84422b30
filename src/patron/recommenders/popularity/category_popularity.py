"""What is popular in the categories that a user buys from, lately and in the same weeks of last year.

With n(u, c) the rows of user u in category c, which halve with their age, n(u) their sum, v(i) how popular item i is,
and v(c) the sum of v over the items of category c,

    score(u, i) = (n(u, c) + prior v(c) / v(all)) / (n(u) + prior) x v(i) / v(c),   c being the category of i:

the chance of the category, shrunk to what everybody buys, times the item's share of it. v(i) is the number of users of
the last days, plus `season_weight` times those of as many days that follow the same weekday 52 weeks ago, which is what
is coming; where the history does not reach back so far there are none. Older rows only order what has neither.
Categories are the column `category` of the interactions, the newest one of each item; without it all items are of one,
and everybody's list is the same. Last year counts nothing by default: on Online Retail in December its weeks make lists
worse: the last days know the season already, and a third of the products is new. Cost: rows, and users x items to
score.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Scores
from patron.recommenders.catalogue import OLDER_WEIGHT, RECENT_DAYS, Catalogue, users_of_items
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.neighbours.neighbours import recent_profiles
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.numbers import Numbers

YEAR_DAYS = 364.0
"""Whole weeks, so that weekends meet weekends."""


@dataclass(frozen=True, eq=False)
class FittedCategoryPopularity(FittedRecommender):
    """Chances of categories, by user, and of items in their category."""

    learner: "CategoryPopularity"
    category: Codes
    """Category of each item."""
    item_chance: Numbers
    """Share of each item in its category's popularity, 0 to 1."""
    category_chance: Numbers
    """Share of each category in all popularity, 0 to 1."""
    category_rows: sp.csr_array
    """Users x categories: faded rows."""

    def scores(self, users: Codes) -> Scores:
        """Chance that each item is the next one of each user, 0 to 1."""
        rows, prior = self.category_rows[users].toarray(), self.learner.prior_rows
        chance = (rows + prior * self.category_chance) / np.maximum(rows.sum(axis=1, keepdims=True) + prior, 1e-12)
        return chance[:, self.category] * self.item_chance

    def fold_rows(self, known: Interactions) -> Self:
        """The same chances of items, with the rows of other users."""
        rows = self.learner.category_rows(known, self.category, len(self.category_chance))
        return replace(self, catalogue=self.catalogue.fold_rows(known), category_rows=rows)


@dataclass(frozen=True)
class CategoryPopularity(Recommender):
    """Popularity in the categories of each user, with the season."""

    recent_days: float = RECENT_DAYS
    """Length of the window before the newest row, and of that of last year, days."""
    season_weight: float = 0.0
    """What a user of the coming weeks of last year counts; above 0 for a shop whose products come back each year."""
    prior_rows: float = 50.0
    """How many rows of everybody are added to those of a user."""
    half_life_days: float = 120.0
    """Time before a user's last row after which a row counts half, days."""

    name: ClassVar[str] = "category_popularity"
    fitted: ClassVar[type[FittedRecommender]] = FittedCategoryPopularity

    def fit_interactions(self, known: Interactions) -> FittedCategoryPopularity:
        """Count the users of items and categories."""
        catalogue = Catalogue.of(known, self.recent_days)
        volume = self._volume(known)
        catalogue = replace(catalogue, popularity=volume / max(float(volume.max()), OLDER_WEIGHT))
        of_category = np.bincount(known.category, volume)
        item_chance = volume / np.maximum(of_category[known.category], OLDER_WEIGHT)
        chance = of_category / max(float(volume.sum()), OLDER_WEIGHT)
        rows = self.category_rows(known, known.category, len(chance))
        return FittedCategoryPopularity(
            self,
            catalogue,
            category=known.category,
            item_chance=item_chance,
            category_chance=chance,
            category_rows=rows,
        )

    def category_rows(self, known: Interactions, category: Codes, count: int) -> sp.csr_array:
        """Users x categories: rows, less for what is older."""
        places = np.arange(len(category)), category
        of_item = sp.csr_array((np.ones(len(category)), places), shape=(len(category), count))
        return sp.csr_array(recent_profiles(known, self.half_life_days) @ of_item)

    def _volume(self, known: Interactions) -> Numbers:
        """Users of each item, lately and in the weeks of last year that are coming."""
        age, is_liked = known.days_before_end, known.weight > 0
        is_season = (age < YEAR_DAYS) & (age >= YEAR_DAYS - self.recent_days)
        recent, season = (users_of_items(known.where(is_liked & one)) for one in (age <= self.recent_days, is_season))
        return recent + self.season_weight * season + OLDER_WEIGHT * users_of_items(known.where(is_liked))
