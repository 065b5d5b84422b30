"""Classes of customers who answer offers alike, found where they are planted."""

from dataclasses import replace

import numpy as np
import pytest

from patron.schema.errors import BadTrial
from patron.uplift import ResponseClasses, ResponseHistory

CUSTOMERS, MONTHS, OFFERS = 4_000, 4, 2
ADDED = np.array([0.1, 0.3])
"""Orders that each offer adds where somebody answers it."""
ANSWERING_SHARE = 0.3


def history(seed=0, opened=(0.5, 0.2), redeemed=(0.9, 0.3), factor=1.0):
    """Decisions by lot; whether each customer answers offers, and the orders expected of each."""
    rng = np.random.default_rng(seed)
    answers = rng.random(CUSTOMERS) < ANSWERING_SHARE
    rate = rng.gamma(1.0, 0.2, CUSTOMERS) + 0.01
    customer = np.repeat(np.arange(CUSTOMERS), MONTHS)
    offer = rng.integers(-1, OFFERS, len(customer))
    added = np.where((offer >= 0) & answers[customer], ADDED[offer], 0.0)
    expected = rate[customer]
    orders = rng.poisson(expected * np.where(offer >= 0, factor, 1.0) + added).astype(float)
    sent = rng.poisson(10, CUSTOMERS).astype(float)
    of_class = np.where(answers, 0, 1)
    opens = rng.binomial(sent.astype(int), np.array(opened)[of_class]).astype(float)
    offered = np.bincount(customer, orders * (offer >= 0), minlength=CUSTOMERS)
    used = rng.binomial(offered.astype(int), np.array(redeemed)[of_class]).astype(float)
    made = ResponseHistory(customer, offer, orders, expected, sent, opens, offered, used)
    return made, answers, rate


def test_who_answers_offers_is_found_and_what_they_add():
    made, answers, rate = history()
    found = ResponseClasses().fit(made)
    parameters = found.parameters
    assert np.abs(parameters.extra_orders[0] - ADDED).max() < 0.05
    assert parameters.extra_orders[1].max() < 0.03
    assert abs(parameters.class_share[0] - ANSWERING_SHARE) < 0.06
    assert np.abs(parameters.opened_share - [0.5, 0.2]).max() < 0.06
    assert np.abs(parameters.redeemed_share - [0.9, 0.3]).max() < 0.06
    assert np.allclose(found.membership.sum(axis=1), 1)
    assert found.membership[answers, 0].mean() > found.membership[~answers, 0].mean() + 0.5
    true = answers[:, None] * ADDED
    effect = found.added_orders(rate)
    assert np.corrcoef(effect.ravel(), true.ravel())[0, 1] > 0.7
    assert abs(effect.mean() - true.mean()) < 0.02


def test_an_offer_that_brings_more_orders_where_more_are_expected_multiplies_them():
    made, answers, rate = history(factor=1.5)
    effect = ResponseClasses().fit(made).added_orders(rate)
    true = 0.5 * rate[:, None] + answers[:, None] * ADDED
    assert abs(effect.mean() / true.mean() - 1) < 0.1
    often = rate > np.quantile(rate, 0.9)
    assert abs(effect[often].mean() / true[often].mean() - 1) < 0.2  # two standard errors; the mean of all is 60 % off


def test_codes_are_used_by_those_who_redeem():
    made, answers, rate = history()
    found = ResponseClasses().fit(made)
    expected = (rate[:, None] + answers[:, None] * ADDED) * np.where(answers, 0.9, 0.3)[:, None]
    assert abs(found.redeemed_orders(rate).mean() / expected.mean() - 1) < 0.1


def test_with_one_class_all_get_the_mean():
    made, _, rate = history()
    found = ResponseClasses(1).fit(made)
    assert abs(found.added_orders(rate).mean() - ANSWERING_SHARE * ADDED.mean()) < 0.02
    assert found.membership.tolist() == [[1.0]] * CUSTOMERS
    assert np.ptp(found.added_orders(np.full(CUSTOMERS, 0.2)), axis=0).tolist() == [0.0, 0.0]


def test_offers_that_do_nothing_are_found_to_do_nothing():
    rng = np.random.default_rng(3)
    made, _, rate = history()
    made = replace(made, order_count=rng.poisson(made.expected_orders).astype(float))
    assert np.abs(ResponseClasses().fit(made).added_orders(rate).mean(axis=0)).max() < 0.015


def test_who_has_left_is_not_taken_for_put_off_by_offers():
    made, _, rate = history()
    left = np.arange(CUSTOMERS) % 2 == 0
    counts = {"order_count": np.where(left[made.customer], 0.0, made.order_count)}
    counts |= {"opened_count": np.where(left, 0.0, made.opened_count)}
    counts |= {name: np.where(left, 0.0, getattr(made, name)) for name in ("offered_order_count", "redeemed_count")}
    found = ResponseClasses().fit(replace(made, **counts))
    effect = found.added_orders(rate)
    assert np.abs(effect[left].mean(axis=0)).max() < 0.02
    assert found.parameters.usual_factor[0] > 0.9
    assert found.parameters.usual_factor[1] < 0.6


def test_extra_orders_of_a_part_of_the_window_stand_for_the_whole():
    rng = np.random.default_rng(5)
    made, answers, rate = history()
    share = rng.choice([0.25, 1.0], len(made.customer))
    added = np.where((made.offer >= 0) & answers[made.customer], ADDED[made.offer], 0.0)
    orders = rng.poisson(share * (rate[made.customer] + added)).astype(float)
    part = replace(made, order_count=orders, expected_orders=share * rate[made.customer], window_share=share)
    found = ResponseClasses().fit(part)
    true = answers[:, None] * ADDED
    assert np.abs(found.added_orders(rate).mean(axis=0) / true.mean(axis=0) - 1).max() < 0.3
    whole = ResponseClasses().fit(replace(part, window_share=None))
    assert (whole.added_orders(rate).mean(axis=0) < 0.8 * true.mean(axis=0)).all()


def test_the_class_that_answers_more_is_the_first_also_where_an_offer_multiplies_orders():
    rng = np.random.default_rng(2)
    made, answers, _ = history()
    doubled = np.where((made.offer >= 0) & answers[made.customer], 2.0, 1.0)
    found = ResponseClasses().fit(replace(made, order_count=rng.poisson(made.expected_orders * doubled).astype(float)))
    assert found.membership[answers, 0].mean() > found.membership[~answers, 0].mean() + 0.4
    assert found.parameters.opened_share[0] > found.parameters.opened_share[1]


def test_the_order_of_decisions_makes_no_difference():
    made, _, rate = history()
    order = np.random.default_rng(1).permutation(len(made.customer))
    names = ("customer", "offer", "order_count", "expected_orders")
    shuffled = replace(made, **{name: getattr(made, name)[order] for name in names})
    one, other = (ResponseClasses().fit(rows).added_orders(rate) for rows in (made, shuffled))
    assert np.allclose(one, other, atol=1e-6)


def test_a_customer_without_a_decision_is_as_likely_in_a_class_as_their_messages_say():
    made, _, _ = history()
    two_more = {
        "sent_count": (20.0, 20.0),
        "opened_count": (18.0, 0.0),
        "offered_order_count": (0.0, 0.0),
        "redeemed_count": (0.0, 0.0),
    }
    more = {name: np.append(getattr(made, name), values) for name, values in two_more.items()}
    found = ResponseClasses().fit(replace(made, **more))
    assert found.membership[-2, 0] > 0.9
    assert found.membership[-1, 0] < 0.1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"offer": np.full(CUSTOMERS * MONTHS, -1)}, "no decision has an offer"),
        ({"order_count": np.zeros(3)}, "different lengths"),
        ({"sent_count": np.zeros(CUSTOMERS)}, "opened_count: is above sent_count"),
        ({"redeemed_count": np.full(CUSTOMERS, np.nan)}, "redeemed_count: values are missing"),
        ({"offer": np.full(CUSTOMERS * MONTHS, -2)}, "offer: not the number"),
        ({"customer": np.full(CUSTOMERS * MONTHS, CUSTOMERS)}, "customer: not the number"),
    ],
)
def test_a_bad_history_is_refused(changed, words):
    made, _, _ = history()
    with pytest.raises(BadTrial, match=words):
        ResponseClasses().fit(replace(made, **changed))


def test_no_class_is_refused():
    with pytest.raises(BadTrial, match="classes is 0"):
        ResponseClasses(0).fit(history()[0])
