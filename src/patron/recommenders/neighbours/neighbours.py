"""Items next to each item: sparse item-item matrices with the best of each row, and scores from users' histories."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from patron.recommenders.best_items import Flags, Scores, insert
from patron.recommenders.interactions import Codes, Interactions
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

MAX_HALVINGS = 100.0
"""Older rows count no less than after so many half-lives, so that nothing vanishes."""


class ProfileLearner(Recommender):
    """Learns what items say for others, and sums it over what a user had."""

    @abstractmethod
    def profiles(self, known: Interactions) -> sp.csr_array:
        """Users x items: how much what a user had counts."""


@dataclass(frozen=True, eq=False)
class FittedProfiles(FittedRecommender):
    """Scores are a user's profile times what each of its entries says for items."""

    profiles: sp.csr_array
    """Users x rows of `neighbours`: how much each row counts for a user."""
    neighbours: sp.csr_array
    """Rows x items: what each row says for items; the first rows are those of the items, in their order."""

    def scores(self, users: Codes) -> Scores:
        """Sum of the similarities to what each user had, weighted as the profiles are; what is near to none is none."""
        rows = sp.csr_array(self.profiles[users])
        of_rows, of_items = ((one.indptr, one.indices, one.data) for one in (rows, self.neighbours))
        return _sums(*of_rows, *of_items, np.full((len(users), len(self.catalogue.items)), -np.inf))

    def candidate_scores(self, users: Codes, allowed: Flags, k: int) -> Scores:  # noqa: ARG002 - of all that is near
        """As `scores`, of what is near to something alone: far less than all items where there are many."""
        rows = sp.csr_array(self.profiles[users])
        of_rows, of_items = ((one.indptr, one.indices, one.data) for one in (rows, self.neighbours))
        sums = _near_sums(*of_rows, *of_items, len(self.catalogue.items))
        return sp.csr_array(sums, shape=(len(users), len(self.catalogue.items)))

    def similarities(self, items: Codes) -> Scores:
        """The kept neighbours of each item."""
        return sp.csr_array(self.neighbours[items])


@dataclass(frozen=True, eq=False)
class FittedNeighbours(FittedProfiles):
    """Scores are sums over what a user had, each times its neighbours' similarity, the best of each item."""

    learner: "ProfileLearner"

    def fold_rows(self, known: Interactions) -> Self:
        """The same neighbours of what other users had."""
        return replace(self, catalogue=self.catalogue.fold_rows(known), profiles=self.learner.profiles(known))


def recent_profiles(known: Interactions, half_life_days: float) -> sp.csr_array:
    """Users x items: weights of a user's rows, halved with each half-life before that user's last row."""
    halvings = np.minimum(known.days_before_last / half_life_days, MAX_HALVINGS)
    return positive_matrix(known, 0.5**halvings)


def newest_profiles(known: Interactions, half_life_days: float) -> sp.csr_array:
    """Users x items: 1 for what a user had last, halved with each half-life between its newest row and that."""
    return recent_profiles(_newest_rows(known), half_life_days)


def _newest_rows(known: Interactions) -> Interactions:
    """The newest row of each user and item, all of the same weight."""
    known = known.where(known.weight > 0)
    pairs = known.user * len(known.items) + known.item
    is_newest = np.zeros(len(known), dtype=np.bool_)
    is_newest[len(known) - 1 - np.unique(pairs[::-1], return_index=True)[1]] = True
    newest = known.where(is_newest)
    return replace(newest, weight=np.ones(len(newest)))


def positive_matrix(known: Interactions, factor: Numbers | float = 1.0) -> sp.csr_array:
    """Users x items: weights of the rows times a factor; rows of weight 0 or less do not count."""
    matrix = known.matrix(np.maximum(known.weight, 0) * factor)
    matrix.eliminate_zeros()
    return matrix


def largest_products(left: sp.csr_array, right: sp.csr_array, count: int) -> sp.csr_array:
    """The `count` largest positive values of each row of `left @ right`; ties by the column's number.

    One row of the product is held at a time (Gustavson, 1978), so that memory grows with rows x count.
    """
    columns = right.shape[1]  # type: ignore[index] - of every sparse array
    arrays = *_arrays(left), *_arrays(right)
    return as_sparse(*_largest_products(arrays, columns, min(count, columns)), columns)


def _arrays(matrix: sp.csr_array) -> tuple[Codes, Codes, Numbers]:
    """Starts, columns and values."""
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(np.float64)


def as_sparse(best: npt.NDArray[Any], of_best: npt.NDArray[Any], columns: int) -> sp.csr_array:
    """Rows of best items, -1 after the last, as a sparse matrix."""
    is_item = best >= 0
    starts = np.concatenate([[0], np.cumsum(is_item.sum(axis=1))])
    return sp.csr_array((of_best[is_item], best[is_item], starts), shape=(len(best), columns))


@kernel(nogil=True)
def _sums(starts, places, values, of_starts, of_places, of_values, sums):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Products of rows with a matrix, dense, where they have a term; SciPy copies the whole matrix to mix its types."""
    for row in range(len(starts) - 1):
        for place in range(starts[row], starts[row + 1]):
            value, middle = np.float64(values[place]), places[place]
            for at in range(of_starts[middle], of_starts[middle + 1]):
                column, product = of_places[at], value * of_values[at]
                before = sums[row, column]
                sums[row, column] = product if before == -np.inf else before + product
    return sums


@kernel(nogil=True)
def _near_sums(starts, places, values, of_starts, of_places, of_values, columns):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """As `_sums`, in compressed rows: values, columns in the order in which they came, and starts."""
    rows = len(starts) - 1
    ends, most = np.zeros(rows + 1, dtype=np.int64), 0
    for row in range(rows):
        size = 0
        for middle in places[starts[row] : starts[row + 1]]:
            size += of_starts[middle + 1] - of_starts[middle]
        most += min(size, columns)
    near, of_near = np.empty(most, dtype=np.int64), np.empty(most)
    place_of = np.full(columns, -1, dtype=np.int64)
    size = 0
    for row in range(rows):
        first = size
        for place in range(starts[row], starts[row + 1]):
            value, middle = values[place], places[place]
            for at in range(of_starts[middle], of_starts[middle + 1]):
                column, product = of_places[at], np.float64(value) * of_values[at]
                if place_of[column] < first:
                    place_of[column] = size
                    near[size] = column
                    of_near[size] = product
                    size += 1
                else:
                    of_near[place_of[column]] += product
        ends[row + 1] = size
    return of_near[:size], near[:size], ends


@kernel(nogil=True)
def _largest_products(arrays, columns, count):  # noqa: ANN001, ANN202
    starts, places, values, of_starts, of_places, of_values = arrays
    rows = len(starts) - 1
    best, of_best = np.full((rows, count), -1, dtype=np.int32), np.zeros((rows, count), dtype=np.float32)
    sums = np.zeros(columns)
    is_touched = np.zeros(columns, dtype=np.bool_)
    touched = np.empty(columns, dtype=np.int64)
    for row in range(rows):
        size = 0
        for place in range(starts[row], starts[row + 1]):
            value, middle = values[place], places[place]
            for at in range(of_starts[middle], of_starts[middle + 1]):
                column = of_places[at]
                if not is_touched[column]:
                    is_touched[column] = True
                    touched[size] = column
                    size += 1
                sums[column] += value * of_values[at]
        take_best(best[row], of_best[row], sums, is_touched, touched[:size])
    return best, of_best


@kernel(nogil=True)
def take_best(best, of_best, sums, is_touched, touched):  # noqa: ANN001, ANN201
    """Move the largest positive sums into a row of best items, and clear the sums."""
    length = 0
    for column in touched:
        score = np.float32(sums[column])  # as it is kept, so that ties are ties
        if score > 0 and len(best) and (length < len(best) or score >= of_best[-1]):
            length = insert(best, of_best, length, column, score)
        sums[column], is_touched[column] = 0.0, False
