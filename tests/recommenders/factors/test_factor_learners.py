"""Learners of factors, on shops of tastes and of ratings."""

import numpy as np
import pyarrow as pa
import pytest
from made_interactions import ratings, tastes

from patron.recommenders import ALS, MatrixFactorisation, RecentPopularity, evaluate, split


@pytest.fixture(scope="module")
def rated() -> tuple[pa.Table, pa.Table]:
    """The shop of ratings, its last three weeks cut off."""
    return split(ratings(), "days:21")


@pytest.mark.parametrize("learner", [ALS(factors=16), MatrixFactorisation(factors=16)], ids=lambda one: one.name)
def test_factors_beat_popularity_where_users_differ_in_taste(learner):
    train, test = split(tastes(), "leave-last")
    _, row = evaluate(train, test, {"popular": RecentPopularity(), "factors": learner}).to_pylist()
    assert row["ndcg_cut_gain_low"] > 0.05


def test_als_solves_the_equations_of_its_paper():
    """At the end no user's vector can be improved: the gradient of the sum over all items is 0."""
    learner = ALS(factors=4, rounds=200, confidence=2.0)
    model = learner.fit(tastes(users=20, items=15, rows=5))
    had = model.catalogue.history.toarray()
    x, y = model.user_factors.astype(float), model.item_factors.astype(float)
    error = (1 + learner.confidence * had) * ((had > 0) - x @ y.T)
    penalty = learner.regularisation * np.sqrt((had > 0).sum(axis=1))[:, None] * x
    assert np.allclose(error @ y, penalty, atol=1e-3)
    assert abs(x).max() > 0.1


def squared_errors(learner, train, test) -> np.ndarray:
    """Of each rating of the test, all of whose users and items are known."""
    model = learner.fit(train)
    codes = (pa.compute.index_in(test[f"{kind}_id"], getattr(model.catalogue, f"{kind}s")) for kind in ("user", "item"))
    forecast = model.ratings(*(code.to_numpy() for code in codes))
    return (forecast - test["weight"].to_numpy()) ** 2


def test_factors_forecast_ratings_better_than_biases_and_biases_better_than_the_mean(rated):
    train, test = rated
    factors, biases = (squared_errors(MatrixFactorisation(rating_factors=count), train, test) for count in (8, 0))
    mean = (train["weight"].to_numpy().mean() - test["weight"].to_numpy()) ** 2
    for better, worse in ((factors, biases), (biases, mean)):
        gain = worse - better
        assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_factors_do_no_harm_to_forecasts_where_there_are_no_tastes(rated):
    train, test = rated
    rng = np.random.default_rng(0)
    noise = [table.set_column(3, "weight", pa.array(rng.normal(3, 1, len(table)))) for table in (train, test)]
    factors, biases = (squared_errors(MatrixFactorisation(rating_factors=count), *noise) for count in (8, 0))
    assert factors.mean() < 1.02 * biases.mean()


def test_a_rating_of_what_is_not_known_is_the_mean_with_the_biases_that_are_known(rated):
    train, _ = rated
    model = MatrixFactorisation(rating_factors=0).fit(train)
    nobody = model.ratings(np.array([-1, 5, -1]), np.array([-1, -1, 7]))
    assert nobody[0] == pytest.approx(train["weight"].to_numpy().mean())
    both = model.ratings(np.array([5]), np.array([7]))
    assert both[0] == pytest.approx(nobody[1] + nobody[2] - nobody[0])
    assert MatrixFactorisation().fit(tastes(users=9)).ratings(np.array([0]), np.array([0])) is None
