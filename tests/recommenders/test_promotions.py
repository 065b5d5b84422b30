"""The shop's plan: what was known of it in time counts, and only where lists are better with it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_interactions import DAY, habits, steps, table_of

from patron.recommenders import LearnedRanking, load, split
from patron.recommenders.combined.learned_ranking import FittedRanking
from patron.recommenders.interactions import Interactions
from patron.recommenders.promotion_facts import PromotionFacts
from patron.recommenders.promotions import Promotions
from patron.schema.errors import BadInteractions

LEARNER = LearnedRanking(rounds=15, asked="window")
WEEKS, ITEMS = 22, 60


def plan(seed: int = 0, *, lead_days: int = 28) -> pa.Table:
    """Each week six items are on promotion, known so many days before."""
    rng = np.random.default_rng(seed)
    rows = [(week, int(item)) for week in range(WEEKS + 4) for item in rng.choice(ITEMS, 6, replace=False)]
    starts = [week * 7 * DAY for week, _ in rows]
    return pa.table(
        {
            "item_id": [f"i{item:03d}" for _, item in rows],
            "starts": starts,
            "ends": [start + 7 * DAY for start in starts],
            "known_at": [start - lead_days * DAY for start in starts],
            "price_cut": [0.2] * len(rows),
        }
    )


def promoted_shop(seed: int = 0, *, users: int = 160) -> pa.Table:
    """Two of three times somebody takes what is on promotion, else any item."""
    rng = np.random.default_rng(seed + 1)
    of_week = [
        [int(one["item_id"][1:]) for one in plan(seed).to_pylist()[6 * week : 6 * week + 6]] for week in range(WEEKS)
    ]
    week = np.tile(np.arange(WEEKS), users)
    promoted = np.array([of_week[one][rng.integers(6)] for one in week])
    item = np.where(rng.random(len(week)) < 2 / 3, promoted, rng.integers(0, ITEMS, len(week)))
    seconds = week * 7 * DAY + rng.integers(0, 7 * DAY, len(week))
    return table_of(np.repeat(np.arange(users), WEEKS), item, seconds)


def lists_of(fitted, count: int = 10) -> list[dict]:
    return fitted.recommend([f"u{number}" for number in range(40)], count, exclude_seen=False).to_pylist()


@pytest.fixture(scope="module")
def with_plan():
    """Fitted to all but the last two weeks."""
    return LEARNER.fit(split(promoted_shop(), "days:14")[0], plan())


def test_what_is_planned_is_recommended_where_people_take_it(with_plan):
    _, test = split(promoted_shop(), "days:14")
    assert with_plan.uses_promotions
    without = LEARNER.fit(split(promoted_shop(), "days:14")[0])
    taken = set(zip(test["user_id"].to_pylist(), test["item_id"].to_pylist(), strict=True))
    hits = [sum((row["user_id"], row["item_id"]) in taken for row in lists_of(one)) for one in (with_plan, without)]
    assert not without.uses_promotions
    assert hits[0] > 1.5 * hits[1]


def test_a_plan_that_says_nothing_leaves_the_lists_as_they_are():
    rows = habits(users=130)
    useless = LEARNER.fit(rows, plan(seed=9))
    assert useless.trees
    assert not useless.uses_promotions
    assert lists_of(useless) == lists_of(LEARNER.fit(rows))


def test_what_is_planned_later_changes_nothing():
    rows, known = promoted_shop(users=100), plan(lead_days=0)
    end = int(np.max(rows["at"].cast(pa.int64()).to_numpy()))
    later = pa.table(
        {name: [value] for name, value in zip(known.column_names, ("i001", 0, end + DAY, end + 60, 0.9), strict=True)}
    )
    later = later.append_column("kind", pa.array(["display"]))
    both = pa.concat_tables([known, later], promote_options="default")
    assert lists_of(LEARNER.fit(rows, known)) == lists_of(LEARNER.fit(rows, both))


def test_where_each_user_has_a_cut_of_their_own_a_plan_is_not_used():
    assert not LEARNER.fit(steps(), plan()).uses_promotions


def test_users_who_come_later_get_the_plan_of_their_time(with_plan, tmp_path):
    rows = promoted_shop(users=40)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(weeks=WEEKS)
    with_plan.fold_in(rows.slice(0, 0)).save(tmp_path)
    kept = load(tmp_path)
    assert isinstance(kept, FittedRanking)
    assert lists_of(kept.fold_in(rows, at)) == lists_of(with_plan.fold_in(rows, at))
    coming = pa.table({"item_id": ["i007"], "starts": [at], "ends": [at + timedelta(days=9)], "known_at": [at]})
    ranks = [
        np.mean([row["rank"] for row in lists_of(one, ITEMS) if row["item_id"] == "i007"])
        for one in (kept.fold_in(rows, at, coming), kept.fold_in(rows, at, coming.slice(0, 0)))
    ]
    assert ranks[0] < ranks[1]


DAYS = st.integers(0, 40)
PLANNED = st.lists(st.tuples(st.integers(0, 3), DAYS, st.integers(0, 20), DAYS, st.sampled_from("ab")), max_size=8)
BOUGHT = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), DAYS), min_size=1, max_size=12)


@given(PLANNED, BOUGHT)
@settings(max_examples=60)
def test_facts_are_those_that_are_counted_by_hand(planned, bought):
    known = Interactions.of(table_of(*np.array([(user, item, day * DAY) for user, item, day in bought]).T))
    end, ahead = known.end_day, 10.0
    rows = [
        (f"i{item:03d}", day * DAY, (day + length) * DAY, known_day * DAY, kind)
        for item, day, length, known_day, kind in planned
    ]
    schema = {"item_id": pl.String, "starts": pl.Int64, "ends": pl.Int64, "known_at": pl.Int64, "kind": pl.String}
    facts = PromotionFacts.of(Promotions.of(pl.DataFrame(rows, schema, orient="row")), known, ahead)
    in_time = [row for row in rows if row[3] <= end * DAY]

    def count(code: int, day: float, kinds: str = "ab") -> int:
        name, second = known.items[code].as_py(), day * DAY
        return sum(one[0] == name and one[1] <= second < one[2] and one[4] in kinds for one in in_time)

    coming = [end + step for step in range(int(ahead))]
    for code in range(len(known.items)):
        total, *kinds, cut, _ = facts.item_facts[code]
        assert total == pytest.approx(min(sum(count(code, day) for day in coming) / ahead, 1.0))
        for name, share in zip(facts.promotions.kinds, kinds, strict=True):
            assert share == pytest.approx(min(sum(count(code, day, name) for day in coming) / ahead, 1.0))
        assert np.isnan(cut)
    for user in range(len(known.users)):
        pairs = zip(known.item[known.user == user], known.day[known.user == user], strict=True)
        assert facts.user_facts[user] == pytest.approx(np.mean([count(*pair) > 0 for pair in pairs]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"starts": None}, "no column starts"),
        ({"starts": [None]}, "no item_id or no start"),
        ({"ends": [0]}, "end before they start"),
        ({"price_cut": [20.0]}, "price_cut is 20"),
        ({"reach": ["all"]}, "reach is not a number"),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused(change, what):
    columns = {"item_id": ["i1"], "starts": [5 * DAY], "ends": [9 * DAY]} | change
    frame = pa.table({name: values for name, values in columns.items() if values is not None})
    with pytest.raises(BadInteractions, match=what):
        LEARNER.fit(habits(users=5), frame)
