"""What every fitted recommender knows: users, items, who has seen what, and what is popular."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from patron.recommenders.interactions import Codes, Interactions
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

RECENT_DAYS = 28.0
"""Popularity counts the users of this window first; those of the time before it only where the window says nothing."""
OLDER_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Users and items by number, and the history that recommendations leave out."""

    users: pa.Array
    items: pa.Array
    history: sp.csr_array
    """Users x items: how many rows there are."""
    popularity: Numbers
    """Share of the most popular item's recent users, 0 to 1, for each item."""
    end_day: float
    """Day of the newest row."""
    has_times: bool
    """Whether rows are of different times."""

    @classmethod
    def of(cls, known: Interactions, recent_days: float = RECENT_DAYS) -> Self:
        """Count who has seen what, and the users of each item lately."""
        popular = popularity(known, recent_days)
        return cls(known.users, known.items, known.matrix(), popular, known.end_day, known.has_times)

    def fold_rows(self, known: Interactions) -> Self:
        """The same items, with the users of other rows."""
        return replace(self, users=known.users, history=known.matrix())

    @cached_property
    def popular(self) -> Codes:
        """Items, most popular first; ties by id."""
        return np.argsort(-self.popularity, kind="stable").astype(np.int64)


def popularity(known: Interactions, recent_days: float) -> Numbers:
    """Users of each item within so many days of the end, as a share of the most popular item's.

    Rows of weight 0 or less do not count. Raises NotEnoughData without any row.
    """
    if not len(known):
        raise NotEnoughData("no row to learn from", where="interactions", todo="Pass some interactions.")
    is_liked = known.weight > 0
    recent = users_of_items(known.where(is_liked & (known.days_before_end <= recent_days)))
    counts = recent + OLDER_WEIGHT * users_of_items(known.where(is_liked))
    return counts / max(float(counts.max(initial=0.0)), OLDER_WEIGHT)


def users_of_items(known: Interactions) -> Numbers:
    """How many different users each item has."""
    return np.bincount(known.matrix().indices, minlength=len(known.items)).astype(np.float64)
