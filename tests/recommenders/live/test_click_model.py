"""What shown lists teach: weights of the sources from simulated clicks, and responses counted by hand."""

import numpy as np
import pytest

from patron.recommenders.live.click_model import ASSUMED_ORDERS, PRIOR_CLICKS, SOURCES, ClickWeights, ProductResponse
from patron.recommenders.live.list_feedback import ListFeedback, learn_responses

TRUE = np.array([0.05, 0.3, 0.02, 0.1, 0.01, 0.002])
"""Weights of a shop whose visits say most; by default the customer's history does."""
PRIOR = ClickWeights().weights


def simulated(count: int, seed: int, weights: np.ndarray = TRUE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interests, places and clicks of shown products; each source speaks for a third of them."""
    rng = np.random.default_rng(seed)
    interests = rng.random((count, len(SOURCES))) * (rng.random((count, len(SOURCES))) < 1 / 3)
    interests[:, -1] = 1.0
    places = rng.integers(1, 11, count)
    rates = interests @ weights * ClickWeights().examined(places)
    return interests, places, (rng.random(count) < rates).astype(np.float64)


def test_weights_are_recovered_from_clicks_at_all_places():
    fitted = ClickWeights().fit(*simulated(60_000, 1)).weights
    assert np.argsort(fitted).tolist() == np.argsort(TRUE).tolist()
    np.testing.assert_allclose(fitted[:4], TRUE[:4], rtol=0.25)


def test_more_clicks_move_weights_further_from_their_defaults():
    session = SOURCES.index("session")
    errors = [
        np.mean(
            [abs(ClickWeights().fit(*simulated(count, seed)).weights[session] - TRUE[session]) for seed in range(4)]
        )
        for count in (1, 300, 3_000, 30_000)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.2
    assert errors[-1] < 0.03


def test_without_clicks_weights_stay_near_their_defaults_and_fall_with_looks():
    interests, places, _ = simulated(30, 2)
    none = np.zeros(30)
    nothing = ClickWeights().fit(np.empty((0, len(SOURCES))), np.empty(0, np.int64), np.empty(0)).weights
    np.testing.assert_allclose(nothing, PRIOR, rtol=1e-12)
    few = ClickWeights().fit(interests, places, none).weights
    many = ClickWeights().fit(np.tile(interests, (100, 1)), np.tile(places, 100), np.tile(none, 100)).weights
    assert (few <= PRIOR).all()
    assert (few > 0.6 * PRIOR).all()
    assert (many < few).all()
    assert (many > 0).all()


def test_responses_are_counted_by_product_and_source():
    only = dict(zip(SOURCES, np.eye(len(SOURCES)), strict=True))
    rows = [  # product, place, source, clicked, ordered
        (0, 1, "session", True, True),
        (0, 2, "session", False, False),
        (0, 1, "personal", True, False),
        (2, 4, "popular", False, True),  # why: an order without a click is not of this list
        (2, 1, "popular", False, False),
    ]
    columns = list(zip(*rows, strict=True))
    feedback = ListFeedback(
        np.array(columns[0]),
        np.array(columns[1]),
        np.array([only[source] for source in columns[2]]),
        np.array(columns[3]),
        np.array(columns[4]),
    )
    weights, response = learn_responses(feedback, 3)
    assert response.clicks.tolist() == [2, 0, 0]
    assert response.orders.tolist() == [1, 0, 0]
    learned = dict(zip(SOURCES, weights.weights, strict=True))
    prior_clicks = PRIOR_CLICKS / len(SOURCES)
    looks = 1 + 2**-0.35
    assert learned["session"] == pytest.approx((prior_clicks + 1) / (prior_clicks / 0.08 + looks))
    assert learned["taste"] == pytest.approx(0.02)
    expected = [learned["session"] * looks + learned["personal"], 0, learned["popular"] * (1 + 4**-0.35)]
    np.testing.assert_allclose(response.expected_clicks, expected)
    assert dict(zip(SOURCES, response.source_clicks - PRIOR_CLICKS, strict=True)) == pytest.approx(
        dict.fromkeys(SOURCES, 0.0) | {"session": 1.0, "personal": 1.0}
    )
    session_share = (PRIOR_CLICKS * ASSUMED_ORDERS["session"] + 1) / (PRIOR_CLICKS + 1)
    personal_share = PRIOR_CLICKS * ASSUMED_ORDERS["personal"] / (PRIOR_CLICKS + 1)
    np.testing.assert_allclose(response.expected_orders, [session_share + personal_share, 0, 0])


def test_a_product_with_twice_the_clicks_of_its_sources_counts_twice():
    count, products = 100_000, 50
    interests, places, _ = simulated(count, 3, PRIOR)
    rng, product = np.random.default_rng(4), np.arange(count) % products
    multiplier = np.where(product == 7, 2.0, 1.0)
    rates = multiplier * (interests @ PRIOR) * ClickWeights().examined(places)
    is_clicked = rng.random(count) < rates
    feedback = ListFeedback(product, places, interests, is_clicked, np.zeros(count, np.bool_))
    _, response = learn_responses(feedback, products)
    assert (product == 7).sum() == 2_000
    multipliers = response.multipliers(np.arange(products))
    error = np.sqrt(response.clicks[7]) / response.expected_clicks[7]
    assert multipliers[7] == pytest.approx(2, abs=3 * error)
    assert np.argmax(multipliers) == 7
    assert np.median(multipliers) == pytest.approx(1, abs=0.1)


def test_a_product_that_was_never_shown_is_as_its_sources_say_and_its_draws_spread_around_it():
    response = ProductResponse.unknown(2)
    response.clicks[1], response.expected_clicks[1] = 200.0, 100.0
    products = np.array([0, 1])
    np.testing.assert_allclose(response.multipliers(products), [1, 202 / 102])
    draws = response.draws(products, 4_000, np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean(axis=0), response.multipliers(products), rtol=0.05)
    assert draws[:, 0].std() > 4 * draws[:, 1].std()
    shares = np.eye(len(SOURCES))[:1]
    assert response.order_shares(np.array([0]), shares)[0] == pytest.approx(ASSUMED_ORDERS["personal"])
    before = response.order_shares(np.array([0]), shares)[0]
    response.add_click(0, shares[0])
    assert response.order_shares(np.array([0]), shares)[0] < before
    response.add_order(0, shares[0])
    assert response.order_shares(np.array([0]), shares)[0] > before
