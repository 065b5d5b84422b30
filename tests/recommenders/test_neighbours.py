"""Neighbours of items: exact products, and what each recommender of neighbours is for."""

import numpy as np
import pytest
import scipy.sparse as sp

from made_interactions import habits, tastes
from patron.recommenders import ItemKNN, RecentPopularity, evaluate, split
from patron.recommenders.neighbours import largest_products
from patron.schema.errors import BadInteractions


def random_sparse(rows: int, columns: int, seed: int) -> sp.csr_array:
    return sp.random_array((rows, columns), density=0.2, rng=np.random.default_rng(seed), format="csr")


def test_largest_products_are_those_of_the_whole_product():
    left, right = random_sparse(30, 40, 0), random_sparse(40, 50, 1)
    whole, kept = (left @ right).toarray(), largest_products(left, right, 5).toarray()
    for of_row, of_kept in zip(whole, kept, strict=True):
        largest = np.argsort(-of_row, kind="stable")[:5]
        largest = largest[of_row[largest] > 0]
        assert sorted(np.flatnonzero(of_kept)) == sorted(largest)
        assert of_kept[largest] == pytest.approx(of_row[largest], rel=1e-6)
    assert (largest_products(left, right, 99).toarray() > 0).sum() == (whole > 0).sum()


@pytest.mark.parametrize("weighting", ["bm25", "tfidf", "cosine"])
def test_item_knn_beats_popularity_where_users_have_tastes(weighting):
    train, test = split(tastes(), "leave-last")
    _, knn = evaluate(train, test, {"popular": RecentPopularity(), "knn": ItemKNN(weighting=weighting)}).to_pylist()
    assert knn["ndcg_cut_gain_low"] > 0.02


def test_item_knn_of_cosine_is_that_of_numpy():
    rows = habits(users=20)
    fitted = ItemKNN(neighbours=80, weighting="cosine").fit(rows)
    counts = fitted.catalogue.history.toarray()
    unit = counts / np.linalg.norm(counts, axis=0)
    assert fitted.neighbours.toarray() == pytest.approx(unit.T @ unit, abs=1e-6)


def test_a_weighting_that_does_not_exist_is_refused():
    with pytest.raises(BadInteractions, match="'tf' is no weighting"):
        ItemKNN(weighting="tf").fit(tastes(users=5))  # type: ignore[arg-type]
