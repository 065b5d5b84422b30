"""A fitted recommender of items alone recommends from histories that come with the question."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_interactions import DAY, habits, ratings, table_of
from pyarrow import feather

from patron.recommenders import (
    LEARNERS,
    CoVisitation,
    FittedRecommender,
    ItemHazard,
    LearnedRanking,
    MatrixFactorisation,
    PersonalFrequency,
    load,
)
from patron.schema.errors import BadInteractions

NAMES = [name for name, learner in LEARNERS.items() if learner.has_item_side]
WITHOUT_ITEM_SIDE = [name for name in LEARNERS if name not in NAMES]
USERS = [f"u{number}" for number in (3, 77, 12, 5)]
ROWS = habits()
NO_ROWS = ROWS.slice(0, 0)


def rows_of(user: str) -> pa.Table:
    return ROWS.filter(pc.equal(ROWS["user_id"], user))


@pytest.fixture(scope="module")
def fitted():
    """Fit each learner once."""
    kept: dict[str, FittedRecommender] = {}

    def fit(name: str) -> FittedRecommender:
        if name not in kept:
            kept[name] = LEARNERS[name]().fit(ROWS)
        return kept[name]

    return fit


@pytest.fixture(scope="module")
def of_items(fitted, tmp_path_factory):
    """Each learner without users, saved and loaded; and the folder."""
    kept: dict[str, tuple[FittedRecommender, Path]] = {}

    def load_items(name: str) -> tuple[FittedRecommender, Path]:
        if name not in kept:
            folder = tmp_path_factory.mktemp(name)
            fitted(name).fold_in(NO_ROWS).save(folder)
            kept[name] = load(folder), folder
        return kept[name]

    return load_items


def assert_same_lists(lists: pa.Table, others: pa.Table) -> None:
    assert lists.drop_columns("score").equals(others.drop_columns("score"))
    assert np.allclose(lists["score"], others["score"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_it_was_fitted_to_change_nothing(name, fitted, of_items):
    before = fitted(name).recommend([*USERS, "nobody"], 8, exclude_seen=False)
    for model in (fitted(name), of_items(name)[0]):
        again = model.fold_in(ROWS)
        assert_same_lists(again.recommend([*USERS, "nobody"], 8, exclude_seen=False), before)
        assert_same_lists(again.recommend(USERS, 8), fitted(name).recommend(USERS, 8))


@pytest.mark.parametrize("name", NAMES)
def test_without_rows_no_file_says_anything_of_a_user(name, of_items):
    """No id of a user, in any file, and no array with a row for each of them."""
    model, folder = of_items(name)
    users = {f"u{number}" for number in range(120)}
    lengths: set[int] = set()
    for path in folder.rglob("*"):
        if path.suffix == ".feather":
            assert not users & set(feather.read_table(str(path))["id"].to_pylist())
        elif path.suffix == ".npz":
            lengths |= {int(one) for one in np.load(path)["shape"]}
        elif path.suffix == ".npy":
            lengths |= set(np.load(path).shape[:1])
        elif path.is_file():
            assert not any(f'"{user}"' in path.read_text() for user in users)
    assert not lengths & {119, 120, 121}
    assert_same_lists(model.recommend(["u3"], 5), model.recommend(["u3"], 5, exclude_seen=False))
    assert len(model.catalogue.users) == 0


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=st.sampled_from([f"u{number}" for number in range(120)]))
def test_one_users_rows_bring_back_that_users_list_and_everybody_elses_is_the_popular_one(name, user, fitted, of_items):
    model = of_items(name)[0].fold_in(rows_of(user))
    assert_same_lists(model.recommend([user], 6), fitted(name).recommend([user], 6))
    shown = fitted(name).recommend([user], 6, exclude_seen=False)
    assert_same_lists(model.recommend([user], 6, exclude_seen=False), shown)
    assert model.recommend(["nobody"], 9).equals(fitted(name).recommend(["nobody"], 9))


@pytest.mark.parametrize("name", NAMES)
def test_items_that_are_not_known_are_ignored_and_users_without_another_are_not_known(name, fitted):
    new = table_of(np.array([3, 900]), np.array([555, 556]), np.array([150, 150]) * DAY)
    model = fitted(name).fold_in(pa.concat_tables([rows_of("u3"), new]), at=fitted(name).catalogue.end_day)
    assert_same_lists(model.recommend(["u3"], 5), fitted(name).recommend(["u3"], 5))
    assert model.recommend(["u900"], 5)["item_id"].equals(fitted(name).recommend(["nobody"], 5)["item_id"])


@pytest.mark.parametrize("name", WITHOUT_ITEM_SIDE)
def test_what_recommends_from_other_users_refuses_in_words(name, fitted):
    with pytest.raises(BadInteractions, match=f"{name}: it recommends from other users' histories"):
        fitted(name).fold_in(NO_ROWS)


def test_ages_count_to_at_and_later_rows_do_not_count():
    learner = LearnedRanking(rounds=5)
    fitted = learner.fit(ROWS)
    first = pc.min(ROWS["at"]).as_py()
    half = first + timedelta(days=75)
    rows = rows_of("u3")
    earlier = rows.filter(pc.less_equal(rows["at"], half))
    assert 0 < earlier.num_rows < rows.num_rows
    at_half = [fitted.fold_in(rows, at=at) for at in (half, half.replace(tzinfo=UTC), half.timestamp() / DAY)]
    alone = fitted.fold_in(earlier, at=half)
    assert all(one.recommend("u3", 5).equals(alone.recommend("u3", 5)) for one in at_half[:2])
    days = [fitted.fold_in(earlier, at=at).facts.user_facts[0, 2] for at in (half, half + timedelta(days=9))]
    assert days[1] - days[0] == pytest.approx(9)
    later = datetime(1970, 9, 1, tzinfo=UTC)
    new = pa.table({"user_id": ["u3"], "item_id": ["i003"], "at": pa.array([later], pa.timestamp("s", "UTC"))})
    assert fitted.fold_in(new).facts.user_facts[0, 2] == 0
    for bad in (float("nan"), "yesterday", [1]):
        with pytest.raises(BadInteractions, match="at is"):
            fitted.fold_in(NO_ROWS, at=bad)


def test_rows_without_times_are_of_that_time_and_one_basket_stays_one():
    rows = pa.table({"user_id": ["v", "v"], "item_id": ["i003", "i007"]})
    fitted = LearnedRanking(rounds=5).fit(ROWS)
    assert fitted.fold_in(rows).facts.user_facts[0].tolist() == [2, 2, 0, 2]
    basket = CoVisitation().fit(ROWS).fold_in(rows)
    assert basket.profiles.data.tolist() == [1, 1]
    assert ItemHazard().fit(ROWS).fold_in(rows).recommend("v", 2, exclude_seen=False).num_rows == 2


def test_the_order_of_two_folds_does_not_matter_and_the_model_stays_as_it_was():
    fitted = PersonalFrequency().fit(ROWS)
    before = fitted.recommend(USERS, 5)
    one = fitted.fold_in(rows_of("u3"))
    both = one.fold_in(rows_of("u77")).fold_in(rows_of("u3"))
    assert both.recommend(USERS, 5).equals(one.recommend(USERS, 5))
    assert fitted.recommend(USERS, 5).equals(before)


def test_ratings_are_forecast_from_ratings_that_come_with_the_question():
    rows = ratings()
    model = MatrixFactorisation().fit(rows)
    item_side = model.fold_in(rows.slice(0, 0))
    again = item_side.fold_in(rows)
    pairs = [np.repeat(np.arange(40), 20), np.tile(np.arange(20), 40)]
    forecast, before = again.ratings(*pairs), model.ratings(*pairs)
    assert forecast is not None
    assert np.abs(forecast - before).mean() < 0.1
    assert np.allclose(item_side.ratings(np.array([-1]), np.array([4])), model.ratings(np.array([-1]), np.array([4])))
