"""The best items of each row of scores, without what is not allowed, filled up with what is popular."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from patron.recommenders.interactions import Codes
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

Flags = npt.NDArray[np.bool_]
Scores = Numbers | sp.csr_array
"""One row per user (or item), one column per item: higher is better. -inf, and what a sparse matrix lacks, are no
candidates."""


@dataclass(frozen=True, eq=False)
class BestItems:
    """Items and scores of each row, best first; -1 after the last item of a shorter row."""

    items: Codes
    scores: Numbers


def best_items(
    scores: Scores, banned: sp.csr_array, allowed: Flags, popular: Codes, fill: Numbers, k: int
) -> BestItems:
    """The k best items of each row, none of which is in the row of `banned`; ties by the item's number.

    Where candidates are fewer, items of `popular` follow in their order, with their score in `fill`; `popular` may be
    empty.
    """
    is_dense = isinstance(scores, np.ndarray)
    if is_dense:
        values, places = np.ascontiguousarray(scores, dtype=np.float64).ravel(), np.empty(0, dtype=np.int64)
        starts = np.arange(len(scores) + 1, dtype=np.int64) * scores.shape[1]
    else:
        values = scores.data.astype(np.float64)
        places = _whole(scores.indices)
        starts = _whole(scores.indptr)
    without = _whole(banned.indices), _whole(banned.indptr)
    return BestItems(*_best(values, places, starts, is_dense, *without, allowed, popular, fill, k))


def append_missing(first: BestItems, others: BestItems) -> BestItems:
    """The items of each row, then those of the others' row that are not among them; -1 after the last one."""
    return BestItems(*_append_missing(first.items, first.scores, others.items, others.scores))


def _whole(values: npt.NDArray[Any]) -> Codes:
    return values.astype(np.int64, copy=False)


@kernel(nogil=True)
def _best(values, places, starts, dense, banned, banned_starts, allowed, popular, fill, k):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    rows = len(starts) - 1
    best, of_best = np.full((rows, k), -1, dtype=np.int64), np.full((rows, k), -np.inf)
    stamp = np.full(len(allowed), -1, dtype=np.int64)
    for row in range(rows):
        for place in range(banned_starts[row], banned_starts[row + 1]):
            stamp[banned[place]] = row
        count = 0
        for place in range(starts[row], starts[row + 1]):
            score = values[place]
            if not (score > -np.inf) or (count == k and score < of_best[row, k - 1]):
                continue
            item = place - starts[row] if dense else places[place]
            if allowed[item] and stamp[item] != row:
                count = insert(best[row], of_best[row], count, item, score)
        for at in range(count):
            stamp[best[row, at]] = row
        for at in range(len(popular)):
            if count == k:
                break
            item = popular[at]
            if allowed[item] and stamp[item] != row:
                best[row, count], of_best[row, count] = item, fill[at]
                count += 1
    return best, of_best


@kernel(nogil=True)
def insert(best, of_best, count, item, score):  # noqa: ANN001, ANN201
    """Put an item in its place; return how many there are."""
    k = len(best)
    if count == k and (score < of_best[k - 1] or (score == of_best[k - 1] and item > best[k - 1])):
        return count
    at = count if count < k else k - 1
    while at > 0 and (of_best[at - 1] < score or (of_best[at - 1] == score and best[at - 1] > item)):
        best[at], of_best[at] = best[at - 1], of_best[at - 1]
        at -= 1
    best[at], of_best[at] = item, score
    return min(count + 1, k)


@kernel(nogil=True)
def _append_missing(first, of_first, others, of_others):  # noqa: ANN001, ANN202
    rows = len(first)
    k = first.shape[1]
    more = others.shape[1]
    items, scores = np.full((rows, k + more), -1, dtype=np.int64), np.full((rows, k + more), -np.inf)
    for row in range(rows):
        count = 0
        for at in range(k):
            if first[row, at] >= 0:
                items[row, count], scores[row, count] = first[row, at], of_first[row, at]
                count += 1
        for at in range(more):
            item = others[row, at]
            if item >= 0 and not (first[row] == item).any():
                items[row, count], scores[row, count] = item, of_others[row, at]
                count += 1
    return items, scores
