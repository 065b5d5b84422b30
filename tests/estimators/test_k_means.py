"""Groups around means: the same as scikit-learn's, row for row, also where a group runs out of rows."""

import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.metrics import adjusted_rand_score

from patron.estimators.k_means import KMeans, adjusted_rand_index


def made_rows(seed, count):
    """Rows around a few means, some of them alike."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(rng.integers(0, 4, (count, 1)), 1.0, (count, 6))
    return rows.round(1) if seed % 2 else rows


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("groups", [2, 5, 8])
def test_groups_are_those_of_scikit_learn(seed, groups):
    rows = made_rows(seed, 130 + 40 * seed)
    for starts in (1, 8):
        expected = Reference(groups, n_init=starts, random_state=seed).fit(rows)
        fitted = KMeans(groups, starts).fit(rows, seed=seed)
        assert fitted.labels.tolist() == expected.labels_.tolist()
        assert fitted.means == pytest.approx(expected.cluster_centers_, abs=1e-12)
        assert fitted.predict(rows[::3]).tolist() == expected.predict(rows[::3]).tolist()


def test_a_group_that_runs_out_of_rows_gets_one_of_the_farthest():
    rows = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [50.0], [50.1], [90.0]])
    for seed in range(20):
        expected = Reference(6, n_init=1, random_state=seed).fit(rows)
        assert KMeans(6, 1).fit(rows, seed=seed).labels.tolist() == expected.labels_.tolist()


def test_the_index_of_two_groupings_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    for groups in (2, 4, 9):
        one, other = rng.integers(0, groups, (2, 200))
        other[:120] = one[:120]
        assert adjusted_rand_index(one, other) == adjusted_rand_score(one, other)
        assert adjusted_rand_index(one, (one + 1) % groups) == 1.0
