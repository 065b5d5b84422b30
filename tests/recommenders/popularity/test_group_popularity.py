"""Popularity by group: that of everybody where groups do not differ, the group's own where they do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.recommenders.popularity.group_popularity import MIN_CUSTOMERS, GroupPopularity

ITEMS, CUSTOMERS = 40, 600


def purchases(seed: int, difference: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Customers, items and channels of purchases, and the true shares of both channels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, ITEMS) + difference * rng.normal(0, 1, (2, ITEMS))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    channel = rng.integers(0, 2, CUSTOMERS)
    baskets = [np.unique(rng.choice(ITEMS, 6, p=shares[one])) for one in channel]
    customer = np.repeat(np.arange(CUSTOMERS), [len(basket) for basket in baskets])
    return customer, np.concatenate(baskets), channel[customer], shares


def errors(seed: int, difference: float) -> tuple[float, float]:
    """Mean distance to the true shares of the channels, by group and of everybody's."""
    customer, item, channel, shares = purchases(seed, difference)
    fitted = GroupPopularity.fit(customer, item, [channel], ITEMS)
    by_group = np.abs(np.array([fitted.shares([one]) for one in (0, 1)]) - shares).sum(axis=1)
    return float(by_group.mean()), float(np.abs(fitted.shares() - shares).sum(axis=1).mean())


@pytest.mark.parametrize("seed", range(3))
def test_groups_that_differ_have_their_own_list(seed):
    by_group, everybody = errors(seed, 1.0)
    assert by_group < 0.6 * everybody


@pytest.mark.parametrize("seed", range(3))
def test_groups_that_do_not_differ_have_everybodys(seed):
    by_group, everybody = errors(seed, 0.0)
    assert by_group < 1.1 * everybody


def test_a_campaign_without_purchases_has_its_channels_list():
    customer, item, channel, _ = purchases(0, 1.0)
    campaign = np.where(channel == 1, customer % 3, -1)
    fitted = GroupPopularity.fit(customer, item, [channel, campaign], ITEMS)
    np.testing.assert_array_equal(fitted.shares([1, 99]), fitted.shares([1]))
    np.testing.assert_array_equal(fitted.shares([99]), fitted.shares())


@pytest.mark.parametrize("count", [1, 19, 20])
def test_a_group_of_a_few_customers_has_the_wider_groups_list(count):
    """Who signs up by a referral link must not learn what its few customers bought."""
    customer, item, channel, _ = purchases(0, 1.0)
    people = np.arange(CUSTOMERS, CUSTOMERS + count).repeat(2)
    customer, item = np.append(customer, people), np.append(item, np.tile([ITEMS, ITEMS + 1], count))
    campaign = np.append(np.full(len(channel), -1), np.zeros(len(people), dtype=np.int64))
    channel = np.append(channel, np.ones(len(people), dtype=np.int64))
    fitted = GroupPopularity.fit(customer, item, [channel, campaign], ITEMS + 2)
    assert np.array_equal(fitted.shares([1, 0]), fitted.shares([1])) == (count < MIN_CUSTOMERS)


ROWS = st.lists(st.tuples(*(st.integers(0, 5) for _ in range(2)), *(st.integers(-1, 2) for _ in range(2))), max_size=30)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.tuples(st.integers(-1, 3), st.integers(-1, 3)))
def test_shares_are_positive_and_add_up_to_one(rows, path):
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    fitted = GroupPopularity.fit(columns[0], columns[1], list(columns[2:]), 6)
    for shares in (fitted.shares(path), fitted.shares(path, [0])):
        assert shares.min() > 0
        assert shares.sum() == pytest.approx(1)
