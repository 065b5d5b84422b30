"""Splits by time, and metrics that were worked out by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest
from made_interactions import habits, tastes

from patron.recommenders import MatrixFactorisation, PersonalFrequency, RecentPopularity, evaluate, split
from patron.schema.errors import BadInteractions


def rows(*of_users: tuple[str, str, int]) -> pa.Table:
    users, items, days = zip(*of_users, strict=True)
    at = pa.array([day * 86_400 for day in days], pa.int64())
    return pa.table({"user_id": users, "item_id": items, "at": at.cast(pa.timestamp("s"))})


def pairs(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))


EVERY = rows(
    ("a", "x", 40), ("a", "y", 40), ("b", "x", 3), ("c", "y", 30), ("a", "z", 1), ("c", "x", 12), ("c", "z", 30)
)


def test_leave_last_takes_the_last_row_and_on_equal_times_the_later_one():
    train, test = split(EVERY, "leave-last")
    assert pairs(test) == [("a", "y"), ("c", "z")]
    assert pairs(train) == [("a", "x"), ("b", "x"), ("c", "y"), ("a", "z"), ("c", "x")]


def test_next_basket_takes_all_rows_of_the_last_time_of_users_who_came_twice():
    train, test = split(EVERY, "next-basket")
    assert pairs(test) == [("a", "x"), ("a", "y"), ("c", "y"), ("c", "z")]
    assert pairs(train) == [("b", "x"), ("a", "z"), ("c", "x")]


def test_days_takes_what_is_younger_than_so_many_days():
    train, test = split(EVERY, "days:28")
    assert pairs(train) == [("b", "x"), ("a", "z"), ("c", "x")]
    assert len(pairs(test)) == 4
    with pytest.raises(BadInteractions, match=r"'random' is not a valid split. Use leave-last, next-basket, or days:N"):
        split(EVERY, "random")


def test_metrics_are_those_that_are_worked_out_by_hand():
    """Popular: x (3 users), y (2), z (1). The list of everybody is x, y; d and the item w are not in the train part."""
    train = rows(("a", "x", 1), ("b", "x", 1), ("c", "x", 1), ("b", "y", 1), ("c", "y", 1), ("c", "z", 1))
    test = rows(("a", "y", 2), ("a", "z", 2), ("a", "w", 2), ("b", "x", 2), ("d", "x", 2))
    row = evaluate(train, test, {"popular": RecentPopularity()}, k=2, exclude_seen=False).to_pylist()[0]
    second = 1 / math.log2(3)
    of_a, of_b, of_d = second / (1 + second + 1 / 2), 1.0, 0.0
    assert row["ndcg"] == pytest.approx((of_a + of_b + of_d) / 3)
    assert row["ndcg_cut"] == pytest.approx((second / (1 + second) + 1 + 0) / 3)
    assert row["recall"] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert row["mrr"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert row["hit_rate"] == pytest.approx(2 / 3)
    assert row["coverage"] == pytest.approx(2 / 3)
    assert row["novelty"] == pytest.approx((0 + math.log2(3 / 2)) / 2 * 2 / 3)
    assert row["rmse"] is None
    unseen = evaluate(train, test, {"popular": RecentPopularity()}, k=2).to_pylist()[0]
    assert unseen["recall"] == pytest.approx((2 / 3 + 0 + 0) / 3)


def test_intervals_hold_the_metric_and_gains_are_over_the_first_learner_on_the_same_users():
    train, test = split(habits(), "days:28")
    learners = {"month": RecentPopularity(), "same": RecentPopularity(28.0), "day": RecentPopularity(1.0)}
    month, same, day = evaluate(train, test, learners, exclude_seen=False).to_pylist()
    for name in ("ndcg", "ndcg_cut", "recall", "mrr", "hit_rate"):
        assert month[f"{name}_low"] < month[name] < month[f"{name}_high"]
        assert month[name] == same[name]
    assert same["ndcg_cut_gain_low"] == same["ndcg_cut_gain"] == same["ndcg_cut_gain_high"] == 0
    assert day["ndcg_cut_gain"] == pytest.approx(day["ndcg_cut"] - month["ndcg_cut"])
    width = day["ndcg_cut_gain_high"] - day["ndcg_cut_gain_low"]
    assert width < day["ndcg_cut_high"] - day["ndcg_cut_low"], "the pairs of a user go together"


def test_rows_of_weight_0_or_less_are_no_hits_but_have_rating_errors():
    weights = pa.array([1.0, 5.0, 3.0, 2.0])
    train = rows(("a", "x", 1), ("b", "x", 1), ("b", "y", 1), ("c", "z", 1)).append_column("weight", weights)
    ahead = rows(("a", "y", 2), ("a", "z", 2), ("b", "z", 2), ("c", "x", 2))
    test = ahead.append_column("weight", pa.array([1.0, 0.0, -2.0, 1.0]))
    learners = {"popular": RecentPopularity(), "ratings": MatrixFactorisation(factors=2, rating_factors=0)}
    popular, ratings = evaluate(train, test, learners, k=1).to_pylist()
    assert popular["hit_rate"] == popular["recall"] == 1.0, "a is shown y, c is shown x; b liked nothing"
    assert popular["coverage"] == pytest.approx(2 / 3)
    alone = evaluate(train, test.slice(1, 3), learners, k=1).to_pylist()[1]
    first = evaluate(train, test.slice(0, 1), learners, k=1).to_pylist()[1]
    assert ratings["mae"] == pytest.approx((3 * alone["mae"] + first["mae"]) / 4)
    with pytest.raises(BadInteractions, match="no row of the test part has a weight above 0"):
        evaluate(train, test.slice(1, 2), learners)


def test_coverage_is_within_its_interval_and_the_interval_holds_that_of_other_users():
    """Shops of the same kind, in which lists differ from user to user: their mean is within most intervals."""
    found = []
    for seed in range(25):
        train, test = split(habits(seed, users=30, days=40), "next-basket")
        row = evaluate(train, test, {"personal": PersonalFrequency()}, k=2, exclude_seen=False).to_pylist()[0]
        found.append([row["coverage_low"], row["coverage"], row["coverage_high"]])
    low, value, high = np.array(found).T
    assert ((low < value) & (value < high)).all()
    assert ((low < value.mean()) & (value.mean() < high)).mean() > 0.8


def test_a_test_part_without_a_row_is_refused():
    train, _ = split(tastes(users=4), "leave-last")
    with pytest.raises(BadInteractions, match="the test part has no row"):
        evaluate(train, train.slice(0, 0), {"popular": RecentPopularity()})
