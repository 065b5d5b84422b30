"""Who orders and who stays: interest wanes, offers act while they last, and nobody comes back who is gone."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from patron.simulate.demand import (
    NO_EXPOSURE,
    WEEKDAY_WEIGHT,
    Exposure,
    active_offers,
    added_hazard,
    interest,
    is_alive,
    is_sale,
    nudge_weights,
    order_chance,
    season,
    strength_of,
    visit_chance,
)
from patron.simulate.simulator_settings import CLASSES, PERSUADABLE, PUT_OFF, Offer

DAYS = np.arange(365, 440)


def exposed(people, offer, day, strength=1.0):
    count = len(people)
    return Exposure(people.person, np.full(count, offer), np.full(count, day), np.full(count, strength))


def test_weekdays_even_out():
    assert WEEKDAY_WEIGHT.mean() == pytest.approx(1)


def test_sales_come_three_times_a_year_and_last_a_month_together(small_shop):
    days = np.arange(366)
    on_sale = [small_shop.start + timedelta(days=int(day)) for day in days[is_sale(small_shop, days)]]
    assert len(on_sale) == 9 + 12 + 9
    assert {(day.month, day.day) for day in on_sale if day - timedelta(days=1) not in on_sale} == {
        (1, 3),
        (7, 1),
        (11, 22),
    }


def test_more_is_bought_before_christmas_than_in_june(small_shop):
    demand = season(small_shop, np.arange(366))
    months = np.array([(small_shop.start + timedelta(days=day)).month for day in range(366)])
    assert demand[months == 12].mean() == max(demand[months == month].mean() for month in range(1, 13))
    assert demand.min() > 0


def test_interest_only_wanes_and_only_in_those_who_slow_down(customers):
    remaining_interest = interest(customers, np.arange(0, 900, 50))
    slows = np.isfinite(customers.slowing_days)
    assert 0 < slows.sum() < len(customers)
    assert (remaining_interest[:, ~slows] == 1).all()
    assert (np.diff(remaining_interest, axis=0) <= 0).all()
    assert (remaining_interest[-1, slows] < 1).all()
    assert remaining_interest.min() >= 0


def test_twice_the_discount_is_less_than_twice_as_attractive(small_shop):
    one, twice = (strength_of(Offer("x", share), small_shop) for share in (0.1, 0.2))
    assert twice == pytest.approx(1)
    assert one < twice < 2 * one
    assert 0 < strength_of(Offer("free", is_free_shipping=True), small_shop) < one
    assert strength_of(Offer("nothing"), small_shop) == 0
    points, reminder = Offer("points", points_share=0.1), Offer("reminder", attention_share=0.02)
    assert 0 < strength_of(reminder, small_shop) < strength_of(points, small_shop) < one


def test_a_nudge_is_spent_within_the_days_of_the_offer_and_fades(small_shop):
    weights = nudge_weights(small_shop)
    assert len(weights) == small_shop.offer_days
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights) < 0).all()


def test_an_offer_is_in_force_for_its_days_and_the_last_one_counts(small_shop, customers):
    first, second = exposed(customers, 0, 370, 0.5), exposed(customers.rows(np.arange(10)), 1, 380, 0.8)
    found = active_offers(first.followed_by(second), customers, DAYS, small_shop)
    age = DAYS - 370
    assert np.array_equal(found.offer[:, 10] == 0, (age >= 0) & (age < small_shop.offer_days))
    assert np.array_equal(found.offer[:, 0] == 1, (age >= 10) & (age < 10 + small_shop.offer_days))
    assert np.array_equal(found.offer[:, 0] == 0, (age >= 0) & (age < 10))
    assert np.array_equal(found.strength > 0, found.offer >= 0)
    assert found.nudge_weight.sum(axis=0)[10:] == pytest.approx(np.ones(len(customers) - 10))


def test_offers_to_others_are_not_in_force(small_shop, customers):
    others, here = customers.rows(np.arange(100)), customers.rows(np.arange(100, len(customers)))
    assert (active_offers(exposed(others, 1, 370), here, DAYS, small_shop).offer == -1).all()
    assert (added_hazard(exposed(others, 1, 370), here, DAYS) == 0).all()


def test_offers_raise_the_orders_of_the_persuadable_and_lower_those_of_the_put_off(small_shop, customers):
    without = order_chance(customers, DAYS, small_shop, None)
    offered = order_chance(
        customers, DAYS, small_shop, active_offers(exposed(customers, 1, 365), customers, DAYS, small_shop)
    )
    within = small_shop.offer_days > DAYS - 365
    assert ((without > 0) & (without < 1)).all()
    assert (
        offered[within][:, customers.klass == PERSUADABLE] > without[within][:, customers.klass == PERSUADABLE]
    ).all()
    assert (offered[within][:, customers.klass == PUT_OFF] < without[within][:, customers.klass == PUT_OFF]).all()
    assert np.array_equal(offered[~within], without[~within])
    assert set(customers.klass.tolist()) == set(range(len(CLASSES)))


def test_prospects_look_around_between_their_first_visit_and_their_sign_up(small_shop, customers):
    waits = customers.rows(customers.signup_day > customers.first_visit_day + 1)
    first = np.arange(len(waits))
    chance = visit_chance(waits, np.arange(400), small_shop)
    assert (chance[waits.first_visit_day, first] == 1).all()
    assert (chance[waits.first_visit_day + 1, first] == 0.45).all()
    assert ((chance >= 0) & (chance <= 1)).all()


def test_who_is_gone_stays_away(customers):
    alive = is_alive(customers, np.arange(0, 1_500), NO_EXPOSURE)
    came = alive.argmax(axis=0)
    assert np.array_equal(came, customers.first_visit_day)
    assert (np.abs(np.diff(alive.astype(int), axis=0)).sum(axis=0) <= 2).all()
    assert np.array_equal(alive[-1], customers.dropout_day > 1_499)


def test_each_offer_adds_the_annoyance_of_a_person_once_and_for_good(customers):
    twice = exposed(customers, 1, 370).followed_by(exposed(customers, 1, 390))
    added = added_hazard(twice, customers, DAYS)
    times = (DAYS >= 370).astype(int) + (DAYS >= 390)
    assert added == pytest.approx(np.outer(times, customers.annoyance))


def test_the_answer_to_the_days_does_not_depend_on_how_they_are_split(customers):
    offers = exposed(customers, 1, 370).followed_by(exposed(customers, 1, 390))
    whole = is_alive(customers, DAYS, offers)
    parts = [is_alive(customers, days, offers) for days in (DAYS[:11], DAYS[11:40], DAYS[40:])]
    assert np.array_equal(np.concatenate(parts), whole)


def test_only_the_put_off_leave_because_of_offers(customers):
    many = exposed(customers, 1, 366)
    for day in range(367, 420):
        many = many.followed_by(exposed(customers, 1, day))
    gone = is_alive(customers, DAYS, NO_EXPOSURE) & ~is_alive(customers, DAYS, many)
    is_put_off = customers.klass == PUT_OFF
    assert gone[:, is_put_off].any()
    assert not gone[:, ~is_put_off].any()


def test_a_later_customer_of_the_shop_is_not_alive_before_the_first_visit(customers):
    late = replace(customers, first_visit_day=customers.first_visit_day + 400, signup_day=customers.signup_day + 400)
    assert not is_alive(late, np.arange(400), NO_EXPOSURE).any()
