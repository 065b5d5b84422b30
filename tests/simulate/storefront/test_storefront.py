"""A storefront is the same for a seed, keeps to its choice model, and treats policies alike."""

from dataclasses import replace

import numpy as np
import pytest

from patron.schema.errors import InvalidTable
from patron.simulate.storefront.storefront import Storefront
from patron.simulate.storefront.storefront_policy import ShownList
from patron.simulate.storefront.storefront_settings import StorefrontSettings

SMALL = StorefrontSettings(shoppers=60, products_per_category=6)
SHUFFLED = np.random.default_rng(1).permutation(150)


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


class TrueOrder:
    """Best true chances of a click first: what nobody can know."""

    def __init__(self, shop):
        self.click = lambda request: shop.true_chances(request)[0]

    def recommend(self, request):
        click = self.click(request)
        items = np.argsort(np.where(request.is_available, -click, 1.0))[: request.k]
        return ShownList(items, np.ones(len(items)))

    def observe(self, events):
        pass

    def refresh(self, day):
        pass


def expected_gain(taste, seed=3):
    """Gain of the true order over one list for everybody, the products most clicked by all."""
    settings = replace(SMALL, taste_strength=taste)
    shop = Storefront(settings, days=40, seed=seed)
    best = shop.run(TrueOrder(shop))
    same, _ = run(order=np.argsort(-np.nan_to_num(best.true_click_share)), settings=settings, days=40, seed=seed)
    return best.expected_click_rate() / same.expected_click_rate()


def test_halving_taste_shrinks_what_knowing_it_is_worth():
    assert expected_gain(0.5) < expected_gain(1.0)


def test_what_the_visit_is_about_is_worth_something_on_top_of_tastes():
    shop, other = (Storefront(SMALL, days=40, seed=3) for _ in range(2))
    by_taste = TrueOrder(shop)
    by_taste.click = shop.expected_click
    assert shop.run(by_taste).expected_click_rate() < other.run(TrueOrder(other)).expected_click_rate()


def test_clicks_fall_with_the_position():
    result, _ = run(settings=replace(SMALL, examination_exponent=1.0, click_logit=-3.0), order=SHUFFLED)
    shown = result.impressions
    first, last = (shown.is_clicked[(shown.position == place)].mean() for place in (1, 10))
    assert first > 3 * last
    assert abs(shown.is_clicked.mean() - shown.click_chance.mean()) < 4 * np.sqrt(
        shown.click_chance.mean() / len(shown.item)
    )


def test_what_is_not_available_is_not_bought_and_every_list_is_of_launched_products():
    result, policy = run(settings=replace(SMALL, outage_share=0.4, launched_share=0.5), days=90)
    available = {
        (int(request.at), item): request.is_available[item] for request in policy.requests for item in range(150)
    }
    bought = [available[day, item] for day, item in zip(result.purchases.day, result.purchases.item, strict=True)]
    assert all(bought)
    assert len(bought) > 50
    assert np.all(result.products.launch_day[result.impressions.item] <= result.impressions.day)


def test_new_products_appear_through_the_year_and_come_to_be_bought():
    _, policy = run(settings=replace(SMALL, launched_share=0.5, outage_share=0.0, year_days=120), days=120)
    first, last = policy.requests[0].is_available.sum(), policy.requests[-1].is_available.sum()
    middle = policy.requests[len(policy.requests) // 2].is_available.sum()
    assert first < middle < last == 150
    launch = Storefront(replace(SMALL, launched_share=0.5, year_days=120), days=1, seed=3).products.launch_day
    assert {event.item for event in policy.events if event.kind == "bought"} & set(np.flatnonzero(launch > 30))


def test_consumables_are_bought_again_with_their_rhythm_and_durable_products_hardly_ever():
    result, _ = run(settings=replace(SMALL, shoppers=80, buy_logit=-3.0), days=300, order=SHUFFLED)
    bought, is_consumable = result.purchases, result.products.is_consumable
    assert 0.25 < result.repeat_share() < 0.7
    pairs = bought.shopper * 150 + bought.item
    order = np.lexsort((bought.day, pairs))
    is_same = pairs[order][1:] == pairs[order][:-1]
    gaps, consumable = np.diff(bought.day[order])[is_same], is_consumable[bought.item[order][1:]][is_same]
    assert consumable.mean() > 0.9
    assert 15 < np.median(gaps[consumable]) < 60


def test_equal_policies_get_equal_results_and_other_lists_other_purchases_on_most_of_the_same_visits():
    (one, _), (other, _) = run(), run(order=range(149, -1, -1))
    keys = [result.visits.day * 60 + result.visits.shopper for result in (one, other)]
    assert not np.array_equal(one.impressions.item, other.impressions.item)
    assert len(np.intersect1d(*keys)) > 0.95 * len(keys[0])


def test_events_come_in_order_of_time_and_agree_with_the_logs():
    result, policy = run()
    times = [event.at for event in policy.events]
    assert times == sorted(times)
    counts = {kind: sum(event.kind == kind for event in policy.events) for kind in ("shown", "clicked", "bought")}
    assert counts["shown"] == len(result.impressions.item)
    assert counts["clicked"] == result.impressions.is_clicked.sum()
    assert counts["bought"] == len(result.purchases.item) == result.per_day()["purchases"].sum()
    assert policy.nights == list(range(60))
    assert any(
        request.context_item is not None and request.context_item in request.session_items
        for request in policy.requests
    )
    assert any(request.shopper is None for request in policy.requests)
