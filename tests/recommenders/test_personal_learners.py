"""Learners of a person's history, on a shop of habits: five items again and again, each with its rhythm."""

import pyarrow as pa
import pytest
from made_interactions import DAY, habits, tastes

from patron.recommenders import ItemHazard, PersonalFrequency, RecentPopularity, TifuKnn, UserWindowCf, evaluate, split


@pytest.fixture(scope="module")
def parts() -> tuple[pa.Table, pa.Table]:
    """The shop of habits, its last week cut off."""
    return split(habits(users=150), "days:7")


def gains(parts, first, *others) -> list[dict]:
    """The rows of the others, whose gain is over the first."""
    learners = {one.name: one for one in (first, *others)}
    return evaluate(*parts, learners, exclude_seen=False).to_pylist()[1:]


def table(*rows: tuple[str, str, int]) -> pa.Table:
    """Rows of (user, item, day)."""
    user, item, day = zip(*rows, strict=True)
    return pa.table({"user_id": user, "item_id": item, "at": [one * DAY for one in day]})


def test_personal_frequency_beats_popularity_where_people_have_habits(parts):
    (row,) = gains(parts, RecentPopularity(), PersonalFrequency())
    assert row["ndcg_cut_gain_low"] > 0.1


def test_a_row_fades_by_half_and_popularity_is_added_to_it():
    rows = table(("a", "x", 0), ("a", "y", 120), ("b", "y", 400), ("c", "y", 400), ("c", "z", 400))
    lists = PersonalFrequency(half_life_days=120, popularity_weight=1).fit(rows).recommend("a", 3, exclude_seen=False)
    assert lists["item_id"].to_pylist() == ["y", "x", "z"]
    assert lists["score"].to_pylist() == pytest.approx([1 + 1, 1 / 2, 1 / 2], abs=1e-5)


def test_baskets_fade_in_groups_and_neighbours_bring_what_is_new():
    """Groups of two baskets, from the newest: y z; x (a week before), which is a group of its own."""
    of_b, of_c = [("b", "z", 20), ("b", "w", 20)], [("c", "v", 20), ("c", "t", 20)]
    rows = table(("a", "x", 0), ("a", "y", 7), ("a", "z", 14), *of_b, *of_c)
    learner = TifuKnn(neighbours=1, group_size=2, basket_decay=0.5, group_decay=0.1, personal_share=0.8)
    lists = learner.fit(rows).recommend("a", 4, exclude_seen=False)
    of_a = {"x": 0.1 / 2, "y": 0.5 / 2 / 2, "z": 1 / 2 / 2}
    expected = {"z": 0.8 * of_a["z"] + 0.2, "w": 0.2, "y": 0.8 * of_a["y"], "x": 0.8 * of_a["x"]}
    assert dict(zip(lists["item_id"].to_pylist(), lists["score"].to_pylist(), strict=True)) == pytest.approx(expected)


def test_tifu_knn_beats_popularity_on_items_that_users_have_not_had():
    learners = {"popular": RecentPopularity(), "tifu": TifuKnn(neighbours=30)}
    _, row = evaluate(*split(tastes(), "leave-last"), learners).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0


def test_item_hazard_beats_personal_frequency_where_items_have_a_rhythm():
    (row,) = gains(split(habits(users=150), "next-basket"), PersonalFrequency(), ItemHazard())
    assert row["ndcg_cut_gain_low"] > 0.03


def test_what_is_due_comes_before_what_was_just_bought():
    """A user who comes every day buys x and y every 14 days: x was bought yesterday, y two weeks ago."""
    shop = [(f"u{user}", item, day + user) for user in range(20) for item in "xy" for day in range(0, 150, 14)]
    of_a = [("a", "x", day) for day in range(13, 140, 14)] + [("a", "y", day) for day in range(0, 127, 14)]
    rows = table(*shop, *of_a, *(("a", "z", day) for day in range(141)))
    lists = {
        learner.name: learner.fit(rows).recommend("a", 1, exclude_seen=False, filter=["x", "y"])["item_id"].to_pylist()
        for learner in (PersonalFrequency(), ItemHazard())
    }
    assert lists == {"personal_frequency": ["x"], "item_hazard": ["y"]}


def test_only_the_newest_baskets_count_and_like_users_weigh_by_their_likeness():
    """In windows of one basket a has y, b has y and w: the likeness is 1 / (1^a x 2^(1 - a)), c has nothing of a."""
    rows = table(("a", "x", 0), ("a", "y", 7), ("b", "y", 9), ("b", "w", 9), ("c", "x", 9))
    lists = UserWindowCf(window=1, asymmetry=0.25, locality=2.0).fit(rows).recommend("a", 2, exclude_seen=False)
    likeness = (1 / 2**0.75) ** 2
    assert lists["item_id"].to_pylist() == ["y", "w"]
    assert lists["score"].to_pylist() == pytest.approx([1 + likeness, likeness])


def test_like_users_beat_popularity_on_items_that_users_have_not_had():
    learners = {"popular": RecentPopularity(), "like users": UserWindowCf(locality=2.0)}
    _, row = evaluate(*split(tastes(), "leave-last"), learners).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0
