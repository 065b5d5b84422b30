"""Two towers: items that nobody had are ranked by what is known of them, users by their facts."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made_interactions import table_of, tastes

from patron.recommenders import RecentPopularity, TwoTowers, load
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.content import ProductVectors
from patron.recommenders.interactions import Interactions
from patron.recommenders.networks.two_towers import FittedTwoTowers
from patron.recommenders.side_facts import SideFacts
from patron.schema.errors import BadInteractions, MissingExtra

SMALL = TwoTowers(width=16, fewest_updates=150, negatives=100, learning_rate=0.01)
GROUPS = ("tea", "wine", "soap")
USERS = [f"u{number}" for number in range(0, 150, 5)]


def products(items: int = 72) -> pa.Table:
    """Items 60 to 71 are new; the group of an item is its category."""
    return pa.table(
        {
            "product_id": [f"i{index:03d}" for index in range(items)],
            "category": [GROUPS[index % 3] for index in range(items)],
            "price_cents": [100 + index for index in range(items)],
        }
    )


def share_of_taste(lists: pa.Table) -> float:
    """How many items are of the user's group; a third by chance."""
    users, items = (lists[name].to_pylist() for name in ("user_id", "item_id"))
    return float(np.mean([int(user[1:]) % 3 == int(item[1:]) % 3 for user, item in zip(users, items, strict=True)]))


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"two_towers: torch is not installed.*pip install 'patron\[deep\]'"):
        SMALL.fit(tastes(users=3))


def test_facts_are_columns_of_values_and_standard_deviations():
    facts = SideFacts.of(
        pa.table({"user_id": ["b", "a", "c"], "age": [20.0, None, 40.0], "channel": ["ad", "shop", "ad"]})
    )
    rows = facts.rows_of(pa.array(["a", "b", "nobody", "c"])).toarray()
    assert rows[:, 0].tolist() == [0, -1, 0, 1]
    assert (rows[:, 1:] > 0).tolist() == [[False, True], [True, False], [False, False], [True, False]]
    assert rows[0, 2] > rows[1, 1], "what is rare says more"


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ({"id": ["a"]}, "user_id"),
        ({"user_id": ["a", "a"]}, "user_id is missing or repeated"),
        ({"user_id": ["a"], "tags": [["x"]]}, "tags is neither text nor a number"),
    ],
)
def test_facts_that_cannot_be_read_are_refused(frame, problem):
    with pytest.raises(BadInteractions, match=problem):
        SideFacts.of(pa.table(frame))


def towers_at_random(rows: pa.Table, users: pa.Table) -> FittedTwoTowers:
    """Two towers as they are before they learn, for which torch is not needed."""
    rng = np.random.default_rng(0)
    known, facts = Interactions.of(rows), SideFacts.of(users)
    assert facts.facts is not None
    inputs = rng.normal(size=(len(known.items), 4)).astype(np.float32)
    weights = tuple(rng.normal(size=(rows, 4)).astype(np.float32) for rows in (facts.facts.shape[1], 4, 4))
    x = SMALL.user_vectors(known, inputs, facts, weights)
    return FittedTwoTowers(SMALL, Catalogue.of(known), x, inputs, inputs, weights, facts.ids, facts.facts)


def test_users_and_their_facts_leave_with_a_fold(tmp_path):
    rows = tastes(users=6)
    channels = pa.table({"user_id": [f"u{index}" for index in range(6)], "channel": ["mail", "app"] * 3})
    fitted = towers_at_random(rows, channels)
    only = rows.filter(pc.equal(rows["user_id"], "u1"))
    kept = fitted.fold_in(only)
    assert kept.user_ids.to_pylist() == ["u1"]
    place = fitted.catalogue.users.to_pylist().index("u1")
    np.testing.assert_array_equal(kept.user_factors[0], fitted.user_factors[place])
    fitted.fold_in(rows.slice(0, 0)).save(tmp_path)
    again = load(tmp_path)
    assert (again.user_ids.to_pylist(), again.user_facts.nnz) == ([], 0)
    assert again.fold_in(only).recommend("u1", 2).num_rows == 2


@pytest.mark.extra
def test_new_items_are_ranked_by_content_and_kept_without_torch(import_extra, monkeypatch, tmp_path):
    import_extra("torch", "deep")
    rows, catalogue = tastes(), products()
    fitted = SMALL.fit(rows, products=catalogue)
    new = [f"i{index:03d}" for index in range(60, 72)]
    lists = fitted.recommend(USERS, 4, filter=new)
    assert share_of_taste(lists) > 0.6
    assert share_of_taste(fitted.recommend(USERS, 4)) > 0.6
    assert SMALL.fit(rows, products=catalogue).recommend(USERS, 4, filter=new).equals(lists)
    monkeypatch.setitem(sys.modules, "torch", None)
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert again.recommend(USERS, 4, filter=new).equals(lists)
    assert again.fold_in(rows).recommend(USERS, 4, filter=new)["item_id"].equals(lists["item_id"])
    assert {int(similar_id[1:]) % 3 for similar_id in again.similar(["i070"], 3)["similar_id"].to_pylist()} == {1}


@pytest.mark.extra
def test_facts_of_users_speak_where_histories_do_not(import_extra):
    """Everybody has one item of all at random first, then one of the group that their channel says."""
    import_extra("torch", "deep")
    rng = np.random.default_rng(0)
    user = np.arange(400).repeat(2)
    item = np.column_stack([rng.integers(0, 30, 400), 3 * rng.integers(0, 10, 400) + np.arange(400) % 3]).ravel()
    rows = table_of(user, item, np.arange(800))
    users = pa.table(
        {"user_id": [f"u{index}" for index in range(400)], "channel": [str(index % 3) for index in range(400)]}
    )
    fitted = SMALL.fit(rows, users=users)
    first = fitted.fold_in(rows.filter(pa.array(np.arange(800) % 2 == 0)))
    assert share_of_taste(first.recommend(users["user_id"], 3)) > 0.8


@pytest.mark.extra
def test_odd_interactions_are_learned_from(import_extra):
    import_extra("torch", "deep")
    one = table_of(np.array([0]), np.array([0]), np.array([0]))
    assert TwoTowers(width=8).fit(one).recommend(["u0", "nobody"], 3)["user_id"].to_pylist() == ["nobody"]
    popular = RecentPopularity().fit(tastes()).recommend("nobody", 5)["item_id"]
    assert SMALL.fit(tastes(), products=products()).recommend("nobody", 5)["item_id"].equals(popular)


@pytest.mark.extra
def test_it_ranks_by_looks_no_worse_than_how_alike_they_are(import_extra):
    """What it learns beyond the content must hold for users that it did not learn from."""
    import_extra("torch", "deep")
    rng = np.random.default_rng(0)
    users, items, length = 300, 400, 9
    looks = rng.normal(size=(items, 8))
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    odds = 4 * rng.normal(size=(users, 8)) @ looks.T
    item = (odds[:, None] + rng.gumbel(size=(users, length, items))).argmax(axis=2)
    before, last = item[:, :-1], item[:, -1:]
    user = np.arange(users)
    rows = table_of(user.repeat(length - 1), before.ravel(), np.tile(np.arange(length - 1), users))
    ids = pa.array([f"i{index:03d}" for index in range(items)])
    fitted = TwoTowers(width=8).fit(rows, ProductVectors(ids, looks.astype(np.float32), np.ones(items, dtype=bool)))
    lists = fitted.recommend([f"u{index}" for index in user], 10, exclude_seen=False)
    listed = np.array([int(item_id[1:]) for item_id in lists["item_id"].to_pylist()]).reshape(users, 10)
    alike = np.argsort(-looks[before].sum(axis=1) @ looks.T, axis=1)[:, :10]
    hits, hits_by_looks = ((some == last).any(axis=1).mean() for some in (listed, alike))
    assert hits_by_looks > 3 * 10 / items
    assert hits >= hits_by_looks - 0.02
