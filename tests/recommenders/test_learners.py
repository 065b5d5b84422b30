"""Every recommender of the list keeps the same promises."""

from itertools import pairwise
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest
from made_interactions import DAY, habits, steps, table_of, tastes

from patron.recommenders import (
    ALS,
    LEARNERS,
    CoVisitation,
    ItemHazard,
    ItemKNN,
    RecentPopularity,
    TifuKnn,
    UserWindowCf,
    load,
)
from patron.recommenders.catalogue import popularity
from patron.recommenders.interactions import Interactions
from patron.schema.errors import BadInteractions, NotEnoughData

SHOPS = {"tastes": tastes, "habits": habits, "steps": steps}
USERS = [f"u{number}" for number in (3, 77, 12, 5)]


def lists_of(table: pa.Table, name: str = "user_id") -> dict[str, list[dict]]:
    of_user: dict[str, list[dict]] = {}
    for row in table.to_pylist():
        of_user.setdefault(row[name], []).append(row)
    return of_user


@pytest.fixture(scope="module")
def fitted():
    """Fit each learner to each shop once."""
    kept = {}

    def fit(name: str, shop: str):
        if (name, shop) not in kept:
            kept[name, shop] = LEARNERS[name]().fit(SHOPS[shop]())
        return kept[name, shop]

    return fit


@pytest.mark.parametrize("shop", SHOPS)
@pytest.mark.parametrize("name", LEARNERS)
def test_lists_are_ranked_whole_without_repeats_and_without_what_was_seen(name, shop, fitted):
    model, rows = fitted(name, shop), SHOPS[shop]()
    lists = lists_of(model.recommend([*USERS, "nobody"], 7))
    assert list(lists) == [*USERS, "nobody"]
    for user, shown in lists.items():
        seen = set(rows.filter(pa.compute.equal(rows["user_id"], user))["item_id"].to_pylist())
        assert [row["rank"] for row in shown] == list(range(1, 8))
        assert len({row["item_id"] for row in shown} - seen) == 7
        assert all(one["score"] >= other["score"] for one, other in pairwise(shown))


@pytest.mark.parametrize("name", LEARNERS)
def test_new_items_follow_where_the_best_are_mostly_repeats(name, fitted):
    model, rows, fewest = fitted(name, "habits"), SHOPS["habits"](), 4
    users = [*USERS, "nobody"]
    plain, longer, new = (
        lists_of(table)
        for table in (
            model.recommend(users, 6, exclude_seen=False),
            model.recommend(users, 6, exclude_seen=False, fewest_new=fewest),
            model.recommend(users, fewest),
        )
    )
    for user in users:
        seen = set(rows.filter(pa.compute.equal(rows["user_id"], user))["item_id"].to_pylist())
        listed = [row["item_id"] for row in longer[user]]
        assert longer[user][:6] == plain[user]
        assert [row["rank"] for row in longer[user]] == list(range(1, len(listed) + 1))
        of_new = [one for one in listed if one not in seen]
        assert of_new[:fewest] == [row["item_id"] for row in new[user]]
        assert len(listed) == 6 + max(fewest - len(set(listed[:6]) - seen), 0)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_user_who_is_not_known_gets_the_popular_list(name, fitted):
    popular = fitted(RecentPopularity.name, "tastes").recommend("nobody", 9)["item_id"]
    assert fitted(name, "tastes").recommend(["nobody"], 9)["item_id"].equals(popular)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_filter_holds_exactly_and_a_short_list_says_why(name, fitted):
    model = fitted(name, "habits")
    allowed = ["i003", "i017", "i042", "no such item"]
    lists = model.recommend(USERS, 5, exclude_seen=False, filter=allowed)
    assert all({row["item_id"] for row in rows} == set(allowed[:3]) for rows in lists_of(lists).values())
    assert lists.schema.metadata[b"reason"] == b"4 of 4 users get fewer than 5 items: 3 of 80 items are allowed"
    assert not model.recommend(USERS, 3, exclude_seen=False, filter=allowed).schema.metadata
    assert model.recommend(USERS, 3, filter=[]).num_rows == 0


@pytest.mark.parametrize("name", LEARNERS)
def test_one_user_gets_the_same_list_as_among_many(name, fitted):
    model = fitted(name, "habits")
    together = model.recommend([f"u{number}" for number in range(120)], 6, exclude_seen=False)
    alone = model.recommend("u77", 6, exclude_seen=False)
    among = together.filter(pa.compute.equal(together["user_id"], "u77"))
    assert alone["item_id"].to_pylist() == among["item_id"].to_pylist()
    assert np.allclose(alone["score"], among["score"])


@pytest.mark.parametrize("name", LEARNERS)
def test_a_saved_model_recommends_the_same_and_no_file_is_a_pickle(name, fitted, tmp_path):
    model = fitted(name, "habits")
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.learner == model.learner
    assert again.recommend(USERS, 5, exclude_seen=False).equals(model.recommend(USERS, 5, exclude_seen=False))
    assert again.similar(["i001"], 5).equals(model.similar(["i001"], 5))
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {
        ".json",
        ".npz",
        ".npy",
        ".feather",
        ".txt",
    }


@pytest.mark.parametrize("name", LEARNERS)
def test_similar_items_are_others_and_items_that_are_not_known_are_left_out(name, fitted):
    lists = lists_of(fitted(name, "tastes").similar(["i004", "no such item", "i001"], 5), "item_id")
    assert list(lists) == ["i004", "i001"]
    for item, rows in lists.items():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert 0 < len({row["similar_id"] for row in rows} - {item}) == len(rows) <= 5


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_rows_fit_the_same_model(name, fitted):
    again = LEARNERS[name]().fit(habits())
    assert again.recommend(USERS, 5).equals(fitted(name, "habits").recommend(USERS, 5))


@pytest.mark.parametrize("name", LEARNERS)
def test_odd_interactions_are_learned_from(name):
    """One user, one item, the same row many times, no times, a history of 3,000 items."""
    learner = LEARNERS[name]()
    one = table_of(np.array([0]), np.array([0]), np.array([0]))
    assert learner.fit(one).recommend(["u0", "nobody"], 3).to_pylist() == [
        {"user_id": "nobody", "item_id": "i000", "rank": 1, "score": 0.0}
    ]
    same = pa.concat_tables([one] * 5).drop_columns("at")
    assert learner.fit(same).recommend("u0", exclude_seen=False)["item_id"].to_pylist() == ["i000"]
    count = 3_000
    rows = np.arange(count)
    long = table_of(np.zeros(count, int), rows, rows * DAY)
    long = pa.concat_tables([long, table_of(np.ones(3, int), np.array([5, 6, 3_000]), np.arange(3) * DAY)])
    assert learner.fit(long).recommend("u0", 4)["item_id"].to_pylist() == ["i3000"]


@pytest.mark.parametrize("name", LEARNERS)
def test_ids_go_out_as_they_came_in(name):
    rows = pa.table({"user_id": [7, 7, 9, 9], "item_id": [1, 2, 2, 3], "at": [1.0, 2.0, 3.0, 4.0]})
    lists = LEARNERS[name]().fit(rows).recommend([9, 8], 1)
    assert lists["user_id"].to_pylist() == [9, 8]
    assert lists.schema.field("item_id").type == pa.int64()


BAD_SETTINGS = [
    (ItemKNN(neighbours=0), "item_knn: neighbours is 0. It is a whole number of 1 or more."),
    (ItemKNN(neighbours=2.5), "item_knn: neighbours is 2.5. It is a whole number of 1 or more."),  # type: ignore[arg-type]
    (CoVisitation(step_decay=1.5), "co_visitation: step_decay is 1.5. It is a number from 0 to 1."),
    (ItemHazard(half_life_days=0.0), "item_hazard: half_life_days is 0.0. It is a number above 0."),
    (RecentPopularity(float("nan")), "recent_popularity: recent_days is nan. It is a number of 0 or more."),
    (ALS(factors=True), "als: factors is True. It is a whole number of 1 or more."),
]


@pytest.mark.parametrize(("learner", "problem"), BAD_SETTINGS, ids=[one.name for one, _ in BAD_SETTINGS])
def test_a_setting_out_of_its_range_is_refused_in_words(learner, problem):
    with pytest.raises(BadInteractions) as refused:
        learner.fit(tastes(users=3))
    assert str(refused.value) == problem


@pytest.mark.parametrize("learner", [ALS(factors=8), ItemKNN(), TifuKnn(), UserWindowCf()], ids=lambda one: one.name)
def test_what_was_not_liked_is_no_success_but_is_left_out_as_it_was_seen(learner):
    """Everybody had i000 and disliked it; u0 and u1 like the same otherwise, and u1 likes i003 too."""
    user, item = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2]), np.array([0, 1, 2, 0, 1, 2, 3, 0, 4])
    rows = table_of(user, item, np.arange(len(user)) * DAY)
    fitted = learner.fit(rows.append_column("weight", pa.array(np.where(item == 0, -1.0, 1.0))))
    assert fitted.recommend("nobody", 5)["item_id"].to_pylist()[-1] == "i000"
    assert set(fitted.recommend("u0", 5)["item_id"].to_pylist()) == {"i003", "i004"}
    assert fitted.recommend("u0", 9, exclude_seen=False)["item_id"].to_pylist()[-1] == "i000"


@pytest.mark.parametrize("name", LEARNERS)
def test_rows_that_nobody_liked_are_learned_from_without_a_warning(name):
    rows = tastes(users=6)
    fitted = LEARNERS[name]().fit(rows.append_column("weight", pa.array(np.zeros(len(rows)))))
    assert np.isfinite(fitted.recommend(["u1", "nobody"], 3)["score"].to_numpy()).all()


def test_popularity_of_no_row_is_refused():
    known = Interactions.of(tastes(users=3))
    with pytest.raises(NotEnoughData, match="no row to learn from"):
        popularity(known.where(np.zeros(len(known), dtype=np.bool_)), 28.0)


def test_settings_of_numpy_and_of_mappings_are_saved(tmp_path):
    learner = CoVisitation(neighbours=np.int64(7), event_weights=MappingProxyType({"click": np.float32(2)}))  # type: ignore[arg-type]
    assert len({learner, learner}) == 1
    learner.fit(tastes(users=5)).save(tmp_path / "model")
    assert load(tmp_path / "model").learner == CoVisitation(neighbours=7, event_weights={"click": 2.0})


def test_interactions_that_cannot_be_read_are_refused_in_words():
    learner = RecentPopularity()
    rows = tastes(users=3)
    with pytest.raises(
        BadInteractions, match=r"there is no column item_id. Rename one of user_id, product, at to item_id"
    ):
        learner.fit(rows.rename_columns(["user_id", "product", "at"]))
    holes = pa.array([None, *rows["at"].to_pylist()[1:]], rows["at"].type)
    with pytest.raises(BadInteractions, match=f"1 of {rows.num_rows} rows have no at. Leave these rows out"):
        learner.fit(rows.set_column(2, "at", holes))
    with pytest.raises(BadInteractions, match="at is not a valid time"):
        learner.fit(rows.set_column(2, "at", pa.array(["yesterday"] * rows.num_rows)))
    with pytest.raises(BadInteractions, match="weight is not a number: string"):
        learner.fit(rows.append_column("weight", pa.array(["good"] * rows.num_rows)))
    with pytest.raises(BadInteractions, match="a table is needed"):
        learner.fit(3)
    with pytest.raises(NotEnoughData, match="no row to learn from"):
        learner.fit(rows.slice(0, 0))
    with pytest.raises(BadInteractions, match=r"k is 0\. Ask for 1 item or more"):
        learner.fit(rows).recommend("u1", 0)
