"""Numbers, money and times as the reader's language writes them, in the shop's currency and time zone."""

import re
from dataclasses import dataclass
from datetime import date as Day  # noqa: N812 - a method has the name
from datetime import datetime
from zoneinfo import ZoneInfo

from babel import dates, numbers

MISSING = "\N{EN DASH}"

SHORTENED_FROM_CENTS = 100_000
"""Amounts below this are written in full."""
DAY_PATTERNS = {"en": ("d MMM y", "d MMM"), "zh": ("y\u5e74M\u6708d\u65e5", "M\u6708d\u65e5")}
"""By language: a day with and without its year. Months in words: 7/3/26 is a day in July or in March."""
TIME_PATTERNS = {"en": "d MMM y, HH:mm", "zh": "y\u5e74M\u6708d\u65e5 HH:mm"}


@dataclass(frozen=True)
class Formats:
    """How one shop's numbers look in one language."""

    locale: str
    currency: str
    time_zone: str

    @property
    def _language(self) -> str:
        return self.locale.replace("-", "_").partition("_")[0]

    def money(self, cents: float | None) -> str:
        """Exact amount, with its minor units."""
        if cents is None:
            return MISSING
        amount, half = cents / 100, 0.5 * 10 ** -numbers.get_currency_precision(self.currency)
        amount = 0.0 if abs(amount) <= half else amount  # no minus before a zero
        return numbers.format_currency(amount, self.currency, locale=self.locale)

    def whole_money(self, cents: float | None) -> str:
        """Amount without minor units, for amounts that are read rather than paid."""
        if cents is None:
            return MISSING
        pattern = numbers.get_currency_symbol(self.currency, locale=self.locale)
        sign = "-" if round(cents / 100) < 0 else ""
        return f"{sign}{pattern}{self.count(abs(cents / 100))}"

    def short_money(self, cents: float | None) -> str:
        """Compact amount: $1.2M."""
        if cents is None:
            return MISSING
        if abs(cents) < SHORTENED_FROM_CENTS:  # why: Babel leaves these with all the digits of a float
            return self.whole_money(cents)
        written = numbers.format_compact_currency(cents / 100, self.currency, locale=self.locale, fraction_digits=1)
        # why: Chinese shortens from ten thousand on, and Babel leaves smaller amounts without their separators
        is_long = re.search(r"\d{4}|\.\d\d", written)
        return self.whole_money(cents) if is_long else written

    def count(self, value: float | None) -> str:
        """Whole number with its thousands marked."""
        return MISSING if value is None else numbers.format_decimal(round(value), "#,##0", locale=self.locale)

    def number(self, value: float | None, digits: int = 2) -> str:
        """Decimal number with a fixed count of digits, so that columns line up."""
        if value is None:
            return MISSING
        pattern = "#,##0." + "0" * digits if digits else "#,##0"
        value = round(float(value), digits) + 0.0  # no minus before a zero
        return numbers.format_decimal(value, pattern, locale=self.locale)

    def share(self, value: float | None, digits: int = 1) -> str:
        """Share of 1 as a percentage."""
        if value is None:
            return MISSING
        pattern = "#,##0." + "0" * digits + "%" if digits else "#,##0%"
        value = round(float(value), digits + 2) + 0.0
        return numbers.format_percent(value, pattern, locale=self.locale)

    def change(self, value: float | None) -> str:
        """Signed relative change as a percentage."""
        if value is None:
            return MISSING
        return ("+" if value >= 0 else "\N{MINUS SIGN}") + self.share(abs(value))

    def date(self, moment: datetime | None) -> str:
        """Day in the shop's time zone."""
        if moment is None:
            return MISSING
        return self.day(moment.astimezone(ZoneInfo(self.time_zone)))

    def day(self, day: Day) -> str:
        """Day of a calendar."""
        pattern, _ = DAY_PATTERNS.get(self._language, ("medium", ""))
        return dates.format_date(day, pattern, locale=self.locale)

    def short_date(self, moment: datetime) -> str:
        """Day and month in the shop's time zone."""
        day = moment.astimezone(ZoneInfo(self.time_zone))
        _, pattern = DAY_PATTERNS.get(self._language, ("", ""))
        if pattern:
            return dates.format_date(day, pattern, locale=self.locale)
        return dates.format_skeleton("MMMd", day, locale=self.locale)

    def weekday(self, moment: datetime) -> str:
        """Short name of the weekday in the shop's time zone."""
        return dates.format_skeleton("E", moment.astimezone(ZoneInfo(self.time_zone)), locale=self.locale)

    def month(self, moment: datetime) -> str:
        """Month and year in the shop's time zone."""
        return dates.format_skeleton("yMMM", moment.astimezone(ZoneInfo(self.time_zone)), locale=self.locale)

    def time(self, moment: datetime | None) -> str:
        """Day and time in the shop's time zone."""
        if moment is None:
            return MISSING
        pattern = TIME_PATTERNS.get(self._language, "short")
        return dates.format_datetime(moment, pattern, tzinfo=ZoneInfo(self.time_zone), locale=self.locale)

    def by_unit(self, unit: str, value: float | None) -> str:
        """Value of a question, metric or key figure in its own unit."""
        shown = {"money": self.whole_money, "count": self.count, "share": self.share}
        return shown.get(unit, self.number)(value)
