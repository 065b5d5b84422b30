"""The best items of a row: as sorting the whole row says, also among ties, and apart for what is new."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.recommenders.best_items import best_items, best_of_all_and_new
from patron.recommenders.combined.candidates import best_of_rows

ITEMS = 12
NO_ITEMS = np.empty(0, dtype=np.int64)


def sorted_items(scores, allowed, without, k):
    """The k best items of a row by sorting it; ties by the item's number."""
    items = [item for item in range(ITEMS) if allowed[item] and item not in without and scores[item] > -np.inf]
    return sorted(items, key=lambda item: (-scores[item], item))[:k]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), k=st.integers(1, ITEMS), levels=st.integers(1, 6), is_sparse=st.booleans())
def test_the_best_items_are_those_of_a_sorted_row(seed, k, levels, is_sparse):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (3, ITEMS)).astype(np.float64)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    allowed, had = rng.random(ITEMS) < 0.8, rng.random(scores.shape) < 0.3
    row, item = np.nonzero(scores > -np.inf)
    given_scores = sp.csr_array((scores[row, item], (row, item)), shape=scores.shape) if is_sparse else scores
    before = sp.csr_array(had.astype(float))
    both = best_of_all_and_new(given_scores, before, allowed, k)
    ordered = best_items(given_scores, before, allowed, NO_ITEMS, np.empty(0), k).items
    for at in range(len(scores)):
        new = sorted_items(scores[at], allowed, set(np.flatnonzero(had[at])), k)
        every = sorted_items(scores[at], allowed, set(), k)
        assert [one for one in ordered[at] if one >= 0] == new
        assert {one for one in both[at, k:] if one >= 0} == set(new)
        assert {one for one in both[at, :k] if one >= 0} == set(every)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_best_pairs_of_each_row_are_chosen_with_those_as_good_as_the_last(k):
    rng = np.random.default_rng(k)
    row = np.repeat([0, 2, 3], [4, 1, 30])
    scores = rng.integers(0, 8, len(row)).astype(np.float64)
    chosen = best_of_rows(row, scores, k)
    for one in np.unique(row):
        of_row = scores[row == one]
        last = np.sort(of_row)[::-1][min(k, len(of_row)) - 1]
        assert chosen[row == one].tolist() == (of_row >= last).tolist()
    assert not len(best_of_rows(row[:0], scores[:0], k))
