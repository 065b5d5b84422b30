"""When customers are written to: at their hour of habit, by their clock, within the first day, out of quiet hours."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.commands.outreach.campaigns.campaign_send_times import (
    NO_HABIT,
    SendWindow,
    habit_hours,
    planned_times,
)
from patron.engage.customer_time_zones import zone_of_country, zone_of_name
from patron.storage.outreach.message_policy import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2024, 3, 1, 9, 15, tzinfo=BERLIN)
WINDOW = SendWindow(START, START + timedelta(days=14), BERLIN)
ZONES = ("", "America/New_York", "Asia/Tokyo", "Asia/Kolkata")


def moments(hours, zones, window=WINDOW, now=START, quiet=()):
    seconds = planned_times(np.array(hours, dtype=np.float64), np.array(zones), window, now=now, quiet=quiet)
    return [datetime.fromtimestamp(one, UTC) for one in seconds.tolist()]


@settings(max_examples=60, deadline=None)
@given(
    customers=st.lists(
        st.tuples(st.sampled_from([NO_HABIT, *range(24)]), st.sampled_from(ZONES)), min_size=1, max_size=8
    ),
    late=st.integers(0, 3 * 86_400),
)
def test_everybody_is_written_to_within_a_day_at_their_hour(customers, late):
    hours, zones = zip(*customers, strict=True)
    now = START + timedelta(seconds=late)
    for at, hour, zone in zip(moments(hours, zones, now=now), hours, zones, strict=True):
        assert now <= at < now + timedelta(days=1, hours=1)
        if hour != NO_HABIT:
            assert at.astimezone(BERLIN).hour == hour
        else:
            own = at.astimezone(ZoneInfo(zone) if zone else BERLIN)
            assert (own.hour, own.minute) == (now.astimezone(BERLIN).hour, now.astimezone(BERLIN).minute)
    alone = [moments([hour], [zone], now=now)[0] for hour, zone in customers]
    assert moments(hours, zones, now=now) == alone


def test_a_window_that_ends_before_the_hour_of_habit_begins_at_its_start():
    window = SendWindow(START, START + timedelta(hours=2), BERLIN)
    assert moments([20, 10], ["", ""], window) == [START, START.replace(hour=10, minute=0)]


def test_quiet_hours_put_a_message_off_by_the_clock_of_the_customer():
    until_ten = [QuietHours.of("00:00-10:00")]
    (at,) = moments([9], ["Asia/Tokyo"], quiet=until_ten)
    assert at == START
    (late,) = moments([9], ["America/New_York"], quiet=until_ten)
    assert late.astimezone(ZoneInfo("America/New_York")).hour == 10


def test_hours_of_habit_meet_at_midnight():
    hours = {"night": (23, 0), "noon": (12, 12), "one order": (5,)}

    def points(face):
        return [sum(round(1_000 * face(2 * np.pi * (one + 0.5) / 24)) for one in each) for each in hours.values()]

    habits = pa.table(
        {
            "customer_id": list(hours),
            "event_count": [len(each) for each in hours.values()],
            "cosines": points(np.cos),
            "sines": points(np.sin),
        }
    )
    found = habit_hours(pa.array(["noon", "nobody", "night", "one order"]), habits)
    assert found[0] == 12
    assert found[1] == found[3] == NO_HABIT
    assert found[2] in {23, 0}


@pytest.mark.parametrize(
    ("value", "zone"), [("DE", "Europe/Berlin"), ("jp", "Asia/Tokyo"), ("US", ""), ("Atlantis", ""), ("", "")]
)
def test_a_country_has_a_zone_where_all_of_it_has_the_same_time(value, zone):
    assert zone_of_country(value) == zone
    assert zone_of_name(zone) == zone
