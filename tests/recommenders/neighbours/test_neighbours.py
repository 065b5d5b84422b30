"""Neighbours of items: exact products, and what each recommender of neighbours is for."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from made_interactions import DAY, habits, steps, table_of, tastes

from patron.recommenders import EASE, CoVisitation, ItemKNN, RecentPopularity, RP3beta, evaluate, split
from patron.recommenders.neighbours.neighbours import largest_products
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
    ties = largest_products(sp.csr_array(np.full((1, 1), 0.1)), sp.csr_array(np.ones((1, 9))), 4)
    assert ties.indices.tolist() == [0, 1, 2, 3]
    assert largest_products(left, right, 0).nnz == 0
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


@pytest.mark.parametrize("weighting", ["bm25", "tfidf", "cosine"])
@pytest.mark.parametrize("weight", [0.0, -1.0, 1e-300, 1e200])
def test_item_knn_has_finite_neighbours_whatever_the_weights(weighting, weight):
    rows = tastes(users=6)
    fitted = ItemKNN(weighting=weighting).fit(rows.append_column("weight", pa.array([weight] * len(rows))))
    assert np.isfinite(fitted.neighbours.data).all()
    assert fitted.neighbours.nnz == 0 or weight > 0


def test_a_weighting_that_does_not_exist_is_refused():
    with pytest.raises(BadInteractions, match="'tf' is not a valid weighting"):
        ItemKNN(weighting="tf").fit(tastes(users=5))  # type: ignore[arg-type]


def test_co_visitation_beats_item_knn_where_order_is_all_that_there_is_to_know():
    train, test = split(steps(), "leave-last")
    learners = {"knn": ItemKNN(), "undirected": CoVisitation(backward=1.0), "directed": CoVisitation()}
    _, undirected, directed = evaluate(train, test, learners, exclude_seen=False).to_pylist()
    assert directed["ndcg_cut_gain_low"] > 0.4
    assert directed["ndcg_cut_low"] > undirected["ndcg_cut_high"]


ROUTES = table_of(np.repeat([0, 1, 2], 2), np.array([0, 1, 0, 2, 0, 3]), np.array([0, 1, 0, 20, 0, 2]) * DAY)


def neighbours_of(item: str, rows: pa.Table = ROUTES, **settings: float) -> dict[str, float]:
    similar = CoVisitation(popularity_discount=0.0, half_life_days=10.0, **settings).fit(rows).similar([item])
    return dict(zip(similar["similar_id"].to_pylist(), similar["score"].to_pylist(), strict=True))


def test_what_follows_sooner_counts_more_and_what_comes_before_less():
    weights = {"i001": 0.5**0.1, "i002": 0.5**2, "i003": 0.5**0.2}
    assert neighbours_of("i000") == pytest.approx({name: one / sum(weights.values()) for name, one in weights.items()})
    assert neighbours_of("i001") == pytest.approx({"i000": 1.0})
    assert neighbours_of("i001", backward=0.0) == {}


def test_without_times_the_order_of_the_rows_is_that_of_the_sequence():
    assert list(neighbours_of("i000", ROUTES.drop_columns("at"), backward=0.0)) == ["i001", "i002", "i003"]
    assert neighbours_of("i003", ROUTES.drop_columns("at"), backward=0.0) == {}


def test_events_count_as_they_are_weighted():
    events = ROUTES.append_column("event", pa.array(["view", "view", "view", "return", "view", "purchase"]))
    weights = {"purchase": 3.0, "return": 0.0}
    fitted = CoVisitation(popularity_discount=0.0, event_weights=weights).fit(events)
    assert fitted.similar(["i000"])["similar_id"].to_pylist() == ["i003", "i001"]


def test_rp3beta_finds_tastes_and_its_beta_shows_what_is_less_popular():
    train, test = split(tastes(), "leave-last")
    learners = {"popular": RecentPopularity(), "walks": RP3beta(), "discounted": RP3beta(beta=0.8)}
    _, walks, discounted = evaluate(train, test, learners).to_pylist()
    assert walks["ndcg_cut_gain_low"] > 0.02
    assert discounted["novelty"] > walks["novelty"]


def test_rp3beta_is_the_product_of_its_steps():
    fitted = RP3beta(neighbours=80, alpha=0.6, beta=0.4).fit(habits(users=20))
    counts = fitted.catalogue.history.toarray()
    to_user, to_item = (counts / counts.sum(axis=0)) ** 0.6, (counts / counts.sum(axis=1, keepdims=True)) ** 0.6
    assert fitted.neighbours.toarray() == pytest.approx(to_user.T @ to_item / counts.sum(axis=0) ** 0.4, rel=1e-5)


@pytest.mark.parametrize("users", [20, 200])
def test_ease_is_its_closed_form(users):
    """Where users are fewer than items too, when the smaller side is inverted."""
    fitted = EASE(regularisation=2.0).fit(tastes(users=users))
    owned = np.sign(fitted.catalogue.history.toarray())
    inverse = np.linalg.inv(owned.T @ owned + 2 * owned.sum(axis=0).mean() * np.eye(owned.shape[1]))
    weights = -inverse / np.diagonal(inverse)
    np.fill_diagonal(weights, 0)
    assert fitted.weights == pytest.approx(weights, abs=1e-6)


def test_ease_finds_tastes_also_where_items_are_beyond_its_head():
    rows = tastes(users=300)
    train, test = split(rows, "leave-last")
    learners = {"popular": RecentPopularity(), "whole": EASE(), "head": EASE(head=30)}
    _, whole, head = evaluate(train, test, learners).to_pylist()
    assert whole["ndcg_cut_gain_low"] > 0.02
    assert head["ndcg_cut_gain_low"] > 0.02
    fitted = EASE(head=30).fit(rows)
    in_head = np.isin(np.arange(len(fitted.catalogue.items)), fitted.head)
    kept = fitted.neighbours.toarray()
    assert not kept[np.ix_(in_head, in_head)].any()
    assert kept[np.ix_(in_head, ~in_head)].any()
    assert kept[np.ix_(~in_head, ~in_head)].any()
