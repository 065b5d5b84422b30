"""Odd ids, times, settings and files: what is plain is read, what is not is refused in words."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from patron.commands.recommendations.compare_recommenders import InteractionColumns, compare_recommenders
from patron.recommenders import RecentPopularity, evaluate, split
from patron.recommenders.ids import codes_of_ids, id_array
from patron.recommenders.interactions import Interactions
from patron.schema.errors import BadInteractions

DAY = 86_400
IDS = pa.array([7, 9])
VIEWS = pa.array(["a"]).cast(pa.string_view())


def frame(**columns) -> pa.Table:
    return pa.table({"user_id": ["a", "b"], "item_id": ["x", "y"]} | columns)


@pytest.fixture(scope="module")
def fitted():
    """Users 7 and 9, items 1, 2 and 3."""
    rows = {"user_id": [7, 7, 9, 9], "item_id": [1, 2, 1, 3]}
    return RecentPopularity().fit(pa.table(rows))


@pytest.mark.parametrize(
    ("known", "ids", "places"),
    [
        (IDS, ["7", "x"], [0, -1]),
        (IDS, ["007", "9"], [-1, 1]),
        (IDS, [7.0, 7.5, float("nan"), 1e30], [0, -1, -1, -1]),
        (IDS.cast(pa.int32()), [9, 2**40], [1, -1]),
        (IDS, pa.array([9, 2**64 - 1], pa.uint64()), [1, -1]),
        (pa.array([2**64 - 1], pa.uint64()), pa.array([-1, 2**63 - 1]), [-1, -1]),
        (pa.array([7.0, 7.5]), [7, 8], [0, -1]),
        (pa.array(["7", "x"]), [7, 8], [0, -1]),
        (pa.array(["7", "x"]), [b"x", b"\xff"], [1, -1]),
        (IDS, [None, 9], [-1, 1]),
        (IDS, [], []),
    ],
)
def test_one_odd_id_makes_no_other_id_unknown(known, ids, places):
    assert codes_of_ids(ids, known).tolist() == places


def test_a_filter_with_an_unknown_item_still_allows_the_known_one(fitted):
    lists = fitted.recommend([7, 9], 1, exclude_seen=False, filter=["1", "none"])
    assert lists["item_id"].to_pylist() == [1, 1]


@pytest.mark.parametrize("name", ["user_id", "item_id"])
def test_ids_of_another_kind_in_the_test_part_are_refused(name):
    train = pa.table({"user_id": [7, 9], "item_id": [1, 2]})
    test = train.set_column(train.column_names.index(name), name, train[name].cast(pa.string()))
    with pytest.raises(BadInteractions, match=f"{name} has texts in the test part and numbers in the training part"):
        evaluate(train, test, {"popular": RecentPopularity()})
    smaller = train.set_column(train.column_names.index(name), name, train[name].cast(pa.int16()))
    assert evaluate(train, smaller, {"popular": RecentPopularity()}, 2, exclude_seen=False)["recall"][0].as_py() == 1


@pytest.mark.parametrize(
    ("ids", "same"),
    [
        (np.int64(3), [3]),
        (VIEWS, ["a"]),
        (pa.chunked_array([VIEWS]), ["a"]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 0]), VIEWS), ["a", "a"]),
    ],
)
def test_ids_of_numpy_and_views_are_plain(ids, same):
    assert id_array(ids).to_pylist() == same


@pytest.mark.parametrize("ids", [pd.DataFrame({"user_id": [1]}), frame(), [[1], [2]], [1, "a"], np.array(3), None])
def test_what_holds_no_ids_is_refused(ids):
    with pytest.raises(BadInteractions, match="ids are"):
        id_array(ids)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (frame(user_id=[["a"], ["b"]]), "user_id holds no ids: list"),
        (frame(event=[["a"], ["b"]]), "event is not text: list"),
        (frame(category=[["a"], ["b"]]), "category is not text: list"),
        (frame().append_column("user_id", pa.array(["c", "d"])), "2 columns are called user_id. Keep one of them"),
        (frame(user_id=[1.0, np.nan]), "1 of 2 rows have no user_id"),
        (frame(at=[np.nan, np.inf]), "2 of 2 rows have no at"),
        (frame(at=[1_709_251_200_000, 0]), "at is in seconds, .* Divide milliseconds by 1,000"),
        (frame(at=[20_240_301, 20_231_130]), "at is in seconds, .* Turn numbers such as 20240301 into dates"),
        (frame(at=["2024-03-01T00:00:00Z", "2024-03-01"]), "at is not a valid time: .* Write all times as"),
    ],
)
def test_a_frame_that_cannot_be_read_is_refused_in_words(table, problem):
    with pytest.raises(BadInteractions, match=problem):
        Interactions.of(table)


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (pa.array([DAY * 10**9 + 1, 0]).cast(pa.timestamp("ns")), DAY),
        (["1970-01-02T00:00:00Z", "1970-01-01T00:00:00Z"], DAY),
        (["1970-01-02T02:00:00+02:00", "1970-01-01T00:00:00Z"], DAY),
        (["1970-01-02T00:00:00.123456789", "1970-01-01T00:00:00"], DAY + 0.123456789),
        (["1970-01-02T00:00:00.123456789Z", "1970-01-01T00:00:00Z"], DAY + 0.123456789),
        (pa.array(["1970-01-02", "1970-01-01"]).dictionary_encode(), DAY),
        (pa.array([datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]).dictionary_encode(), DAY),
        ([20_240_301, 20_240_399], 20_240_399),
        ([19_000_101.5, 0], 19_000_101.5),
    ],
)
def test_times_are_read_however_they_are_written(at, seconds):
    assert Interactions.of(frame(at=at)).end_day * DAY == pytest.approx(seconds, abs=1e-5)


@pytest.mark.parametrize("k", [0, -1, True, None, 2.0, "3"])
def test_k_is_a_whole_number_of_one_or_more(k, fitted):
    for ids in ([], [7]):
        with pytest.raises(BadInteractions, match=f"k is {k!r}. Ask for 1 item or more"):
            fitted.recommend(ids, k)
        with pytest.raises(BadInteractions, match=f"k is {k!r}. Ask for 1 item or more"):
            fitted.similar(ids, k)


def test_a_k_beyond_all_items_costs_nothing_and_says_why_lists_are_shorter(fitted):
    lists = fitted.recommend([7, 9], np.int64(10**12), exclude_seen=False)
    assert lists["rank"].to_pylist() == [1, 2, 3, 1, 2, 3]
    assert lists.schema.metadata[b"reason"].startswith(b"2 of 2 users get fewer than 1000000000000 items: 3 of 3 items")
    assert b"reason" not in (fitted.recommend([7], 3, exclude_seen=False).schema.metadata or {})
    assert fitted.similar([1], 10**12)["similar_id"].to_pylist() == [2, 3]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [({}, "days:28 needs times. Add a column at"), ({"at": [0.0, 27.96 * DAY]}, "the data span only 27.9 days")],
)
def test_a_split_by_days_leaves_rows_to_train(columns, problem):
    with pytest.raises(BadInteractions, match=problem):
        split(frame(**columns), "days:28")
    assert [part.num_rows for part in split(frame(at=[0, 28 * DAY]), "days:28")] == [1, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [("007", "7"), ("12E4", "1200E2"), ("12345678901234567890", "12345678901234567891"), ("None", "NaN")],
)
def test_ids_of_a_file_stay_as_they_are_written(tmp_path, one, other):
    """Were both one item, or none, then the test row would be a repeat, or be refused."""
    path = tmp_path / "rows.csv"
    path.write_text(f"user,item,day,stars\n1,{one},2024-03-01,NA\n1,{other},2024-03-02,3\n01,{one},2024-03-01,4\n")
    columns = InteractionColumns("user", "item", "day")
    result = compare_recommenders(path, columns, learners=["recent_popularity"])
    assert (result.train_count, result.test_count, result.repeat_share) == (2, 1, 0)
    with pytest.raises(BadInteractions, match="1 rows have no finite weight"):
        compare_recommenders(path, InteractionColumns("user", "item", "day", "stars"))
    path.write_text(f"user,item\n1,{one}\n1,\n")
    with pytest.raises(BadInteractions, match="1 of 2 rows have no item_id"):
        compare_recommenders(path, InteractionColumns("user", "item"))
