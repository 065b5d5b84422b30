"""The recommenders that combine others: never far below the best of them, and fitted without looking ahead."""

import numpy as np
import pyarrow.compute as pc
import pytest
from made_interactions import DAY, habits, ratings, steps, table_of, tastes

from patron.recommenders import (
    Blend,
    CoVisitation,
    ItemHazard,
    ItemKNN,
    LearnedRanking,
    RecentPopularity,
    TransitionMixture,
    evaluate,
    split,
)
from patron.recommenders.combined.blend import MEMBERS, HeldOutPairs
from patron.recommenders.combined.blend_weights import Ranking, choose_weights
from patron.recommenders.combined.candidates import Candidates
from patron.recommenders.combined.learned_ranking import choose_single_member
from patron.recommenders.combined.pair_features import PairFacts
from patron.recommenders.holdouts import hold_out, infer_asked
from patron.recommenders.interactions import Interactions
from patron.schema.errors import BadInteractions


@pytest.mark.parametrize(
    ("rows", "how", "repeats", "best"),
    [
        (tastes(), "leave-last", False, ItemKNN()),
        (habits(), "days:14", True, ItemHazard()),
        (steps(), "leave-last", True, CoVisitation()),
    ],
)
def test_a_blend_is_as_good_as_the_recommender_that_fits_the_shop(rows, how, repeats, best):
    train, test = split(rows, how)
    learners = {"best": best, "blend": Blend(), "popular": RecentPopularity()}
    _, blend, popular = evaluate(train, test, learners, exclude_seen=not repeats).to_pylist()
    assert blend["ndcg_cut_gain_high"] > 0
    assert blend["ndcg_cut"] > popular["ndcg_cut_high"]


def test_trees_rank_better_than_what_is_popular_where_there_is_enough_to_learn_from():
    train, test = split(habits(users=300), "days:14")
    learners = {"popular": RecentPopularity(), "learned": LearnedRanking(rounds=40)}
    assert learners["learned"].fit(train).trees
    _, learned = evaluate(train, test, learners, exclude_seen=False).to_pylist()
    assert learned["ndcg_cut_gain_low"] > 0.1
    assert learners["learned"].fit(train).recommend("u1", filter=[]).num_rows == 0


def test_where_trees_know_no_more_than_weights_the_order_is_the_blends():
    """Whatever 400 users take next is drawn by one popularity for all: there is nothing for trees to learn."""
    rng = np.random.default_rng(0)
    popularity = 1 / np.arange(1, 61)
    item = rng.choice(60, 12_000, p=popularity / popularity.sum())
    rows = table_of(np.repeat(np.arange(400), 30), item, rng.integers(0, 100 * DAY, 12_000))
    learned, blend = LearnedRanking(rounds=40).fit(rows), Blend().fit(rows)
    assert not learned.trees
    lists = [one.recommend(["u3", "u9"], 5, exclude_seen=False) for one in (learned, blend)]
    assert lists[0]["item_id"].to_pylist() == lists[1]["item_id"].to_pylist()


def test_candidates_are_chosen_among_what_is_allowed():
    """Of the least popular items those of a user's taste come first, though none is among the best of all."""
    rows = tastes(users=300, items=900, rows=60)
    model, items = Blend().fit(rows), ItemKNN().fit(rows)
    rare = items.catalogue.items.take(items.catalogue.popular[-220:]).to_pylist()
    users = [f"u{number}" for number in range(60)]

    def share_of_taste(fitted) -> float:
        lists = fitted.recommend(users, 10, filter=rare).to_pylist()
        return np.mean([int(row["user_id"][1:]) % 3 == int(row["item_id"][1:]) % 3 for row in lists])

    assert share_of_taste(model) > share_of_taste(items) - 0.1 > 0.6
    assert min(model.recommend("u1", 300)["score"].to_pylist()) > 0


def test_nothing_that_is_held_out_is_learned_from():
    rows = Interactions.of(habits())
    for held_out in hold_out(rows, 3, "window"):
        assert held_out.before.day.max() < held_out.after.day.min()
        assert set(held_out.after.user.tolist()) <= set(held_out.before.user.tolist())
    clicks = Interactions.of(steps())
    (last,) = hold_out(clicks, 3, "next")
    for user in range(5):
        assert last.before.day[last.before.user == user].max() < last.after.day[last.after.user == user].min()
    assert hold_out(Interactions.of(habits(users=20)), 3) == []


@pytest.mark.parametrize("seconds", [60, 4 * 3600, 30 * DAY])
def test_one_item_at_a_time_is_a_sequence_at_any_pace_and_a_basket_is_none(seconds):
    user, place = np.repeat(np.arange(60), 6), np.tile(np.arange(6), 60)
    item = np.random.default_rng(0).integers(0, 9, 360)
    assert infer_asked(Interactions.of(table_of(user, item, place * seconds))) == "next"
    assert infer_asked(Interactions.of(table_of(user, item, place // 3 * seconds))) == "window"


def test_what_lists_are_for_is_next_or_window():
    with pytest.raises(BadInteractions, match="Use next or window"):
        LearnedRanking(asked="weeks").fit(steps())


def walks(seconds, users=400, items=40):
    """Steps of so many seconds from an item to the one after it, most of the time; users come on different days."""
    rng = np.random.default_rng(2)
    start = rng.integers(0, 60 * DAY, users)
    item = (
        np.cumsum(np.c_[rng.integers(0, items, users), np.where(rng.random((users, 11)) < 0.7, 1, 7)], axis=1) % items
    )
    at = start[:, None] + np.arange(12) * seconds
    return table_of(np.repeat(np.arange(users), 12), item.ravel(), at.ravel())


@pytest.mark.parametrize("seconds", [60, 4 * 3600, 2 * DAY])
def test_the_default_is_behind_no_member_by_more_than_noise_at_any_pace(seconds):
    train, test = split(walks(seconds), "leave-last")
    learners = CoVisitation(), ItemHazard(), ItemKNN(), RecentPopularity(), TransitionMixture()
    members = {one.name: one for one in learners}
    rows = evaluate(train, test, {"default": LearnedRanking(rounds=30), **members}, exclude_seen=False).to_pylist()
    assert [row["learner"] for row in rows if row["ndcg_cut_gain_low"] > 0] == []


@pytest.mark.parametrize(("asked", "is_member"), [("next", True), ("window", False)])
def test_the_order_of_rows_counts_where_lists_are_of_what_comes_next(asked, is_member):
    members = LearnedRanking(rounds=5, asked=asked).fit(habits(users=60)).members
    assert any(isinstance(member.learner, TransitionMixture) for member in members) == is_member


def test_where_one_member_is_better_than_all_together_it_orders_alone():
    """The first member ranks every hit first, and what is usual ranks it last."""
    users, candidates = 60, 12
    row, item = np.repeat(np.arange(users), candidates), np.tile(np.arange(candidates), users)
    shares = np.random.default_rng(1).random((len(row), len(MEMBERS)))
    is_hit = item == 0
    shares[:, 0] = np.where(is_hit, 1.0, 0.1)
    pairs = Candidates(row, item, np.zeros(len(row), dtype=bool), shares)
    judged = HeldOutPairs(np.arange(users), pairs, is_hit, np.ones(users, dtype=int), np.ones(users, dtype=int))
    alone = choose_single_member(judged, judged.ndcg_by_user(-shares[:, 0]))
    assert alone is not None
    assert alone.new.tolist() == [1.0, *[0.0] * (len(MEMBERS) - 1)]
    assert choose_single_member(judged, judged.ndcg_by_user(shares[:, 0])) is None


def test_where_nobody_takes_an_item_again_new_ones_are_first():
    train, _ = split(tastes(), "leave-last")
    fitted = Blend().fit(train)
    lists = fitted.recommend(["u1", "u2"], 5, exclude_seen=False)
    had = set(zip(train["user_id"].to_pylist(), train["item_id"].to_pylist(), strict=True))
    assert not had & set(zip(lists["user_id"].to_pylist(), lists["item_id"].to_pylist(), strict=True))


def test_facts_of_a_pair_are_those_that_are_counted_by_hand():
    rows = habits(users=5)
    known = Interactions.of(rows)
    user, item = int(known.user[100]), int(known.item[100])
    days = known.day[(known.user == user) & (known.item == item)]
    count, age, idle, gap, overdue, share, users, *_ = PairFacts.of(known).features(np.array([user]), np.array([item]))[
        0
    ]
    assert count == len(days)
    assert (age, idle) == pytest.approx((known.end_day - days.min(), known.end_day - days.max()))
    assert gap == pytest.approx((age - idle) / (count - 1))
    assert overdue == pytest.approx(idle / gap)
    assert share == pytest.approx(count / (known.user == user).sum())
    assert users == len(set(known.user[known.item == item].tolist()))
    of_item = rows.filter(pc.equal(rows["item_id"], known.items[item]))
    assert users == len(pc.unique(of_item["user_id"]))


def test_weights_are_those_that_rank_the_hits_first():
    """The first feature is noise, the second says all, the third half of it."""
    rng = np.random.default_rng(0)
    row, is_hit = np.repeat(np.arange(100), 30), rng.random(3000) < 0.1
    features = np.column_stack([rng.random(3000), is_hit + 0.5 * rng.random(3000), is_hit * (rng.random(3000) < 0.5)])
    weights = choose_weights(Ranking(row, features, is_hit, np.bincount(row[is_hit], minlength=100)))
    assert weights[1] == 1
    assert weights[0] < 0.2


def test_combined_recommenders_forecast_ratings_where_there_are_some():
    train, test = split(ratings(users=100), "leave-last")
    rows = evaluate(train, test, {"blend": Blend(), "learned": LearnedRanking()}).to_pylist()
    spread = float(np.std(test["weight"].to_numpy()))
    assert all(0 < row["rmse"] < spread for row in rows)
    assert Blend().fit(tastes(users=60)).rater is None
