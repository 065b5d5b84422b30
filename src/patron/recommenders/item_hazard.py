"""When a person is likely to need an item again: how often it was bought, and the elapsed time against its rhythm.

    hazard(u, i) = (faded rows(u, i) + k x usual rows(i)) x lift(elapsed / gap(u, i))^s

The usual rows of an item are the mean of its buyers, shrunk to the shop's; the gap of a pair is the mean of its gaps,
shrunk to the item's, and that to the shop's. The lift is the shop's hazard by elapsed gaps, relative to the rate: a
life table of all spells between purchases, shrunk to 1 / (1 + z / patience), the falling hazard of a pair whose rate is
not known (Lomax gaps). It is the mean over the user's next visits, and s < 1 allows for gaps that are estimated.
Elapsed time ends at the user's newest row. Recent popularity is added; it is all that new items have.

Elapsed time against an item's and a person's rhythm: Romanov et al., TAIW (RecSys 2023), and Wang et al., SLRC (WWW
2019), which fit kernels instead. Fitting costs O(n log n) in rows.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Flags
from patron.recommenders.catalogue import RECENT_DAYS, Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.popularity.personal_frequency import FittedPersonal
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

EDGES = np.append(0.0, 2.0 ** np.arange(-4, 5))
"""Where the classes of the life table begin, in gaps; the last one has no end."""
MIN_GAPS_AHEAD = 1e-6
"""Time ahead is not less than this, in gaps."""


@dataclass(frozen=True, eq=False)
class Spells:
    """Times from a purchase of an item to the user's next one of it, or to the user's newest row; in order of pairs."""

    user: Codes
    item: Codes
    gap_count: Codes
    """Gaps of the pair before the spell."""
    gap_days: Numbers
    """Their sum, days."""
    faded: Numbers
    """Rows of the pair when the spell begins, faded by their age."""
    days: Numbers
    """Length, days."""
    is_last: Flags
    """The newest spell of the pair: it has not ended."""

    @classmethod
    def of(cls, known: Interactions, half_life_days: float) -> "Spells":
        """Cut each pair's history at its purchases; rows at one time are one purchase."""
        key = known.user * len(known.items) + known.item
        order = np.argsort(key, kind="stable")  # rows are in order of time, and stay so within a pair
        key = key[order]
        day = known.day[order]
        age = known.days_before_last[order]
        starts = np.flatnonzero(np.append(True, (np.diff(key) != 0) | (np.diff(day) > 0))[: len(key)])
        rows = np.diff(np.append(starts, len(key)))
        key, day, age = key[starts], day[starts], age[starts]
        is_first = np.append(True, np.diff(key) != 0)[: len(key)]
        is_last = np.append(is_first[1:], True)[: len(key)]
        first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
        return cls(
            key // len(known.items),
            key % len(known.items),
            np.arange(len(key)) - first,
            day - day[first],
            _fade(is_first, day, rows.astype(np.float64), half_life_days),
            np.where(is_last, age, np.append(np.diff(day), 0.0)[: len(key)]),
            is_last,
        )


@dataclass(frozen=True, eq=False)
class FittedHazard(FittedPersonal):
    """Hazard of each user's items, and what it is computed from."""

    learner: "ItemHazard"
    usual_rows: Numbers
    """What the buyers of each item are credited with, faded rows."""
    gap_days: Numbers
    """Mean days between a user's purchases of each item, shrunk to the shop's."""
    lifts: Numbers
    """The shop's life table: purchases in each class of elapsed gaps, relative to what the rate expects."""
    visit_days: float
    """Mean days between the times of a user."""

    def fold_rows(self, known: Interactions) -> Self:
        """The hazard of other users' items."""
        item_side = self.usual_rows, self.gap_days, self.lifts, self.visit_days
        hazard = self.learner.hazard(known, Spells.of(known, self.learner.half_life_days), *item_side)
        return replace(self, catalogue=self.catalogue.fold_rows(known), of_user=hazard)


@dataclass(frozen=True)
class ItemHazard(Recommender):
    """A pair's purchase rate, shrunk to its item's, times what the elapsed time says. Weights of rows are not used."""

    half_life_days: float = 120.0
    """After so many days a row counts half."""
    item_weight: float = 0.5
    """How much of the usual rows of an item's buyers each of them is credited with."""
    prior_buyers: float = 5.0
    """How many buyers of an item the shop's mean is worth."""
    patience: float = 10.0
    """Where the life table says nothing, the hazard is half after so many gaps without a purchase."""
    prior_purchases: float = 50.0
    """How many purchases in each class of the life table that is worth."""
    shape_weight: float = 0.5
    """Exponent of the lift: 0 leaves elapsed time out, 1 believes it as if each pair's gap were known."""
    visits_ahead: float = 3.0
    """Over how many of the user's mean times between visits the lift is averaged."""
    popularity_weight: float = 1.0
    """How many fresh rows the most popular item is worth to everybody."""
    recent_days: float = RECENT_DAYS
    """Popularity is that of so many days before the newest row."""

    name: ClassVar[str] = "item_hazard"
    fitted: ClassVar[type[FittedRecommender]] = FittedHazard

    def fit_interactions(self, known: Interactions) -> FittedHazard:
        """Estimate each pair's rate and rhythm, and the shop's life table."""
        catalogue = Catalogue.of(known, self.recent_days)
        spells = Spells.of(known, self.half_life_days)
        usual, gaps = self._usual_rows(spells, len(known.items)), self._gap_days(spells, len(known.items))
        lifts = self._life_table(spells, usual[spells.item], gaps_of_spells(spells, gaps))
        item_side = usual, gaps, lifts, mean_visit_gap(known)
        popular = self.popularity_weight * catalogue.popularity
        return FittedHazard(self, catalogue, self.hazard(known, spells, *item_side), popular, *item_side)

    def hazard(
        self, known: Interactions, spells: Spells, usual: Numbers, gaps: Numbers, lifts: Numbers, visit_days: float
    ) -> sp.csr_array:
        """Users x items: rate of each pair, faded rows, times the lift of its elapsed time."""
        last = spells.is_last
        user = spells.user[last]
        item = spells.item[last]
        days = spells.days[last]
        gap = gaps_of_spells(spells, gaps)[last]
        ahead = np.maximum(self.visits_ahead * visit_gaps(known, visit_days)[user] / gap, MIN_GAPS_AHEAD)
        lift = _mean_lift(lifts, days / gap, ahead) ** self.shape_weight
        hazard = (spells.faded[last] * 0.5 ** (days / self.half_life_days) + usual[item]) * lift
        return sp.csr_array((hazard, (user, item)), shape=(len(known.users), len(known.items)))

    def _usual_rows(self, spells: Spells, items: int) -> Numbers:
        """What each item's buyers are credited with, faded rows."""
        last = spells.is_last
        faded = spells.faded[last] * 0.5 ** (spells.days[last] / self.half_life_days)
        rows, buyers = (np.bincount(spells.item[last], one, items) for one in (faded, None))
        return self.item_weight * (rows + self.prior_buyers * faded.mean()) / (buyers + self.prior_buyers)

    def _gap_days(self, spells: Spells, items: int) -> Numbers:
        """Mean days from one purchase of each item to the user's next one, shrunk to the shop's."""
        ends = ~spells.is_last
        count, days = (np.bincount(spells.item, one, items) for one in (ends, spells.days * ends))
        of_shop = (days.sum() + self.half_life_days) / (count.sum() + 1)
        return (days + of_shop) / (count + 1)

    def _life_table(self, spells: Spells, usual: Numbers, gap: Numbers) -> Numbers:
        """Purchases in each class of elapsed gaps, relative to those that the rate alone expects."""
        rate = np.log(2) / self.half_life_days  # rows that fade by it are this share of a purchase a day
        expected = np.zeros(len(EDGES))
        for at, (start, end) in enumerate(zip(EDGES, np.append(EDGES[1:], np.inf), strict=True)):
            since, until = np.minimum(spells.days, start * gap), np.minimum(spells.days, end * gap)
            fading = 0.5 ** (since / self.half_life_days) - 0.5 ** (until / self.half_life_days)
            expected[at] = (spells.faded * fading + usual * rate * (until - since)).sum()
        ends = ~spells.is_last
        classes = np.searchsorted(EDGES, spells.days[ends] / gap[ends], side="right") - 1
        purchases = np.bincount(classes, minlength=len(EDGES))
        prior = 1 / (1 + np.append((EDGES[1:] + EDGES[:-1]) / 2, 1.5 * EDGES[-1]) / self.patience)
        scale = (purchases.sum() + self.prior_purchases) / ((expected * prior).sum() + self.prior_purchases)
        return (purchases / scale + self.prior_purchases * prior) / (expected + self.prior_purchases)


def gaps_of_spells(spells: Spells, gap_days: Numbers) -> Numbers:
    """Days from one purchase to the next that are expected when each spell begins: shrunk to those of the item."""
    return (spells.gap_days + gap_days[spells.item]) / (spells.gap_count + 1)


def visit_gaps(known: Interactions, mean_days: float) -> Numbers:
    """Mean days between the times of each user, shrunk to the mean of all users."""
    user, days = _visits(known)
    count, total = (np.bincount(user, one, len(known.users)) for one in (None, days))
    return (total + mean_days) / (count + 1)


def mean_visit_gap(known: Interactions) -> float:
    """Mean days between the times of a user; 0 where nobody came twice."""
    _, days = _visits(known)
    return float(days.sum() / max(len(days), 1))


def _visits(known: Interactions) -> tuple[Codes, Numbers]:
    """User of each time after the user's first, and the days since the time before it."""
    order = np.argsort(known.user, kind="stable")
    user, day = known.user[order], known.day[order]
    is_gap = (np.diff(user) == 0) & (np.diff(day) > 0)
    return user[1:][is_gap], np.diff(day)[is_gap]


def _mean_lift(lifts: Numbers, start: Numbers, length: Numbers) -> Numbers:
    """Mean of the lift over a stretch of time, all in gaps."""
    far = max(2 * EDGES[-1], float((start + length).max(initial=0.0)))
    edges = np.append(EDGES, far)
    total = np.append(0.0, np.cumsum(lifts * np.diff(edges)))
    return (np.interp(start + length, edges, total) - np.interp(start, edges, total)) / length


@kernel(nogil=True)
def _fade(is_first, day, rows, half_life_days):  # noqa: ANN001, ANN202
    """Rows of a pair up to each of its purchases, faded by their age."""
    faded = rows.copy()
    for at in range(len(rows)):
        if not is_first[at]:
            faded[at] += faded[at - 1] * 0.5 ** ((day[at] - day[at - 1]) / half_life_days)
    return faded
