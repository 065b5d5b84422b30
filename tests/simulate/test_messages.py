"""Messages reach those who signed up, and are opened by those who are still there and still interested."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.simulate.demand import interest
from patron.simulate.event_batches import DAY_US
from patron.simulate.ground_truth import truth
from patron.simulate.messages import CLICKED_SHARE, campaign_names, newsletter, newsletter_days, offer_responses
from patron.simulate.random_streams import Draws
from patron.simulate.simulator import ShopSimulator


def named(events, name):
    return events.filter(pc.equal(events["name"], name))


@pytest.mark.parametrize("start", [date(2024, 1, 1), date(2023, 11, 20)])
def test_the_newsletter_goes_out_on_the_first_of_each_month_but_the_shops_first(small_shop, start):
    shop = replace(small_shop, start=start)
    sent = [start + timedelta(days=int(day)) for day in newsletter_days(shop, np.arange(200))]
    every_day = [start + timedelta(days=day) for day in range(1, 200)]
    assert sent == [day for day in every_day if day.day == 1]


def test_campaigns_are_named_after_the_month_in_which_they_go_out(small_shop):
    events = ShopSimulator(replace(small_shop, start=date(2023, 11, 20)), seed=7).history(80)
    messages = named(events, "Message Sent")
    months = set(pc.strftime(messages["occurred_at"], "newsletter-%Y-%m").to_pylist())
    assert months == {"newsletter-2023-12", "newsletter-2024-01", "newsletter-2024-02"}
    assert messages["campaign_id"].to_pylist() == pc.strftime(messages["occurred_at"], "newsletter-%Y-%m").to_pylist()


def test_campaign_names_never_repeat(small_shop):
    names = campaign_names(replace(small_shop, start=date(2023, 11, 20)), 40)
    assert len(set(names)) == 40
    assert names[:3] == ["newsletter-2023-11", "newsletter-2023-12", "newsletter-2024-01"]


def test_the_newsletter_reaches_everyone_who_signed_up_before_and_nobody_twice(year):
    messages, registered = named(year, "Message Sent"), named(year, "Customer Registered")
    for month in pc.unique(messages["campaign_id"]).to_pylist():
        of_month = messages.filter(pc.equal(messages["campaign_id"], month))
        that_day = pc.floor_temporal(pc.min(of_month["occurred_at"]), unit="day")
        earlier = registered.filter(pc.less(registered["occurred_at"], that_day))
        assert sorted(of_month["user_id"].to_pylist()) == sorted(earlier["user_id"].to_pylist())


def test_only_sent_messages_are_opened_and_only_opened_ones_clicked(year):
    at = {
        name: {
            (row["user_id"], row["campaign_id"]): row["occurred_at"]
            for row in named(year, name).select(["user_id", "campaign_id", "occurred_at"]).to_pylist()
        }
        for name in ("Message Sent", "Message Opened", "Message Clicked")
    }
    sent, opened, clicked = at.values()
    assert len(sent) > len(opened) > len(clicked) > 50
    assert all(time > sent[key] for key, time in opened.items())
    assert all(time > opened[key] for key, time in clicked.items())


def test_newsletters_are_opened_less_as_interest_wanes(small_shop, customers, come_true):
    everyone = np.ones(len(customers), bool)
    opened, chance = [], []
    for day in newsletter_days(small_shop, np.arange(700)):
        sent, opens, _ = newsletter(int(day), customers, everyone, small_shop, Draws(6))
        to = np.searchsorted(customers.person, sent.person)
        remaining_interest = interest(customers, np.array([day]))[0, to]
        opened.append(np.isin(sent.person, opens.person))
        chance.append(customers.opened_share[to] * (0.4 + 0.6 * remaining_interest))
    assert come_true(np.concatenate(opened), np.concatenate(chance))
    assert np.concatenate(opened[-3:]).mean() < np.concatenate(opened[1:4]).mean()


def test_who_has_left_opens_no_newsletter_and_gets_it_all_the_same(small_shop, customers):
    days = newsletter_days(small_shop, np.arange(300))
    is_there = np.arange(len(customers)) % 2 == 0
    for day in days[3:]:
        sent, opened, clicked = newsletter(int(day), customers, is_there, small_shop, Draws(2))
        assert np.isin(customers.person[~is_there & (customers.signup_day < day)], sent.person).all()
        assert len(opened) > 0
        assert np.isin(np.concatenate([opened.person, clicked.person]), customers.person[is_there]).all()


def test_offers_are_opened_as_often_as_people_open_and_clicked_by_a_share_of_them(simulated_year, come_true):
    people = simulated_year[0].people
    person = np.repeat(np.flatnonzero(~people.is_visitor), 30)
    exposed = np.tile(np.arange(30), len(person) // 30) * DAY_US
    decision = np.arange(len(person))
    alive = person % 3 > 0
    opened, clicked = offer_responses(person, exposed, decision, alive, people, Draws(3))
    is_opened = np.isin(decision, opened.decision)
    assert not is_opened[~alive].any()
    assert come_true(is_opened[alive], people.opened_share[person[alive]])
    assert np.isin(clicked.decision, opened.decision).all()
    assert come_true(np.isin(opened.decision, clicked.decision), CLICKED_SHARE)
    assert (opened.time_us > exposed[opened.decision]).all()


def test_two_offers_on_one_day_are_two_messages(small_shop, everyone_offered):
    world = ShopSimulator(small_shop, seed=8)
    world.history(90)
    users = truth(world, 30)["user_id"].to_pylist()
    first = everyone_offered(world, users, "SAVE10")
    second = first.set_column(3, "exposed_at", pa.array([world.now + timedelta(hours=12)] * len(users)))
    second = second.set_column(2, "decision_id", pa.array([f"second {user}" for user in users]))
    events = world.advance(world.now + timedelta(days=20), pa.concat_tables([first, second]))
    assert len(named(events, "Message Opened")) > len(users) // 2
    assert len(pc.unique(events["event_id"])) == len(events)
