"""Days as people of any country read them: the month is a word in English, and every part has its unit in Chinese."""

from datetime import UTC, datetime

import pytest

from patron.interfaces.i18n.formats import Formats

AT = datetime(2026, 7, 3, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "date", "short", "time"),
    [
        ("en", "4 Jul 2026", "4 Jul", "4 Jul 2026, 04:05"),
        ("zh_CN", "2026年7月4日", "7月4日", "2026年7月4日 04:05"),
    ],
)
def test_a_day_of_the_shop_cannot_be_read_as_another_one(locale, date, short, time):
    formats = Formats(locale, "EUR", "Asia/Shanghai")
    assert (formats.date(AT), formats.short_date(AT), formats.time(AT)) == (date, short, time)
    assert formats.day(AT.date()) == date.replace("4 Jul", "3 Jul").replace("4日", "3日")
