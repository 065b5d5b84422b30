"""Self-attention and transitions as one: each counts where it foresees what users do next; runs where torch is."""

import sys

import numpy as np
import pytest
from made_interactions import steps, table_of

from patron.recommenders import CoVisitation, TransitionMixture, evaluate, load, split
from patron.recommenders.combined.attention_mixture import AttentionMixture, without_last_rows
from patron.recommenders.interactions import Interactions
from patron.schema.errors import MissingExtra

SMALL = AttentionMixture(width=32, fewest_updates=500)


def five_back(users=400, items=12, length=15):
    """What comes is the one after what came five rows ago, four times in five: further than transitions look."""
    rng = np.random.default_rng(5)
    item = rng.integers(0, items, (users, length))
    for place in range(5, length):
        follows = rng.random(users) < 0.8
        item[follows, place] = (item[follows, place - 5] + 1) % items
    return table_of(np.repeat(np.arange(users), length), item.ravel(), np.tile(np.arange(length) * 60, users))


def comes_back(users=300, items=2_000, length=10):
    """Users take what they had two rows ago, every second time: nothing to be learned of items."""
    rng = np.random.default_rng(4)
    item = rng.integers(0, items, (users, length))
    for place in range(2, length):
        returns = rng.random(users) < 0.5
        item[returns, place] = item[returns, place - 2]
    return table_of(np.repeat(np.arange(users), length), item.ravel(), np.tile(np.arange(length) * 60, users))


def test_the_last_row_of_each_user_who_has_two_is_held_out():
    known = Interactions.of(table_of(np.array([0, 1, 0, 2, 0]), np.array([5, 6, 7, 8, 9]), np.arange(5)))
    before, last = without_last_rows(known)
    assert known.items.take(before.item).to_pylist() == ["i005", "i006", "i007", "i008"]
    assert known.items.take(last.item).to_pylist() == ["i009"]


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'patron\[deep\]'"):
        SMALL.fit(steps(users=3))


@pytest.mark.extra
def test_attention_counts_where_rows_further_back_say_what_comes(import_extra):
    import_extra("torch", "deep")
    train, test = split(five_back(), "leave-last")
    assert SMALL.fit(train).share > 0.3
    learners = {"transitions": TransitionMixture(), "co_visitation": CoVisitation(), "mixture": SMALL}
    _, _, row = evaluate(train, test, learners, exclude_seen=False).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0


@pytest.mark.extra
def test_lists_are_those_of_the_transitions_where_attention_ranks_worse(import_extra):
    import_extra("torch", "deep")
    rows = comes_back()
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
