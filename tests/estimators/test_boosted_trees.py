import numpy as np
import pytest

from patron.estimators.boosted_trees import BinnedMatrix, Trees

TREES = Trees(rounds=10)
SQUARES = {"objective": "l2"}


@pytest.fixture(scope="module")
def matrix():
    return np.random.default_rng(3).normal(size=(600, 5))


@pytest.fixture(scope="module")
def label(matrix):
    return 5 + matrix[:, 0] - matrix[:, 1] ** 2


def test_a_model_does_not_depend_on_those_fitted_to_the_matrix_before(matrix, label):
    binned, some = BinnedMatrix(matrix), np.arange(0, 600, 2)
    with_start = TREES.fit(binned, label, SQUARES, start=np.full(600, 3.0))
    of_some = TREES.fit(binned, label[some], SQUARES, rows=some)
    assert TREES.fit(binned, label, SQUARES).text == TREES.fit(matrix, label, SQUARES).text != with_start.text
    assert of_some.text == TREES.fit(BinnedMatrix(matrix), label[some], SQUARES, rows=some).text


def test_a_model_of_some_rows_is_nearly_that_of_a_matrix_of_only_these(matrix, label):
    some = np.arange(300)
    of_rows = TREES.fit(BinnedMatrix(matrix), label[some], SQUARES, rows=some).raw(matrix)
    assert np.corrcoef(of_rows, TREES.fit(matrix[some], label[some], SQUARES).raw(matrix))[0, 1] > 0.99
