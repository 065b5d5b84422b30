import numpy as np
import pyarrow as pa
import pytest

from patron.estimators.shrunken_rates import look_up, means_by_name, shrunk_means

NAMES = pa.chunked_array([["b", "a"], ["b", None]])
LABEL = np.array([1.0, 0.0, 1.0, 0.0])


def test_a_group_is_drawn_to_its_prior_as_by_so_many_rows_and_an_empty_one_has_it():
    means = shrunk_means(np.array([0, 0, 2]), np.array([1.0, 1.0, 0.0]), (0.5, 0.25, 0.5), 2.0)
    assert means.tolist() == [0.75, 0.25, pytest.approx(1 / 3)]


def test_weights_count_rows_as_more_or_fewer():
    weight = np.array([2.0, 1.0, 1.0])
    weighted = shrunk_means(np.array([0, 0, 1]), np.array([1.0, 0.0, 1.0]), (0.5, 0.5), 1.0, weight=weight)
    repeated = shrunk_means(np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 0.0, 1.0]), (0.5, 0.5), 1.0)
    assert weighted.tolist() == repeated.tolist()


@pytest.mark.parametrize("names", [NAMES, NAMES.dictionary_encode(), ["b", "a", "b", ""]])
def test_means_by_name_are_looked_up_by_row_and_an_unknown_name_has_the_mean_of_all(names):
    mean, means = means_by_name(names, LABEL, 2.0)
    assert (mean, means) == (0.5, {"b": 0.75, "a": pytest.approx(1 / 3), "": pytest.approx(1 / 3)})
    assert look_up(["a", "c", "b"], means, mean).tolist() == [pytest.approx(1 / 3), 0.5, 0.75]
    assert look_up([], means, mean).tolist() == []
