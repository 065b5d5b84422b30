"""Users who are near a user, in blocks, among a bounded number of others; and users' baskets, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.learner import MOST_CELLS
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class Baskets:
    """The rows of a user at one time are a basket: its different items, one row each."""

    user: Codes
    item: Codes
    baskets_ago: Codes
    """0 for the user's newest basket."""
    basket_count: Codes
    """Baskets of each user, by number."""

    @classmethod
    def of(cls, known: Interactions) -> "Baskets":
        """Number each user's baskets."""
        order = np.argsort(known.user, kind="stable")  # rows are in order of time, and stay so within a user
        user, day = known.user[order], known.day[order]
        is_new = np.append(True, (np.diff(user) != 0) | (np.diff(day) > 0))
        number = np.cumsum(is_new) - 1
        pairs = np.unique(number * len(known.items) + known.item[order])
        basket, item = pairs // len(known.items), pairs % len(known.items)
        owner = user[is_new]
        basket_count = np.bincount(owner, minlength=len(known.users))
        last = np.cumsum(basket_count) - 1
        return cls(owner[basket], item, last[owner[basket]] - basket, basket_count)


def newest_users(known: Interactions, most: int) -> Codes:
    """So many users at most: those whose newest row is the youngest; in order of their numbers."""
    last = np.full(len(known.users), -np.inf)
    np.maximum.at(last, known.user, known.day)
    return np.sort(np.argsort(-last, kind="stable")[:most]).astype(np.int64)


def products(rows: sp.csr_array, others: sp.csr_array) -> Iterator[tuple[slice, Numbers]]:
    """Some rows at a time: which, and their products with each other row, so that few cells are held."""
    row_count, other_count = len(rows.indptr) - 1, len(others.indptr) - 1
    size, columns = max(MOST_CELLS // max(other_count, 1), 1), sp.csr_array(others.T)
    for start in range(0, row_count, size):
        yield slice(start, start + size), (rows[start : start + size] @ columns).toarray()


def squared_lengths(rows: sp.csr_array) -> Numbers:
    """Squared Euclidean length of each row."""
    return np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()


def nearest(closeness: Numbers, count: int) -> Codes:
    """Columns of the so many closest of each row; all of them where there are no more."""
    if count >= closeness.shape[1]:
        return np.tile(np.arange(closeness.shape[1]), (len(closeness), 1))
    return np.argpartition(-closeness, count - 1, axis=1)[:, :count]


def weights_of_neighbours(columns: Codes, weights: Numbers, shape: tuple[int, int]) -> sp.csr_array:
    """Rows x others: the weight of each neighbour, without those that weigh nothing."""
    starts = np.arange(0, columns.size + 1, columns.shape[1] or 1)
    matrix = sp.csr_array((weights.ravel(), columns.ravel(), starts[: len(columns) + 1]), shape=shape)
    matrix.eliminate_zeros()
    return matrix
