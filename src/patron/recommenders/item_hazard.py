"""When a person is likely to need an item again: how often it was bought, and the elapsed time against its rhythm.

The purchases of a (user, item) pair are a renewal process whose rate is not known but has a gamma posterior, so that
the hazard falls while nothing happens (gaps are Lomax distributed):

    hazard(u, i) = (faded rows(u, i) + k x usual rows(i)) / (1 + elapsed / (patience x gap(u, i)))

The usual rows of an item are the mean of its buyers, shrunk to the shop's; the gap of a pair is the mean of its gaps,
shrunk to the item's, and that to the shop's. Elapsed time ends at the user's newest row. Recent popularity is added; it
is all that new items have. Elapsed time against an item's and a person's rhythm: Romanov et al., TAIW (RecSys 2023),
and Wang et al., SLRC (WWW 2019), which fit kernels instead. Fitting costs O(n log n) in rows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from patron.recommenders.catalogue import RECENT_DAYS, Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.learner import Fitted, Learner
from patron.recommenders.personal_frequency import FittedPersonal, days_before_last
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class Pairs:
    """What each pair of a user and an item has behind it."""

    user: Codes
    item: Codes
    faded: Numbers
    """Rows, faded by their age."""
    gap_count: Codes
    """How often the item came again at a later time."""
    gap_days: Numbers
    """Sum of the times between, days."""
    elapsed_days: Numbers
    """From the pair's last row to the user's."""

    @classmethod
    def of(cls, known: Interactions, half_life_days: float) -> "Pairs":
        """Count each pair's rows and gaps."""
        key = known.user * len(known.items) + known.item
        order = np.argsort(key, kind="stable")  # rows are in order of time, and stay so within a pair
        key, day, age = key[order], known.day[order], days_before_last(known)[order]
        is_first = np.append(True, np.diff(key) != 0)
        starts = np.flatnonzero(is_first)
        ends = np.append(starts[1:], len(key)) - 1
        is_again = np.append(False, np.diff(day) > 0) & ~is_first
        return cls(
            key[starts] // len(known.items),
            key[starts] % len(known.items),
            np.add.reduceat(0.5 ** (age / half_life_days), starts),
            np.add.reduceat(is_again.astype(np.int64), starts),
            day[ends] - day[starts],
            age[ends],
        )


@dataclass(frozen=True)
class ItemHazard(Learner):
    """A pair's purchase rate, shrunk to its item's, and falling while the elapsed time outgrows the pair's rhythm."""

    half_life_days: float = 120.0
    """After so many days a row counts half."""
    item_weight: float = 0.5
    """How much of the usual rows of an item's buyers each of them is credited with."""
    patience: float = 10.0
    """After so many gaps without a purchase the hazard is half."""
    prior_buyers: float = 5.0
    """How many buyers of an item the shop's mean is worth."""
    popularity_weight: float = 1.0
    """How many fresh rows the most popular item is worth to everybody."""
    recent_days: float = RECENT_DAYS
    """Popularity is that of so many days before the newest row."""

    name: ClassVar[str] = "item_hazard"
    fitted: ClassVar[type[Fitted]] = FittedPersonal

    def fit_interactions(self, known: Interactions) -> FittedPersonal:
        """Estimate each pair's rate and rhythm."""
        catalogue = Catalogue.of(known, self.recent_days)
        pairs = Pairs.of(known, self.half_life_days)
        rate = pairs.faded + self.item_weight * self._usual_rows(pairs, len(known.items))
        hazard = rate / (1 + pairs.elapsed_days / (self.patience * self._gap_days(pairs, len(known.items))))
        shape = len(known.users), len(known.items)
        of_user = sp.csr_array((hazard, (pairs.user, pairs.item)), shape=shape)
        return FittedPersonal(self, catalogue, of_user, self.popularity_weight * catalogue.popularity)

    def _usual_rows(self, pairs: Pairs, item_count: int) -> Numbers:
        """Faded rows of an item's usual buyer, for each pair."""
        rows = np.bincount(pairs.item, pairs.faded, item_count)
        buyers = np.bincount(pairs.item, minlength=item_count)
        usual = (rows + self.prior_buyers * pairs.faded.mean()) / (buyers + self.prior_buyers)
        return usual[pairs.item]

    def _gap_days(self, pairs: Pairs, item_count: int) -> Numbers:
        """Expected days between purchases of each pair; the half-life where a shop has no gap at all."""
        of_shop = (pairs.gap_days.sum() + self.half_life_days) / (pairs.gap_count.sum() + 1)
        days, count = (np.bincount(pairs.item, one, item_count) for one in (pairs.gap_days, pairs.gap_count))
        of_item = (days + of_shop) / (count + 1)
        return (pairs.gap_days + of_item[pairs.item]) / (pairs.gap_count + 1)
