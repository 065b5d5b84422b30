import numpy as np

from patron.experiments.skewed_intervals import standardised_ends


def test_a_value_skewed_downwards_may_lie_far_below_the_truth():
    plain = standardised_ends(0.0, 1.0, 0.0, reach=1.96)
    skewed = standardised_ends(0.0, 1.0, -1.0, reach=1.96)
    assert (plain.low, plain.high) == (-1.96, 1.96)
    assert skewed.low > plain.low
    assert skewed.high > plain.high


def test_the_value_stays_within_its_ends_however_skewed_it_is():
    for skewness in (-50.0, 50.0):
        found = standardised_ends(0.0, 1.0, skewness, reach=8.0)
        assert found.low < 0 < found.high


def test_ends_hold_the_mean_of_skewed_draws_on_both_sides():
    rng = np.random.default_rng(0)
    means = rng.gamma(0.5, 1.0, (20_000, 12)).mean(axis=1)
    error, skewness = np.sqrt(0.5 / 12), 2 / np.sqrt(0.5 * 12)
    ends = [standardised_ends(mean, error, skewness, reach=1.96) for mean in means]
    below, above = np.mean([end.high < 0.5 for end in ends]), np.mean([end.low > 0.5 for end in ends])
    plain_above = np.mean(means - 1.96 * error > 0.5)
    assert max(below, above) < 0.032
    assert plain_above > 0.035
