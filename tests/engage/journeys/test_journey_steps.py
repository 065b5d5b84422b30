"""Steps of a journey by time and by events: every entry ends, whatever happens and whenever it is looked at."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from patron.engage.journeys.journey_fold import Occurrence, TriggerMatch, apply_events
from patron.engage.journeys.journey_steps import INSTANT, Entry, advance_clock, after_event, enter_step, may_enter
from patron.storage.outreach.journey_file import Journey, Send

AT = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVENTS = ("Product Added", "Product Viewed", "Order Completed")
TEXT = {"en": {"subject": "Hello", "body": "Hello", "format": "text"}}


def journey(steps, **changes):
    content = {"name": "j", "trigger": {"event": "Product Added"}, "steps": steps, "topic": "t", "monthly_budget": 1.0}
    return Journey.of(content | changes, where="test")


def entry(of, at=AT):
    return enter_step(Entry("e", "j", 1, "c", "t", False, at, 0, at, at), of, 0, at)


@st.composite
def journeys(draw):
    count = draw(st.integers(1, 6))
    steps = []
    for place in range(count):
        targets = st.sampled_from(["", "end", *(f"s{later}" for later in range(place + 1, count))])
        leads = {"then": draw(targets), "otherwise": draw(targets)}
        minutes = {"minutes": draw(st.integers(1, 90))}
        step = draw(
            st.sampled_from(
                [
                    {"do": "wait"} | minutes,
                    {"do": "wait_for", "event": "Product Viewed"} | leads | minutes,
                    {"do": "branch", "rule": {}} | leads,
                    {"do": "send", "template": TEXT},
                    {"do": "exit"},
                ]
            )
        )
        steps.append(step | {"id": f"s{place}"})
    again = draw(st.none() | st.floats(0, 0.2))
    return journey(steps, exit_on=draw(st.sampled_from([(), ("Order Completed",)])), reenter_after_days=again)


THINGS = st.lists(st.tuples(st.integers(1, 600), st.sampled_from(EVENTS)), max_size=12)
ROUNDS = st.lists(st.integers(1, 700), max_size=6)


def holds_at_even_places(_entry, place):
    return place % 2 == 0


def play(of, things, rounds):
    """What becomes of a customer, where rounds look at minutes; what is to be sent is settled in its round."""
    entries = {}
    looked = 0
    for now in [*sorted(set(rounds)), 100_000]:
        until = AT + now * MINUTE
        part = [(minute, name) for minute, name in things if looked < minute <= now]
        occurrences = [Occurrence("c", name, AT + minute * MINUTE) for minute, name in part]
        matches = [
            TriggerMatch("j", 1, "c", "t", AT + minute * MINUTE, str(minute))
            for minute, name in part
            if name == "Product Added"
        ]
        changed = apply_events(
            *(occurrences, matches, list(entries.values())),
            versions=lambda *_: of,
            holdouts=lambda _: False,
            holds=holds_at_even_places,
            now=until,
        )
        entries |= {one.entry_id: one for one in changed}
        entries = {key: settle(of, one, until) for key, one in entries.items()}
        assert sum(one.is_active for one in entries.values()) <= 1
        looked = now
    return entries


def settle(of, one, until):
    one = advance_clock(one, of, until + INSTANT, holds_at_even_places)
    while one.is_active and one.due_at <= until and isinstance(of.steps[one.step], Send):
        one = advance_clock(enter_step(one, of, one.step + 1, one.due_at), of, until + INSTANT, holds_at_even_places)
    return one


@settings(max_examples=150, deadline=None)
@given(journeys(), THINGS, ROUNDS)
def test_every_entry_ends_and_a_customer_is_in_a_journey_once_at_a_time(of, things, rounds):
    entries = sorted(play(of, things, rounds).values(), key=lambda one: one.entered_at)
    assert not any(one.is_active for one in entries)
    for before, after in pairwise(entries):
        assert of.reenter_after_days is not None
        assert after.entered_at >= before.ended_at
        assert after.entered_at >= before.entered_at + timedelta(days=of.reenter_after_days)
    for one in entries:
        orders = [
            AT + m * MINUTE for m, name in things if name == "Order Completed" and AT + m * MINUTE > one.entered_at
        ]
        if of.exit_on and orders:
            assert one.ended_at <= min(orders)


@settings(max_examples=60, deadline=None)
@given(journeys(), THINGS, ROUNDS)
def test_where_nothing_is_sent_it_does_not_matter_when_it_is_looked_at(of, things, rounds):
    if any(isinstance(step, Send) for step in of.steps):
        return
    at_once = play(of, things, [])
    step_by_step = play(of, things, rounds)
    assert at_once == step_by_step


def test_an_event_counts_within_its_wait_only_and_what_was_before_the_entry_never():
    of = journey([{"do": "wait_for", "event": "Product Viewed", "minutes": 10, "then": "end"}, {"do": "exit"}])
    holds = lambda *_: True  # noqa: E731
    assert after_event(entry(of), of, "Order Completed", AT, holds).is_active
    assert after_event(entry(of), of, "Product Viewed", AT + 10 * MINUTE, holds).state == "finished"
    late = after_event(entry(of), of, "Product Viewed", AT + 11 * MINUTE, holds)
    assert (late.state, late.reason) == ("left", "exit_step")


def test_a_branch_that_cannot_be_decided_waits_and_orders_line_by_line_are_orders():
    of = journey([{"do": "branch", "rule": {}}, {"do": "wait", "minutes": 5}])
    assert advance_clock(entry(of), of, AT + 9 * MINUTE, lambda *_: None).step == 0
    assert after_event(entry(of), of, "Order Line Completed", AT + MINUTE, lambda *_: True).reason == "exit_event"


def test_what_is_heard_of_late_neither_ends_a_later_wait_nor_makes_a_customer_enter_again():
    later = [{"do": "wait", "minutes": 10}, {"do": "wait_for", "event": "Product Viewed", "minutes": 10, "then": "end"}]
    of = journey([*later, {"do": "exit"}], reenter_after_days=0)
    waiting = advance_clock(entry(of), of, AT + 11 * MINUTE, holds_at_even_places)
    assert after_event(waiting, of, "Product Viewed", AT + 9 * MINUTE, holds_at_even_places) == waiting
    left = after_event(waiting, of, "Order Completed", AT + 12 * MINUTE, holds_at_even_places)
    assert [may_enter(left, of, AT + minute * MINUTE) for minute in (11, 12)] == [False, True]
