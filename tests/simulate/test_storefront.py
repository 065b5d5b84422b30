"""A storefront is the same for a seed, keeps to its choice model, and treats policies alike."""

from dataclasses import replace

import numpy as np
import pytest

from patron.schema.errors import InvalidTable
from patron.simulate.storefront import Storefront
from patron.simulate.storefront_policy import ShownList
from patron.simulate.storefront_settings import StorefrontSettings

SMALL = StorefrontSettings(shoppers=60, products_per_category=6)


class FirstAvailable:
    """The first available products of an order."""

    def __init__(self, order):
        self.order = np.asarray(order)
        self.requests, self.events, self.nights = [], [], []

    def recommend(self, request):
        self.requests.append(request)
        items = self.order[request.is_available[self.order]][: request.k]
        return ShownList(items, np.ones(len(items)))

    def observe(self, events):
        self.events += events

    def refresh(self, day):
        self.nights.append(day)


def run(order=range(150), settings=SMALL, days=60, seed=3):
    policy = FirstAvailable(order)
    return Storefront(settings, days=days, seed=seed).run(policy), policy


def test_the_same_seed_gives_the_same_year_and_another_seed_another():
    (one, _), (again, _), (other, _) = run(), run(), run(seed=4)
    assert np.array_equal(one.impressions.is_clicked, again.impressions.is_clicked)
    assert np.array_equal(one.purchases.item, again.purchases.item)
    assert not np.array_equal(one.visits.day, other.visits.day)
    assert one.impressions.is_clicked.any()


def test_a_list_that_no_page_could_show_is_refused():
    with pytest.raises(InvalidTable, match="different launched products"):
        run(order=[5, 5, 5], settings=replace(SMALL, launched_share=0.0, outage_share=0.0))
