"""Popularity in a user's own categories, and of the same weeks of last year."""

import pyarrow as pa
import pytest
from made_interactions import DAY, tastes

from patron.recommenders import CategoryPopularity, RecentPopularity, evaluate, split
from patron.recommenders.interactions import Interactions

Row = tuple[str, str, int, str]


def table(*rows: Row) -> pa.Table:
    """Rows of (user, item, day, category)."""
    user, item, day, category = zip(*rows, strict=True)
    return pa.table({"user_id": user, "item_id": item, "at": [one * DAY for one in day], "category": category})


def test_without_categories_the_list_is_the_popular_one():
    rows = tastes()
    users = ["u3", "u77", "nobody"]
    popular = RecentPopularity().fit(rows).recommend(users, 7, exclude_seen=False)
    assert CategoryPopularity().fit(rows).recommend(users, 7, exclude_seen=False)["item_id"].equals(popular["item_id"])


def test_categories_beat_popularity_where_people_have_tastes():
    rows = tastes()
    group = [str(int(item[1:]) % 3) for item in rows["item_id"].to_pylist()]
    parts = split(rows.append_column("category", pa.array(group)), "leave-last")
    _, row = evaluate(*parts, {"popular": RecentPopularity(), "own": CategoryPopularity(prior_rows=5)}).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0.02


def test_a_score_is_the_chance_of_the_category_times_the_share_of_the_item_in_it():
    of_others = [("b", "tea", 40, "drinks"), ("c", "tea", 40, "drinks"), ("c", "bun", 40, "bread")]
    rows = table(("a", "milk", 40, "drinks"), ("a", "milk", 20, "drinks"), *of_others)
    lists = CategoryPopularity(prior_rows=2, half_life_days=20).fit(rows).recommend("a", 3, exclude_seen=False)
    drinks = (1.5 + 2 * 3 / 4) / (1.5 + 2)
    expected = {"tea": drinks * 2 / 3, "milk": drinks / 3, "bun": 1 - drinks}
    scores = dict(zip(lists["item_id"].to_pylist(), lists["score"].to_pylist(), strict=True))
    assert scores == pytest.approx(expected, abs=1e-5)


def test_the_newest_category_of_an_item_counts():
    moved = table(("a", "x", 1, "old"), ("b", "x", 9, "new"), ("c", "y", 9, "old"), ("a", "z", 9, "new"))
    fitted = CategoryPopularity(prior_rows=1).fit(moved)
    assert fitted.recommend("a", 3)["item_id"].to_pylist() == ["y"]
    assert fitted.recommend("c", 3, exclude_seen=False)["item_id"].to_pylist()[0] == "y"


@pytest.mark.parametrize("missing", [None, ""])
def test_a_row_without_a_category_leaves_its_item_where_it_is(missing):
    rows = [("a", "x", 1, "tea"), ("b", "x", 9, missing), ("c", "y", 9, "wine"), ("d", "z", 9, missing)]
    known = Interactions.of(table(*rows))
    earlier = Interactions.of(table(*((*row[:3], "tea" if row[1] == "x" else row[3]) for row in rows)))
    assert known.category.tolist() == earlier.category.tolist()
    assert len(set(known.category.tolist())) == 3


def test_what_sold_in_the_coming_weeks_of_last_year_comes_back_with_the_season():
    """Today is day 400: the coming four weeks were days 36 (excluded) to 64 a year ago."""
    coming = [(f"p{n}", "lights", 50, "") for n in range(5)]
    past = [(f"p{n}", "pumpkins", 30, "") for n in range(9)]
    rows = table(*coming, *past, *((f"p{n}", "bulbs", 395, "") for n in range(3)), ("p9", "soap", 400, ""))
    for user, plain in (("nobody", ["bulbs", "soap"]), ("p9", ["bulbs", "pumpkins"])):
        lists = [
            CategoryPopularity(season_weight=weight).fit(rows).recommend(user, 2)["item_id"].to_pylist()
            for weight in (0.0, 1.0)
        ]
        assert lists == [plain, ["lights", "bulbs"]]
