"""What several recommenders would show, side by side: the union of their best items with each one's score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Flags, Scores, best_of_all_and_new
from patron.recommenders.combined.pair_features import value_of_pairs
from patron.recommenders.interactions import Codes
from patron.recommenders.recommender import FittedRecommender, batches
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

MAX_CANDIDATES = 100
"""Of each recommender, for what a user had before and for what is new to them; more where longer lists are needed."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of a user (by place) and an item, by user, then item."""

    row: Codes
    item: Codes
    is_repeat: Flags
    """Whether the user had the item before."""
    shares: Numbers
    """Pairs x recommenders: the score as a share of the user's best one of any item, 0 where it is below 0."""

    def where(self, pairs: Flags | slice) -> Self:
        """Some of the pairs."""
        return type(self)(self.row[pairs], self.item[pairs], self.is_repeat[pairs], self.shares[pairs])


def candidates_of(
    fitted: Sequence[FittedRecommender], users: Codes, history: sp.csr_array, allowed: Flags, k: int = MAX_CANDIDATES
) -> Candidates:
    """The best allowed items of each recommender for each user, old and new ones apart."""
    scores = [one.scores(users) for one in fitted]
    before, count = history[users], history.shape[1]  # type: ignore[index] - of every sparse array
    length = min(max(k, MAX_CANDIDATES), count)
    lists = [best_of_all_and_new(score, before, allowed, length) for score in scores]
    row, item = _union_of_rows(np.concatenate(lists, axis=1), count)
    shares = np.column_stack([_values(score, row, item) / _best_scores(score)[row] for score in scores])
    return Candidates(row, item, _values(before, row, item) > 0, np.clip(shares, 0.0, 1.0))


def candidates_in_batches(fitted: Sequence[FittedRecommender], users: Codes, history: sp.csr_array) -> Candidates:
    """As `candidates_of` all items, some users at a time, so that scores fit into memory."""
    count = history.shape[1]  # type: ignore[index] - of every sparse array
    every_item = np.ones(count, dtype=np.bool_)
    parts = []
    rows = 0
    for batch in batches(users, count * len(fitted)):
        part = candidates_of(fitted, batch, history, every_item)
        parts.append((part.row + rows, part.item, part.is_repeat, part.shares))
        rows += len(batch)
    return Candidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@kernel(nogil=True)
def best_of_rows(row, scores, k):  # noqa: ANN001, ANN201
    """Which pairs are among the k best of their row, with those as good as the last of them; pairs are by row."""
    flags = np.ones(len(row), dtype=np.bool_)
    start = 0
    for end in range(1, len(row) + 1):
        if end < len(row) and row[end] == row[start]:
            continue
        if end - start > k:
            last = -np.partition(-scores[start:end], k - 1)[k - 1]
            flags[start:end] = scores[start:end] >= last
        start = end
    return flags


@kernel(nogil=True)
def _union_of_rows(lists, item_count):  # noqa: ANN001, ANN202
    """Row and item of each pair in a table of lists, once each, in order of both; -1 is no item."""
    rows, length = lists.shape
    row, item = np.empty(lists.size, dtype=np.int64), np.empty(lists.size, dtype=np.int64)
    stamp = np.full(item_count, -1, dtype=np.int64)
    count = 0
    for at in range(rows):
        first = count
        for place in range(length):
            found = lists[at, place]
            if found >= 0 and stamp[found] != at:
                stamp[found] = at
                row[count], item[count] = at, found
                count += 1
        item[first:count].sort()
    return row[:count].copy(), item[:count].copy()


def _values(scores: Scores, row: Codes, item: Codes) -> Numbers:
    """Score of each pair; 0 where there is none."""
    if isinstance(scores, np.ndarray):
        values = scores[row, item].astype(np.float64)
        return np.where(np.isfinite(values), values, 0.0)
    return value_of_pairs(scores, row, item)


def _best_scores(scores: Scores) -> Numbers:
    """The best score of each row; 1 where none is above 0."""
    if isinstance(scores, np.ndarray):
        best = scores.max(axis=1)
    else:
        best = np.zeros(len(scores.indptr) - 1)
        np.maximum.at(best, np.repeat(np.arange(len(best)), np.diff(scores.indptr)), scores.data)
    return np.where(best > 0, best, 1.0).astype(np.float64)
