"""What several recommenders would show, side by side: the union of their best items with each one's score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from patron.recommenders.best_items import Flags, Scores, best_items
from patron.recommenders.interactions import Codes
from patron.recommenders.learner import Fitted
from patron.schema.numbers import Numbers

MOST_CANDIDATES = 100
"""Of each recommender, for what a user had before and for what is new to them."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of a user (a row of those asked for) and an item, by row, then item."""

    row: Codes
    item: Codes
    is_repeat: Flags
    """Whether the user had the item before."""
    shares: Numbers
    """Pairs x recommenders: the score as a share of the best candidate's of the row, 0 where it is below 0."""


def candidates_of(fitted: Sequence[Fitted], users: Codes, history: sp.csr_array) -> Candidates:
    """The best items of each recommender for each user, old and new ones apart."""
    scores = [one.scores(users) for one in fitted]
    before = history[users]
    count = before.shape[1]
    pairs = np.unique(np.concatenate([_best_pairs(one, before, count) for one in scores]))
    row, item = pairs // count, pairs % count
    is_repeat = _values(before, row, item) > 0
    shares = np.column_stack([_shares(_values(one, row, item), row, len(users)) for one in scores])
    return Candidates(row, item, is_repeat, shares)


def _best_pairs(scores: Scores, before: sp.csr_array, count: int) -> Codes:
    """Row * items + item of the best items of all, and of those that are new."""
    everything, nothing = np.ones(count, dtype=np.bool_), np.empty(0, dtype=np.int64)
    k = min(MOST_CANDIDATES, count)
    rows = np.arange(len(before.indptr) - 1)[:, None] * count
    parts = []
    for banned in (sp.csr_array(before.shape), before):
        items = best_items(scores, banned, everything, nothing, np.empty(0), k).items
        parts.append((rows + items)[items >= 0])
    return np.concatenate(parts)


def _values(scores: Scores, row: Codes, item: Codes) -> Numbers:
    """Score of each pair; 0 where there is none."""
    if isinstance(scores, np.ndarray):
        values = scores[row, item].astype(np.float64)
        return np.where(np.isfinite(values), values, 0.0)
    return np.asarray(scores[row, item], dtype=np.float64).ravel()


def _shares(values: Numbers, row: Codes, rows: int) -> Numbers:
    best = np.zeros(rows)
    np.maximum.at(best, row, values)
    return np.clip(values / np.where(best > 0, best, 1.0)[row], 0.0, 1.0)
