"""Directed co-visitation: what comes next after the things that a user had last.

In each user's sequence, item b that comes d times after item a counts

    weight(b) x step_decay^(d - 1) x 0.5^(days between / half_life_days),

and `backward` times as much where it comes before a, or at the same time. The share of b in all that is counted for a,
divided by b's whole weight to the power of `popularity_discount`, is how much a says for b. A user's score of b is the
sum over what that user had, each counting step_decay^(times before the last) x 0.5^(days before the last /
half_life_days). Rows of the same time are one step of the sequence (a basket); in a frame without times each row is
one, in the order in which they came. Co-visitation as in YouTube's recommender (Davidson et al., 2010), with direction
as in first-order Markov chains (Rendle, Freudenthaler and Schmidt-Thieme, 2010).

Cost: rows x `steps`, at most MAX_ROWS rows before and after each; memory: items x neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from patron.recommenders.catalogue import Catalogue
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.neighbours.neighbours import (
    MAX_HALVINGS,
    FittedNeighbours,
    ProfileLearner,
    as_sparse,
    take_best,
)
from patron.recommenders.recommender import FittedRecommender
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

MAX_ROWS = 100
"""Rows before and after a row that it is paired with, so that large baskets stay cheap."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Rows of one user after another, each user's in order of time."""

    user: Codes
    item: Codes
    day: Numbers
    weight: Numbers
    step: Codes
    """Grows by one with each time of a user."""
    first: Codes
    """Place of the user's first row."""
    end: Codes
    """Place after the user's last row."""

    @classmethod
    def of(cls, known: Interactions, event_weights: Mapping[str, float]) -> "Sequences":
        """Line up the rows that count; weights of the rows times those of their events."""
        weight = known.weight * np.array([event_weights.get(event, 1.0) for event in known.events])[known.event]
        order = np.argsort(known.user, kind="stable")
        order = order[weight[order] > 0]
        user, day = known.user[order], known.day[order]
        is_new = np.append(True, (np.diff(user) != 0) | (np.diff(day) != 0) | (not known.has_times))[: len(user)]
        ends = np.cumsum(np.bincount(user, minlength=len(known.users)))
        first = np.append(0, ends)[user]
        return cls(user, known.item[order], day, weight[order], np.cumsum(is_new), first, ends[user])


@dataclass(frozen=True)
class CoVisitation(ProfileLearner):
    """What comes next after what a user had last."""

    neighbours: int = 200
    """Items that are kept next to each item."""
    steps: int = 10
    """Times before and after a row whose items it is paired with."""
    step_decay: float = 0.7
    """How much a further step counts, of the step before it; 0 to 1."""
    half_life_days: float = 30.0
    """Time between two rows, and before a user's last row, after which they count half, days."""
    backward: float = 0.3
    """How much the earlier of two rows, or the other of the same time, counts, of the later one; 0 to 1."""
    popularity_discount: float = 0.25
    """How much items with many rows are discounted: 0 not at all, 1 in proportion to their weight."""
    event_weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    """How much events of a kind count as what comes next, such as {"purchase": 3}; 1 for others, 0 leaves them out."""

    name: ClassVar[str] = "co_visitation"
    fitted: ClassVar[type[FittedRecommender]] = FittedNeighbours

    def fit_interactions(self, known: Interactions) -> FittedNeighbours:
        """Count what comes after each item."""
        rows = Sequences.of(known, self.event_weights)
        count = len(known.items)
        places = np.argsort(rows.item, kind="stable")
        ends = np.cumsum(np.bincount(rows.item, minlength=count))
        discount = (
            np.maximum(np.bincount(rows.item, rows.weight, count), np.finfo(float).tiny) ** -self.popularity_discount
        )
        factors = self.step_decay ** np.arange(self.steps), self.half_life_days, self.backward, discount
        sequences = rows.item, rows.day, rows.weight, rows.step, rows.first, rows.end
        best = _best_next(sequences, places, np.append(0, ends), factors, min(self.neighbours, count))
        return FittedNeighbours(self, Catalogue.of(known), self._profiles_of(rows, known), as_sparse(*best, count))

    def profiles(self, known: Interactions) -> sp.csr_array:
        """Users x items: rows that fade by steps and by days."""
        return self._profiles_of(Sequences.of(known, self.event_weights), known)

    def _profiles_of(self, rows: Sequences, known: Interactions) -> sp.csr_array:
        last = rows.end - 1
        steps = np.minimum(rows.step[last] - rows.step, MAX_HALVINGS)
        halvings = np.minimum((rows.day[last] - rows.day) / self.half_life_days, MAX_HALVINGS)
        values = self.step_decay**steps * 0.5**halvings
        return sp.csr_array((values, (rows.user, rows.item)), shape=(len(known.users), len(known.items)))


@kernel(nogil=True)
def _best_next(sequences, places, starts, factors, count):  # noqa: ANN001, ANN202
    items = len(starts) - 1
    best, of_best = np.full((items, count), -1, dtype=np.int32), np.zeros((items, count), dtype=np.float32)
    sums = np.zeros(items)
    is_touched = np.zeros(items, dtype=np.bool_)
    touched = np.empty(items, dtype=np.int64)
    discount = factors[-1]
    for item in range(items):
        size = 0
        for place in places[starts[item] : starts[item + 1]]:
            size = _add_next(place, sequences, factors, sums, is_touched, touched, size)
        total = 0.0
        for other in touched[:size]:
            total += sums[other]
        for other in touched[:size]:
            sums[other] *= discount[other] / total if total > 0 else 0.0
        take_best(best[item], of_best[item], sums, is_touched, touched[:size])
    return best, of_best


@kernel(nogil=True)
def _add_next(place, sequences, factors, sums, is_touched, touched, size):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Add what the rows around a row count for its item; return how many items are touched by now."""
    item, day, weight, step, first, end = sequences
    decay, half_life, backward, _ = factors
    factor, of_step = 0.0, -1
    for at in range(max(place - MAX_ROWS, first[place]), min(place + MAX_ROWS + 1, end[place])):
        if step[at] != of_step:  # why: all rows of a step are of one time, and powers are slow
            of_step, distance = step[at], step[at] - step[place]
            halvings = min(abs(day[at] - day[place]) / half_life, MAX_HALVINGS)
            direction = 1.0 if distance > 0 else backward
            is_near = abs(distance) <= len(decay)
            factor = direction * decay[max(abs(distance) - 1, 0)] * 0.5**halvings if is_near else 0.0
        if at == place or factor <= 0:
            continue
        other = item[at]
        if not is_touched[other]:
            is_touched[other] = True
            touched[size] = other
            size += 1
        sums[other] += factor * weight[at]
    return size
