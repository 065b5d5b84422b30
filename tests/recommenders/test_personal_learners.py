"""Learners of a person's history, on a shop of habits: five items again and again, each with its rhythm."""

import pyarrow as pa
import pytest

from made_interactions import DAY, habits
from patron.recommenders import PersonalFrequency, RecentPopularity, evaluate, split


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
