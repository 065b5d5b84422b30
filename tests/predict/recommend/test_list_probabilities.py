"""What scores mean: probabilities that were learned at a past cutoff."""

import numpy as np
import pytest
from scipy.special import expit

from patron.estimators.saving import from_json, to_json
from patron.predict.recommend.list_probabilities import ListedPairs, ListProbabilities, places_by_kind


def pairs_of(rng: np.random.Generator, customers: int = 1_500) -> tuple[ListedPairs, np.ndarray]:
    """Twenty products a customer, best first; repeats are likely by their score, new products by their place."""
    customer = np.repeat(np.arange(customers), 20)
    score = -np.sort(-rng.lognormal(size=(customers, 20)), axis=1).ravel()
    is_repeat = rng.random(len(score)) < 0.4
    place = places_by_kind(customer, is_repeat)
    truth = np.where(is_repeat, expit(-1.5 + 0.8 * np.log(score)), expit(-2 - 0.5 * np.log(place)))
    return ListedPairs(score, place, is_repeat, rng.random(len(score)) < truth), truth


def test_places_count_within_a_customer_and_a_kind():
    customer = np.array([4, 4, 4, 7, 7, 7])
    is_repeat = np.array([True, False, True, False, False, True])
    np.testing.assert_array_equal(places_by_kind(customer, is_repeat), [1, 1, 2, 1, 2, 1])


def test_probabilities_are_those_that_were_true():
    pairs, _ = pairs_of(np.random.default_rng(1))
    others, truth = pairs_of(np.random.default_rng(2))
    probability = ListProbabilities.fit(pairs).of(others.score, others.place, others.is_repeat)
    assert np.abs(probability - truth).mean() < 0.02
    for kind in (False, True):
        of_kind = others.is_repeat == kind
        assert probability[of_kind].mean() == pytest.approx(others.is_bought[of_kind].mean(), abs=0.01)


def test_no_order_within_a_customers_list_is_lost():
    rng = np.random.default_rng(3)
    pairs, _ = pairs_of(rng)
    noise = ListedPairs(pairs.score, pairs.place, pairs.is_repeat, rng.random(len(pairs.score)) < 0.1)
    for learned in (ListProbabilities.fit(pairs), ListProbabilities.fit(noise)):
        for kind in (False, True):
            score, place = np.geomspace(50, 0.5, 30), np.arange(1, 31)
            probability = learned.of(score, place, np.full(30, kind))
            assert (np.diff(probability) < 0).all()
            assert ((probability > 0) & (probability < 1)).all()


def test_a_kind_that_was_never_listed_is_unlikely_and_what_is_saved_is_the_same():
    pairs, _ = pairs_of(np.random.default_rng(4), customers=50)
    learned = ListProbabilities.fit(pairs.where(pairs.is_repeat))
    assert learned.of(np.array([9.0]), np.array([1]), np.array([False]))[0] < 1e-9
    again = from_json(to_json(learned), ListProbabilities)
    assert again == learned


@pytest.mark.parametrize("is_bought", [False, True])
def test_what_nobody_or_everybody_bought_has_a_probability_between(is_bought):
    pairs, _ = pairs_of(np.random.default_rng(5), customers=20)
    same = ListedPairs(pairs.score, pairs.place, pairs.is_repeat, np.full(len(pairs.score), is_bought))
    probability = ListProbabilities.fit(same).of(same.score, same.place, same.is_repeat)
    assert ((probability > 0) & (probability < 1)).all()
    assert np.abs(probability - is_bought).max() < 0.1
