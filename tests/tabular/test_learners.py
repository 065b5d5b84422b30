"""Every learner of the list keeps the same promises."""

import numpy as np
import pytest

from patron.schema.models.metrics import auc, log_loss
from patron.tabular import LEARNERS
from patron.tabular.learners import BASELINES
from patron.tabular.learners.standardising import Standardising

EVERY = {one.name: one for one in (*BASELINES, *LEARNERS.values())}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(1200, 6))
    matrix[:, 1] = rng.integers(0, 2, 1200)
    odds = 1.2 * matrix[:, 0] + 0.8 * matrix[:, 1] - 0.6 * matrix[:, 2] - 0.8
    label = (rng.random(1200) < 1 / (1 + np.exp(-odds))).astype(float)
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    return matrix[:800], label[:800], matrix[800:], label[800:]


def fit(name, matrix, label):
    return EVERY[name]().fit(matrix, label, sources=[f"x{at}" for at in range(matrix.shape[1])], seed=0)


@pytest.mark.parametrize("name", EVERY)
def test_forecasts_are_probabilities_in_row_order_one_row_like_many(name, rows):
    matrix, label, judged, _ = rows
    fitted = fit(name, matrix, label)
    forecast = fitted.predict(judged)
    assert forecast.shape == (len(judged),)
    assert ((forecast >= 0) & (forecast <= 1)).all()
    assert np.allclose(np.concatenate([fitted.predict(judged[at : at + 1]) for at in range(5)]), forecast[:5])


@pytest.mark.parametrize("name", EVERY)
def test_the_same_seed_fits_the_same_model(name, rows):
    matrix, label, judged, _ = rows
    assert (fit(name, matrix, label).predict(judged) == fit(name, matrix, label).predict(judged)).all()


@pytest.mark.parametrize("name", list(LEARNERS))
def test_a_learner_beats_the_majority_and_the_best_column(name, rows):
    matrix, label, judged, actual = rows
    forecast = fit(name, matrix, label).predict(judged)
    assert auc(actual, forecast) > auc(actual, fit("best_column", matrix, label).predict(judged))
    assert log_loss(actual, forecast) < log_loss(actual, fit("majority", matrix, label).predict(judged))


def test_the_best_column_is_the_one_that_says_most(rows):
    matrix, label, _, _ = rows
    assert fit("best_column", matrix, label).column == "x0"


def test_the_logistic_finds_the_pair_that_matters_and_none_in_noise():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(2000, 8))
    noise = (rng.random(2000) < 0.4).astype(float)
    crossed = (rng.random(2000) < 1 / (1 + np.exp(-1.5 * matrix[:, 2] * matrix[:, 5]))).astype(float)
    assert len(fit("logistic", matrix, noise).pairs) == 0
    found = fit("logistic", matrix, crossed)
    assert auc(crossed, found.predict(matrix)) > 0.75
    assert (2, 5) in {tuple(pair) for pair in found.pairs.tolist()}


def test_missing_numbers_are_filled_and_marked():
    matrix = np.array([[1.0, np.nan], [2.0, 4.0], [3.0, 6.0], [4.0, np.nan]])
    one = Standardising.of(matrix, is_curved=False)
    applied = one.apply(matrix)
    assert applied.shape == (4, 3)
    assert np.isfinite(applied).all()
    assert applied[0, 2] == applied[3, 2] > applied[1, 2]
    assert np.isfinite(one.apply(np.full((2, 2), np.nan))).all()


def test_a_column_without_any_number_is_filled_with_zero():
    matrix = np.column_stack([np.arange(4.0), np.full(4, np.nan)])
    assert np.isfinite(Standardising.of(matrix, is_curved=True).apply(matrix)).all()
