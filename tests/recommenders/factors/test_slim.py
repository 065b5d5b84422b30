"""SLIM solves its equations, and ranks where people have tastes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_interactions import tastes

from patron.recommenders import SLIM, RecentPopularity, evaluate, split


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.sampled_from([0.3, 3.0]))
def test_weights_are_at_the_least_squares_optimum_without_negative_ones(seed, regularisation):
    """Karush-Kuhn-Tucker: the gradient is 0 where a weight is above 0, and not below 0 elsewhere."""
    rng = np.random.default_rng(seed)
    owned = rng.random((30, 8)) < rng.uniform(0.1, 0.6, 8)
    owned[:2] = True
    user, item = np.nonzero(owned)
    fitted = SLIM(neighbours=8, regularisation=regularisation).fit(pa.table({"user_id": user, "item_id": item}))
    weights = fitted.similarities(np.arange(8)).toarray()
    x = owned.astype(np.float64)
    gradient = x.T @ (x @ weights - x) + regularisation * x.sum() / 8 * weights
    np.fill_diagonal(gradient, 0)
    assert (weights >= 0).all()
    assert not np.diagonal(weights).any()
    assert np.abs(gradient[weights > 0]).max(initial=0) < 0.05
    assert gradient.min() > -0.05


def test_slim_beats_popularity_where_people_have_tastes():
    learners = {"popular": RecentPopularity(), "slim": SLIM()}
    _, row = evaluate(*split(tastes(), "leave-last"), learners).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0


def test_only_near_items_speak_for_an_item():
    rows = tastes()
    few, many = (SLIM(neighbours=count).fit(rows).similarities(np.arange(60)) for count in (2, 60))
    assert np.bincount(few.indices).max() <= 2 < np.bincount(many.indices).max()
    assert few.sum() == pytest.approx(abs(few).sum())
