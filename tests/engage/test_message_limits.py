"""Quiet hours by any clock, and caps over what was sent."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patron.engage.message_limits import capped_until, next_allowed
from patron.storage.outreach.message_policy import MessageCap, MessagePolicy, QuietHours

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu")
MOMENTS = st.datetimes(datetime(2011, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
CLOCKS = st.times().map(lambda one: f"{one.hour:02d}:{one.minute:02d}")
HOURS = st.tuples(CLOCKS, CLOCKS).filter(lambda one: one[0] != one[1]).map("-".join)
CAPS = st.lists(st.builds(MessageCap, most=st.integers(1, 4), within_days=st.integers(1, 30)), min_size=1, max_size=3)
NIGHT = (QuietHours.of("21:00-08:00"),)


def free(hours):
    try:
        MessagePolicy(quiet_hours=hours)
    except ValueError:
        return False
    return True


@given(MOMENTS, st.sampled_from(ZONES), st.lists(HOURS, max_size=3).map(tuple).filter(free))
def test_the_next_allowed_moment_is_not_quiet_and_nothing_before_it_is_free(at, zone, hours):
    quiet, local = [QuietHours.of(hour) for hour in hours], ZoneInfo(zone)
    allowed = next_allowed(at, local, quiet)
    assert not any(one.holds(allowed.astimezone(local).time()) for one in quiet)
    assert at <= allowed < at + timedelta(days=4)
    probes = [at + (allowed - at) * share / 16 for share in range(16)]
    # why: an hour that a change of the clock leaves out or repeats may be free in between
    spring = any(one.astimezone(local).utcoffset() != at.astimezone(local).utcoffset() for one in [*probes, allowed])
    assert (
        allowed == at
        or spring
        or all(any(one.holds(probe.astimezone(local).time()) for one in quiet) for probe in probes)
    )


@pytest.mark.parametrize(
    ("at", "zone", "allowed"),
    [
        ("2024-03-01T12:00+00:00", "UTC", "2024-03-01T12:00+00:00"),
        ("2024-03-01T21:00+00:00", "UTC", "2024-03-02T08:00+00:00"),
        ("2024-03-01T12:00+00:00", "Asia/Tokyo", "2024-03-01T23:00+00:00"),
        ("2024-03-30T22:30+00:00", "Europe/Berlin", "2024-03-31T06:00+00:00"),  # the clock goes forward that night
        ("2024-10-26T22:30+00:00", "Europe/Berlin", "2024-10-27T07:00+00:00"),  # and back
    ],
)
def test_quiet_hours_are_those_of_the_customers_clock(at, zone, allowed):
    assert next_allowed(datetime.fromisoformat(at), ZoneInfo(zone), NIGHT) == datetime.fromisoformat(allowed)


@given(st.lists(MOMENTS, max_size=12), MOMENTS, CAPS)
def test_a_capped_message_may_go_once_the_cap_allows_it_and_no_earlier(sent, at, caps):
    until = capped_until(sent, at, caps)
    counts = [sum(at - timedelta(days=cap.within_days) < one for one in sent) for cap in caps]
    assert (until is not None) == any(n >= cap.most for n, cap in zip(counts, caps, strict=True))
    if until is not None:
        assert capped_until(sent, until, caps) is None
        assert capped_until(sent, until - timedelta(microseconds=1), caps) == until


@pytest.mark.parametrize("text", ["21-08", "25:00-08:00", "08:00-08:00", "08:00", "21:00-24:30", ""])
def test_hours_that_are_not_written_as_hours_are_refused(text):
    with pytest.raises(ValueError, match="must"):
        MessagePolicy(quiet_hours=(text,))
