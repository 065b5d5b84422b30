"""Journey files: what is wrong is named in plain words, and every journey that is right ends."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.schema.errors import BadJourney
from patron.storage.outreach.journey_file import END, Branch, Journey, WaitFor

TEMPLATE = {"en": {"subject": "Hello", "body": "Hi", "format": "text"}}
SEND = {"do": "send", "template": TEMPLATE}
LIBRARY = ("Input", "validation error", "Value error", "pydantic", "Field required", "discriminator")


def content(**changes):
    base = {"name": "cart", "trigger": {"event": "Product Added"}, "topic": "offers", "monthly_budget": 1.0}
    return base | {"steps": [SEND]} | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trigger": {"evnt": "Product Added"}}, "trigger needs one of the keys event, enters, product, date"),
        ({"trigger": 3}, "trigger needs one of the keys"),
        ({"trigger": {"event": "a", "is_frist": True}}, "trigger.is_frist is not a known key. Did you mean is_first?"),
        ({"trigger": {"enters": "a", "event": "b"}}, "trigger.enters is not a known key. Known are event, is_first"),
        ({"trigger": {"product": "pricedrop"}}, "Did you mean price_drop?"),
        ({"trigger": {"date": "birthday", "hour": 25}}, "trigger.hour must be at most 23 (got 25)"),
        ({"steps": [{"do": "sned"}]}, "steps.0.do must be one of wait, wait_for, branch, send, exit (got 'sned')"),
        ({"steps": [SEND, {"hours": 1}]}, "steps.1.do is missing; it is one of wait"),
        ({"steps": [{"do": "wait", "hour": 1}]}, "steps.0.hour is not a known key. Did you mean hours?"),
        ({"steps": [{"do": "wait"}]}, "steps.0 needs days, hours or minutes"),
        ({"steps": []}, "steps needs 1 to 50 sections [[steps]]"),
        ({"steps": [{"do": "send", "template": {"en": {"subject": "a", "bdy": "b"}}}]}, "Did you mean body?"),
        ({"steps": [{"do": "wait_for", "event": "a", "days": 1, "then": "z"}]}, "step 1 leads nowhere ('z')"),
        ({"steps": [SEND | {"id": "a"}, {"do": "branch", "rule": {}, "then": "a"}]}, "step 2 leads back ('a')"),
        ({"steps": [SEND | {"id": "2"}, SEND]}, "has two steps with the id '2'"),
        ({"start": "2024-05-02T00:00:00", "end": "2024-05-01T00:00:00"}, "needs an end after its start"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes, words):
    with pytest.raises(BadJourney) as raised:
        Journey.of(content(**changes), where="test")
    assert words in raised.value.what
    assert not [phrase for phrase in LIBRARY if phrase in raised.value.what]


@st.composite
def journeys(draw):
    """Journeys of any steps, whose targets are later steps, or the end, or the next one."""
    count = draw(st.integers(1, 12))
    steps = []
    for place in range(count):
        targets = ["", END, *(f"s{later}" for later in range(place + 1, count))]
        ways = {"then": draw(st.sampled_from(targets)), "otherwise": draw(st.sampled_from(targets))}
        rule = {"all": []}
        kinds = [{"do": "wait", "minutes": 1}, SEND, {"do": "exit"}, {"do": "branch", "rule": rule} | ways]
        kinds.append({"do": "wait_for", "event": "Page", "hours": 1} | ways)
        steps.append({"id": f"s{place}"} | draw(st.sampled_from(kinds)))
    return Journey.of(content(steps=steps), where="test")


@settings(max_examples=100, deadline=None)
@given(journey=journeys(), answers=st.lists(st.booleans(), min_size=12, max_size=12))
def test_every_journey_ends_whatever_customers_do(journey, answers):
    place, taken = 0, 0
    while place < len(journey.steps):
        step, is_true = journey.steps[place], answers[taken]
        target = (step.then if is_true else step.otherwise) if isinstance(step, Branch | WaitFor) else ""
        place, taken = journey.place_after(place, target), taken + 1
        assert taken <= len(journey.steps)
    assert place == len(journey.steps)


@settings(max_examples=25, deadline=None)
@given(journey=journeys())
def test_a_journey_read_back_from_its_row_is_the_same(journey):
    assert Journey.of(journey.model_dump(mode="json"), where="test") == journey


def test_times_are_those_of_the_shops_clock():
    journey = Journey.of(content(start="2024-05-01T09:00:00"), where="test")
    assert journey.start_at(UTC) == datetime(2024, 5, 1, 9, tzinfo=UTC)
    assert journey.end_at(UTC) is None
    with pytest.raises(BadJourney, match="has no time zone of its own"):
        Journey.of(content(start="2024-05-01T09:00:00Z"), where="test")
