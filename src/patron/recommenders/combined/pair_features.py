"""What is known of a user, an item and the two together, for a model that ranks candidates."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.catalogue import users_of_items
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.promotion_facts import PromotionFacts
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

RECENT_DAYS = 28.0
LITTLE = 1e-3
"""Added to days, so that a sparse matrix keeps those that are 0."""


@dataclass(frozen=True, eq=False)
class PairFacts:
    """Facts of the past that features are computed from, as of the newest row."""

    item_facts: Numbers
    """Items x (users, rows per user, recent rows, recent users, share of the users who are recent)."""
    user_facts: Numbers
    """Users x (rows, recent rows, days since the last row, different items)."""
    row_count: sp.csr_array
    """Users x items: rows of the pair; the next two have the same places."""
    age_days: sp.csr_array
    """Days since the pair's first row, and a little, so that 0 is kept."""
    idle_days: sp.csr_array
    """Days since its last row, and a little."""
    promotions: PromotionFacts | None = None
    """What the shop's plan says, where it is known."""

    @classmethod
    def of(cls, known: Interactions, days_ahead: float | None = None) -> Self:
        """Count and date what there is, and where there is a plan, look so many days ahead."""
        recent = _recent(known)
        users, recent_users = users_of_items(known), users_of_items(recent)
        rows, recent_rows = (np.bincount(one.item, minlength=len(known.items)) for one in (known, recent))
        item_facts = (
            users,
            rows / np.maximum(users, 1),
            recent_rows,
            recent_users,
            recent_users / np.maximum(users, 1),
        )
        plan = PromotionFacts.of(known.promotions, known, days_ahead) if known.promotions and days_ahead else None
        return cls(np.column_stack(item_facts).astype(np.float64), *_of_users(known), plan)

    def fold_rows(self, known: Interactions) -> Self:
        """The same facts of items, with those of other users."""
        plan = self.promotions.fold_rows(known) if self.promotions else None
        return type(self)(self.item_facts, *_of_users(known), plan)

    def without_promotions(self) -> Self:
        """The same facts of the past alone."""
        return replace(self, promotions=None)

    def features(self, users: Codes, items: Codes) -> Numbers:
        """One row per pair of a user and an item; NaN where the user never had the item."""
        count = value_of_pairs(self.row_count, users, items)
        is_repeat = count > 0
        age, idle = (
            np.where(is_repeat, value_of_pairs(one, users, items) - LITTLE, np.nan)
            for one in (self.age_days, self.idle_days)
        )
        gap = np.where(count > 1, (age - idle) / np.maximum(count - 1, 1), np.nan)
        overdue = idle / np.where(gap > 0, gap, np.nan)
        share = count / np.maximum(self.user_facts[users, 0], 1)
        past = count, age, idle, gap, overdue, share, self.item_facts[items], self.user_facts[users]
        return np.column_stack([*past, *([self.promotions.features(users, items)] if self.promotions else [])])


def _recent(known: Interactions) -> Interactions:
    return known.where(known.days_before_end <= RECENT_DAYS)


def _of_users(known: Interactions) -> tuple[Numbers, sp.csr_array, sp.csr_array, sp.csr_array]:
    """Facts of users, and of users and items together."""
    pairs = _of_pairs(known)
    counts = [np.bincount(one.user, minlength=len(known.users)) for one in (known, _recent(known))]
    facts = (*counts, known.end_day - known.last_day, np.diff(pairs[0].indptr))
    return np.column_stack(facts).astype(np.float64), *pairs


def _of_pairs(known: Interactions) -> tuple[sp.csr_array, sp.csr_array, sp.csr_array]:
    """Users x items: rows of each pair, and the days since its first and its last one."""
    shape = len(known.users), len(known.items)
    pair, first, count = np.unique(known.user * shape[1] + known.item, return_index=True, return_counts=True)
    last = np.full(len(pair), -np.inf)
    np.maximum.at(last, np.searchsorted(pair, known.user * shape[1] + known.item), known.day)
    starts = np.searchsorted(pair, np.arange(shape[0] + 1) * shape[1])
    ages = known.end_day - known.day[first]  # why the first place: rows are in order of time
    values = count.astype(np.float64), ages + LITTLE, known.end_day - last + LITTLE
    return tuple(sp.csr_array((value, pair % shape[1], starts), shape=shape) for value in values)  # type: ignore[return-value]


def value_of_pairs(matrix: sp.csr_array, users: Codes, items: Codes) -> Numbers:
    """Value of each pair; 0 where there is none. Fast where pairs of a user follow each other."""
    return _values(matrix.data, matrix.indices, matrix.indptr, matrix.shape[1], users, items)  # type: ignore[index] - of every sparse array


@kernel()
def _values(data, places, starts, columns, users, items):  # noqa: ANN001, ANN202
    """One row of the matrix is written out at a time: SciPy looks through it once for each pair."""
    values = np.zeros(len(users))
    of_row = np.zeros(columns)
    row = -1
    for at in range(len(users)):
        if users[at] != row:
            if row >= 0:
                of_row[places[starts[row] : starts[row + 1]]] = 0.0
            row = users[at]
            for place in range(starts[row], starts[row + 1]):
                of_row[places[place]] += data[place]
        values[at] = of_row[items[at]]
    return values
