"""The self-attentive network; its tests run where torch is installed, one without and one of its input everywhere."""

import sys

import numpy as np
import pytest
from made_interactions import steps, table_of, tastes

from patron.recommenders import LEARNERS, RecentPopularity, SelfAttention, evaluate, load, split
from patron.recommenders.interactions import Interactions
from patron.recommenders.networks.self_attention import last_items, sequences_of
from patron.schema.errors import MissingExtra

SMALL = SelfAttention(width=32, blocks=1, fewest_updates=200, learning_rate=0.003)


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"torch is not installed.*pip install 'patron\[deep\]'"):
        SMALL.fit(tastes(users=3))


def test_each_item_but_a_users_first_is_once_what_comes_next():
    user, item = np.array([0] * 7 + [1] * 3 + [2]), np.array([0, 1, 2, 3, 4, 5, 6, 6, 5, 4, 0])
    known = Interactions.of(table_of(user, item, np.arange(11)))
    rows = sequences_of(known, 3)
    assert sorted(rows.tolist()) == [[0, 7, 6, 5], [1, 2, 3, 4], [4, 5, 6, 7]]
    assert last_items(known, 3).tolist() == [[5, 6, 7], [7, 6, 5], [0, 0, 1]]


@pytest.mark.extra
def test_order_is_learned_the_same_each_time_and_kept_without_torch(import_extra, monkeypatch, tmp_path):
    import_extra("torch", "deep")
    train, test = split(steps(), "leave-last")
    learners = {"popular": RecentPopularity(), "als": LEARNERS["als"](factors=16), "attention": SMALL}
    _, als, row = evaluate(train, test, learners).to_pylist()
    assert row["ndcg_cut_low"] > als["ndcg_cut_high"]
    fitted = SMALL.fit(train)
    users = ["u3", "u77", "nobody"]
    assert SMALL.fit(train).recommend(users, 5).equals(fitted.recommend(users, 5))
    monkeypatch.setitem(sys.modules, "torch", None)
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert again.learner == SMALL
    assert again.recommend(users, 5).equals(fitted.recommend(users, 5))
    items_alone = again.fold_in(train.slice(0, 0))
    assert items_alone.user_factors.shape[0] == 0
    assert items_alone.fold_in(train).recommend(users, 5)["item_id"].equals(fitted.recommend(users, 5)["item_id"])
    alone = again.recommend("u77", 5)
    assert alone["item_id"].to_pylist() == again.recommend(users, 5)["item_id"].to_pylist()[5:10]
    assert again.similar(["i004"], 5).num_rows == 5


@pytest.mark.extra
def test_odd_interactions_are_learned_from(import_extra):
    import_extra("torch", "deep")
    one = table_of(np.array([0]), np.array([0]), np.array([0]))
    assert SelfAttention(width=8).fit(one).recommend(["u0", "nobody"], 3)["user_id"].to_pylist() == ["nobody"]
    long = table_of(np.repeat([0, 1], [3_000, 1]), np.append(np.arange(3_000), 3_000), np.arange(3_001))
    assert SelfAttention(width=8, blocks=1, negatives=50, epochs=1).fit(long).recommend("u0", 4)[
        "item_id"
    ].to_pylist() == ["i3000"]
