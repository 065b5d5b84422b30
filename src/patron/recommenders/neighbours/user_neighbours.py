"""Users who are near a user, in blocks, among a bounded number of others; and users' baskets, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.recommender import MAX_CELLS
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class Baskets:
    """The rows of a user at one time are a basket: its different items, one row each.

    Rows of weight 0 or less do not count.
    """

    user: Codes
    item: Codes
    baskets_ago: Codes
    """0 for the user's newest basket."""
    basket_count: Codes
    """Baskets of each user, by number."""

    @classmethod
    def of(cls, known: Interactions) -> "Baskets":
        """Number each user's baskets."""
        known = known.where(known.weight > 0)
        order = np.argsort(known.user, kind="stable")  # rows are in order of time, and stay so within a user
        user, day = known.user[order], known.day[order]
        is_new = np.append(True, (np.diff(user) != 0) | (np.diff(day) > 0))[: len(user)]
        number = np.cumsum(is_new) - 1
        pairs = np.unique(number * len(known.items) + known.item[order])
        basket, item = pairs // len(known.items), pairs % len(known.items)
        owner = user[is_new]
        basket_count = np.bincount(owner, minlength=len(known.users))
        last = np.cumsum(basket_count) - 1
        return cls(owner[basket], item, last[owner[basket]] - basket, basket_count)


@dataclass(frozen=True, eq=False)
class Others:
    """Vectors of the users who can be neighbours."""

    rows: sp.csr_array
    """Others x items."""
    columns: sp.csr_array
    """Items x others: the same."""
    squared_lengths: Numbers

    @classmethod
    def of(cls, rows: sp.csr_array) -> "Others":
        """What every batch of users is compared with."""
        return cls(rows, sp.csr_array(rows.T), squared_lengths(rows))

    def products(self, rows: sp.csr_array) -> Iterator[tuple[slice, Numbers]]:
        """Some rows at a time: which, and their products with each other user, so that few cells are held."""
        size = max(MAX_CELLS // max(len(self.squared_lengths), 1), 1)
        for start in range(0, len(rows.indptr) - 1, size):
            yield slice(start, start + size), (rows[start : start + size] @ self.columns).toarray()


def newest_users(known: Interactions, most: int) -> Codes:
    """So many users at most: those whose newest row that counts is the youngest; in order of their numbers."""
    known = known.where(known.weight > 0)
    newest = np.argsort(-known.last_day, kind="stable")[:most]
    return np.sort(newest[known.last_day[newest] > -np.inf]).astype(np.int64)


def squared_lengths(rows: sp.csr_array) -> Numbers:
    """Squared Euclidean length of each row."""
    return np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()


def nearest(closeness: Numbers, count: int) -> Codes:
    """Columns of the so many closest of each row; all of them where there are no more."""
    if count >= closeness.shape[1]:
        return np.tile(np.arange(closeness.shape[1]), (len(closeness), 1))
    return np.argpartition(-closeness, count - 1, axis=1)[:, :count]


def weights_of_neighbours(columns: Codes, weights: Numbers, shape: tuple[int, int]) -> sp.csr_array:
    """Rows x others: the weight of each neighbour, without those of weight 0."""
    starts = np.arange(len(columns) + 1) * columns.shape[1]
    matrix = sp.csr_array((weights.ravel(), columns.ravel(), starts), shape=shape)
    matrix.eliminate_zeros()
    return matrix
