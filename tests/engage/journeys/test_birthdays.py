"""Birthdays by the clock of the customer, in every year."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from patron.engage.journeys.birthdays import day_of_year, is_birthday, moments
from patron.storage.outreach.journey_file import DateTrigger


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1990-05-17", (5, 17)),
        ("1990-05-17T00:00:00Z", (5, 17)),
        ("--02-29", (2, 29)),
        ("05-17", (5, 17)),
        ("1990-02-30", None),
        ("17.5.1990", None),
        ("", None),
    ],
)
def test_a_date_of_birth_is_read_as_shops_send_it(text, day):
    assert day_of_year(text) == day


def test_who_was_born_on_the_29th_of_february_has_a_birthday_every_year():
    assert [is_birthday(date(year, 2, 28), (2, 29)) for year in (2023, 2024)] == [True, False]
    assert is_birthday(date(2024, 2, 29), (2, 29))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/St_Johns"])
@pytest.mark.parametrize("days_before", [0, 40])
def test_a_birthday_comes_once_a_year_whatever_the_stretches_that_are_looked_at(zone, days_before):
    trigger = DateTrigger(date="birthday", hour=9, days_before=days_before)
    since, found = at("2023-11-05"), []
    for hours in (31, 24 * 40, 24 * 100, 24 * 10, 24 * 215):
        until = since + timedelta(hours=hours)
        found += moments((1, 3), trigger, ZoneInfo(zone), since, until)
        since = until
    local = [one.astimezone(ZoneInfo(zone)) for one in found]
    assert [(one.date() + timedelta(days=days_before), one.hour) for one in local] == [(date(2024, 1, 3), 9)]
