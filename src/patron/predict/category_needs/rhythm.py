"""The rhythm of purchases: how many, how long ago, how far apart; by key, from days before a cutoff."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.predict.category_needs.purchases import DatedAmounts, Integers
from patron.schema.numbers import Numbers

WINDOW_DAYS = 30
MAX_WINDOWS = 12
"""Windows of 30 days before a cutoff in which a purchase counts for a customer's own share."""


@dataclass(frozen=True)
class Rhythm:
    """One row per key with a purchase, keys rising; days are those before the cutoff."""

    key: Integers
    day_count: Numbers
    """Days with a purchase."""
    last_ago: Numbers
    first_ago: Numbers
    squared_gaps: Numbers
    """Sum of the squared days between purchases."""
    days_30: Numbers
    """Days with a purchase in the last 30."""
    days_90: Numbers
    days_365: Numbers
    window_count: Numbers
    """Of the last 12 windows of 30 days, those with a purchase."""

    @classmethod
    def of(cls, known: DatedAmounts) -> Self:
        """Count the purchases known before a cutoff, refunds left out; two on a day are one."""
        bought = known.where(~known.is_refund)
        key, ago = bought.key, bought.ordered_ago
        if not len(key):
            return cls(key, *(np.zeros(0) for _ in range(8)))
        is_new = np.concatenate([[True], (key[1:] != key[:-1]) | (ago[1:] != ago[:-1])])
        key, ago = key[is_new], ago[is_new].astype(np.float64)
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        ends = np.append(starts[1:], len(key)) - 1
        gap = np.concatenate([[0.0], ago[:-1] - ago[1:]])
        gap[starts] = 0.0
        window = ago // WINDOW_DAYS
        opens = np.concatenate([[True], window[1:] != window[:-1]])
        opens[starts] = True
        counted = (gap**2, ago < 30, ago < 90, ago < 365, opens & (window < MAX_WINDOWS))
        sums = (np.add.reduceat(one.astype(np.float64), starts) for one in counted)
        counts = (ends - starts + 1).astype(np.float64)
        return cls(key[starts], counts, ago[ends], ago[starts], *sums)

    @property
    def gap_count(self) -> Numbers:
        """How many gaps there are between purchases."""
        return self.day_count - 1

    @property
    def gap_days(self) -> Numbers:
        """Sum of the gaps."""
        return self.first_ago - self.last_ago

    def at(self, keys: Integers, name: str, missing: float) -> Numbers:
        """A column by key; `missing` for keys without a purchase."""
        if not len(self.key):
            return np.full(len(keys), missing)
        place = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        return np.where(self.key[place] == keys, getattr(self, name)[place], missing)


def totals(amounts: DatedAmounts, keys: Integers, most_days: float = np.inf) -> Numbers:
    """What was paid less refunds by key, cents, of the days before the cutoff that are fewer than `most_days`.

    Keys rise, and may be there several times.
    """
    recent = amounts.where(amounts.ordered_ago < most_days)
    sums = np.concatenate([[0], np.cumsum(recent.paid_cents)])
    first, end = (np.searchsorted(recent.key, keys, side=side) for side in ("left", "right"))
    return (sums[end] - sums[first]).astype(np.float64)
