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
    without = _whole(banned.indices), _whole(banned.indptr)
    return BestItems(*_best(*_arrays(scores), *without, allowed, popular, fill, k))


def best_of_all_and_new(scores: Scores, before: sp.csr_array, allowed: Flags, k: int) -> Codes:
    """The k best items of each row, then the k best that are not in the row of `before`, in no order; -1 is none."""
    return _best_of_all_and_new(*_arrays(scores), _whole(before.indices), _whole(before.indptr), allowed, k)


def _arrays(scores: Scores) -> tuple[Numbers, Codes, Codes, bool]:
    """Values, their items, where each row starts, and whether items follow from the place."""
    if isinstance(scores, np.ndarray):
        values = np.ascontiguousarray(scores, dtype=np.float64).ravel()
        return values, np.empty(0, dtype=np.int64), np.arange(len(scores) + 1) * scores.shape[1], True
    return scores.data.astype(np.float64, copy=False), _whole(scores.indices), _whole(scores.indptr), False


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
def _best_of_all_and_new(values, places, starts, dense, before, before_starts, allowed, k):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    rows = len(starts) - 1
    best, of_best = np.full((rows, 2 * k), -1, dtype=np.int64), np.empty(2 * k)
    old, of_old = np.empty(len(allowed), dtype=np.int64), np.empty(len(allowed))
    stamp = np.full(len(allowed), -1, dtype=np.int64)
    for row in range(rows):
        for place in range(before_starts[row], before_starts[row + 1]):
            stamp[before[place]] = row
        new, old_count = 0, 0
        for place in range(starts[row], starts[row + 1]):
            score = values[place]
            item = place - starts[row] if dense else places[place]
            if stamp[item] == row:
                old[old_count], of_old[old_count] = item, score
                old_count += 1
            elif (new < k or score >= of_best[k]) and score > -np.inf and allowed[item]:
                new = push(best[row, k:], of_best[k:], new, item, score)
        # why: the best of all are old, or among the best new ones
        best[row, :k], of_best[:k], count = best[row, k:], of_best[k:], new
        for at in range(old_count):
            if of_old[at] > -np.inf and allowed[old[at]]:
                count = push(best[row, :k], of_best[:k], count, old[at], of_old[at])
    return best


@kernel(nogil=True)
def push(best, of_best, count, item, score):  # noqa: ANN001, ANN201
    """Put an item among the k best of a heap, whose first is the worst, a tie the higher item; return the count."""
    k = len(best)
    if count < k:
        at = count
        while at > 0:
            parent = (at - 1) // 2
            if of_best[parent] < score or (of_best[parent] == score and best[parent] > item):
                break
            best[at], of_best[at] = best[parent], of_best[parent]
            at = parent
        best[at], of_best[at] = item, score
        return count + 1
    if score < of_best[0] or (score == of_best[0] and item > best[0]):
        return count
    at, child = 0, 1
    while child < k:
        other = child + 1
        if other < k and (
            of_best[other] < of_best[child] or (of_best[other] == of_best[child] and best[other] > best[child])
        ):
            child = other
        if score < of_best[child] or (score == of_best[child] and item > best[child]):
            break
        best[at], of_best[at] = best[child], of_best[child]
        at, child = child, 2 * child + 1
    best[at], of_best[at] = item, score
    return count


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
