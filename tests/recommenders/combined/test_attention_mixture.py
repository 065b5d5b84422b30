"""Self-attention and transitions as one: each has a share where it says what users do next."""

import sys

import numpy as np
import pytest
from made_interactions import follows_after, returns, steps, table_of

from patron.recommenders import CoVisitation, TransitionMixture, evaluate, load, split
from patron.recommenders.combined.attention_mixture import AttentionMixture
from patron.schema.errors import MissingExtra

SMALL = AttentionMixture(width=32, fewest_updates=500)


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'patron\[deep\]'"):
        SMALL.fit(steps(users=3))


@pytest.mark.extra
def test_attention_counts_where_rows_further_back_say_what_comes(import_extra):
    import_extra("torch", "deep")
    train, test = split(follows_after(5, users=400, items=12, length=15), "leave-last")
    assert SMALL.fit(train).share > 0.3
    learners = {"transitions": TransitionMixture(), "co_visitation": CoVisitation(), "mixture": SMALL}
    _, _, row = evaluate(train, test, learners, exclude_seen=False).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0


@pytest.mark.extra
def test_lists_are_those_of_the_transitions_where_attention_ranks_worse(import_extra):
    import_extra("torch", "deep")
    rows = returns(items=2_000, length=10)
    fitted = SMALL.fit(rows)
    assert fitted.share == 0
    users = ["u3", "u77", "nobody"]
    assert fitted.recommend(users, 5).equals(TransitionMixture().fit(rows).recommend(users, 5))


@pytest.mark.extra
def test_it_is_fitted_the_same_each_time_and_kept_without_torch(import_extra, monkeypatch, tmp_path):
    import_extra("torch", "deep")
    rows, users = steps(), ["u3", "u77", "nobody"]
    fitted = SMALL.fit(rows)
    lists = fitted.recommend(users, 5)
    assert SMALL.fit(rows).recommend(users, 5).equals(lists)
    monkeypatch.setitem(sys.modules, "torch", None)
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert again.recommend(users, 5).equals(lists)
    assert again.similar(["i004"], 3).num_rows == 3
    stranger = again.fold_in(table_of(np.array([900]), np.array([3]), np.array([0])))
    assert stranger.recommend(["u900"], 1)["item_id"].to_pylist() == ["i004"]


@pytest.mark.extra
def test_one_row_is_learned_from(import_extra):
    import_extra("torch", "deep")
    one = table_of(np.array([0]), np.array([0]), np.array([0]))
    assert SMALL.fit(one).recommend(["nobody"], 3)["item_id"].to_pylist() == ["i000"]
