"""The clock goes back an hour, or forward a day and back: nothing is done twice, and nothing waits for it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.shops import journey_shop
from tests.support.shops.campaign_shop import (
    AT,
    NAME,
    POLICY,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    messages,
    with_policy,
)
from tests.support.shops.journey_shop import HOUR, START, happen, journey

from patron.commands.access.idempotency import claim
from patron.commands.access.sign_in_limits import AT_THE_ADDRESS, SignInLimits
from patron.commands.data.schedule_runs import schedule_runs
from patron.commands.outreach.messages.message_events import sent_id
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.engage.channels.channel import Outcome
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import ALL_RIGHTS, Actor
from patron.schema.errors import AccessProblem
from patron.schema.tables import EVENTS
from patron.service.due_process import DueProcess
from patron.service.run_timer import RunTimer
from patron.storage.runs.jobs import FAILED, RUN, SCHEDULE, WAITING, add_job, job_of, new_job, update_job
from patron.storage.runs.lost_jobs import settle_lost_jobs

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEOPLE = [Person(f"p{n:02d}") for n in range(30)]


def send(shop, channel, at, *, steps=()):
    """Send; with steps the clock jumps by each of them after some of its readings."""
    readings = iter((*(at + step for step in steps for _ in range(6)), *[at] * 10_000))
    return send_campaign(RequestContext.from_name(shop, now=at, clock=lambda: next(readings)), NAME, channel=channel)


@pytest.mark.parametrize("steps", [(timedelta(0), -HOUR), (timedelta(0), DAY, timedelta(0)), (HOUR, -HOUR, 0 * HOUR)])
def test_a_send_in_whose_middle_the_clock_jumps_writes_to_everybody_once(shop, steps):
    shop = with_policy(shop, POLICY.replace("caps = []", "caps = [{ most = 1, within_days = 7 }]"))
    people = [Person(one.name, send_at=AT - 2 * HOUR) for one in PEOPLE]
    add_people(shop, people)
    approve(shop, people)
    channel = ScriptedChannel()
    send(shop, channel, AT, steps=steps)
    for hours in (0, -1, 1, 25):
        if set(messages(shop).values()) != {("sent", "")}:
            send(shop, channel, AT + hours * HOUR)
    assert sorted(channel.addresses) == sorted(person.address for person in people)
    assert set(messages(shop).values()) == {("sent", "")}


@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_what_waits_for_a_time_that_the_clock_went_back_from_waits_for_it_and_not_longer(shop, ahead):
    shop = with_policy(shop)
    add_people(shop, PEOPLE[:2])
    approve(shop, PEOPLE[:2])
    channel = ScriptedChannel(lambda _address, attempt: Outcome.DEFERRED if attempt == 1 else Outcome.SENT)
    first = send(shop, channel, AT + ahead)
    assert first.next_due_at == AT + ahead + MINUTE
    assert send(shop, channel, AT).waiting_count == 2
    assert send(shop, channel, AT + ahead + MINUTE).sent_count == 2
    assert sorted(channel.addresses) == sorted(one.address for one in PEOPLE[:2])


@pytest.mark.parametrize("ahead", [HOUR, 20 * HOUR])
def test_a_journey_sends_once_and_stores_its_events_although_the_clock_went_back(shop, ahead):
    shop = with_policy(shop)
    add_people(shop, PEOPLE[:4])
    journey_shop.start(shop, journey())
    happen(shop, *((person.name, "Product Added", START) for person in PEOPLE[:2]))
    channel = ScriptedChannel()
    journey_shop.advance(shop, START + HOUR + ahead, channel)
    happen(shop, *((person.name, "Product Added", START + HOUR) for person in PEOPLE[2:4]))
    for minutes in (60, 119, 121, 150):
        journey_shop.advance(shop, START + minutes * MINUTE, channel)
    assert sorted(channel.addresses) == sorted(one.address for one in PEOPLE[:4])
    stored = {row["event_id"] for row in shop.lake.read(EVENTS).to_pylist()}
    assert {sent_id(one.message_id) for one in channel.taken} <= stored


@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_attempts_to_sign_in_of_a_time_to_come_keep_nobody_out(ahead):
    limits = SignInLimits()
    for _ in range(AT_THE_ADDRESS.count):
        limits.count_attempt("a@b.example", "192.0.2.1", is_known=True, now=NOW + ahead)
    limits.count_attempt("a@b.example", "192.0.2.1", is_known=True, now=NOW)
    for _ in range(AT_THE_ADDRESS.count - 1):
        limits.count_attempt("a@b.example", "192.0.2.1", is_known=True, now=NOW)
    with pytest.raises(AccessProblem) as refused:
        limits.count_attempt("a@b.example", "192.0.2.1", is_known=True, now=NOW)
    assert refused.value.retry_seconds <= AT_THE_ADDRESS.within.total_seconds()


def scheduled_job(shop, at):
    with shop.store.begin() as connection:
        add_job(connection, job := new_job(RUN, {}, by=SCHEDULE, now=at))
    return job.job_id


def test_the_nightly_run_of_today_starts_although_one_of_tomorrow_did_and_not_twice_within_an_hour(shop):
    schedule_runs(RequestContext.from_name(shop, "Ada", now=NOW - 9 * DAY), "02:30")
    timer, night = RunTimer(shop, lambda: NOW), datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
    scheduled_job(shop, night + DAY + 9 * HOUR)  # why: what a clock that was a day ahead started
    assert timer.due_at(night + MINUTE) == night
    scheduled_job(shop, night + MINUTE)
    for at in (night + 2 * MINUTE, night - HOUR + 2 * MINUTE, night, night + HOUR / 120):
        assert timer.due_at(at) in {None, night - DAY}
    assert timer.due_at(night + HOUR / 120) is None, "the clock went back an hour after it was started"


@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_a_job_of_a_time_to_come_whose_process_died_makes_room(shop, ahead):
    job_id = scheduled_job(shop, NOW + ahead)
    assert job_of(shop.store, job_id).state == WAITING
    settle_lost_jobs(shop, now=NOW)
    assert job_of(shop.store, job_id).state == FAILED
    update_job(shop.store, job_id, state=FAILED)


@dataclass
class Failing(DueProcess):
    """A process that fails each time."""

    module = "no_such_module_of_patron"
    work = "trials"

    def is_due(self, _now):
        return True


@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_a_process_that_rests_after_a_failure_starts_again_although_the_clock_went_back(shop, ahead):
    times = [NOW + ahead]
    process = Failing(shop, lambda: times[-1])
    assert process.run_if_due()
    assert not process.run_if_due()
    times.append(NOW)
    assert process.run_if_due()
    assert not process.run_if_due(), "it rests again"


@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_a_request_that_nobody_answered_may_be_sent_again_although_the_clock_went_back(shop, ahead):
    one = claim(shop, Actor("Ada", ALL_RIGHTS, user_id="u"), "key", json.dumps({}).encode())
    assert one.begin(shop, now=NOW + ahead) is None
    assert one.begin(shop, now=NOW) is None
