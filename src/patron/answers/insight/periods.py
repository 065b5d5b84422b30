"""Periods that a reader chooses by the shop's calendar, and the ones that they are compared with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo

from patron.schema.common_sentences import IT_IS_ONE_OF, NOT_A_MONTH, NOT_A_VALUE
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence

PERIOD_AFTER = Sentence("period_after", "the period begins after the end of the data")
PERIOD_DAYS = Sentence("period_days", "a period needs a first day and a last day")
PERIOD_LONG = Sentence("period_long", "the period is too long")
NOT_A_DAY = Sentence("not_a_day", "{text!r} is not a day")
DAY_SUCH_AS = Sentence("day_such_as", "Write one such as 2024-03-01.")
CHOOSE_BEFORE = Sentence("choose_before", "Choose one before {day}.")
MONTH_SUCH_AS = Sentence("month_such_as", "Write one such as 2024-03.")
CHOOSE_BOTH = Sentence("choose_both", "Choose both.")
PERIOD_YEARS = Sentence("period_years", "Choose at most ten years.")

Period = Literal["30", "90", "365", "month", "custom"]
Compare = Literal["previous", "year", "none"]
PERIODS: tuple[Period, ...] = ("30", "90", "365", "month", "custom")
COMPARISONS: tuple[Compare, ...] = ("previous", "year", "none")
MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
MAX_DAYS = 10 * 366


@dataclass(frozen=True)
class PeriodQuery:
    """The period, and what it is compared with."""

    period: Period = "90"
    month: str = ""
    """Of the period `month`: YYYY-MM; empty is the last one that is over."""
    first_day: date | None = None
    """Of the period `custom`, by the shop's calendar; it is part of it, as is the last day."""
    last_day: date | None = None
    compare: Compare = "previous"


def parse_period_query(parameters: Mapping[str, str]) -> PeriodQuery:
    """The period that an address names. Raises BadQuery."""
    default = PeriodQuery()
    return PeriodQuery(
        cast("Period", _require_one("period", parameters.get("period") or default.period, PERIODS)),
        parameters.get("month", "")[:7],
        first_day=_day("from", parameters.get("from", "")),
        last_day=_day("to", parameters.get("to", "")),
        compare=cast("Compare", _require_one("compare", parameters.get("compare") or default.compare, COMPARISONS)),
    )


def _require_one(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadQuery(NOT_A_VALUE(value=value), where=name, todo=IT_IS_ONE_OF(choices=", ".join(known)))
    return value


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadQuery(NOT_A_DAY(text=text), where=name, todo=DAY_SUCH_AS) from None


@dataclass(frozen=True)
class Span:
    """From a time until before another one."""

    starts_at: datetime
    ends_at: datetime
    is_cut_off: bool = False
    """Whether it would go on after the data end."""


def span_of(query: PeriodQuery, as_of: datetime, zone: ZoneInfo) -> Span:
    """The time that a period means at a run, by the shop's clock. Raises BadQuery."""
    end = as_of.astimezone(zone)
    if query.period == "month":
        first = _first_of_month(query.month, end)
        return _cut(first, add_months(first, 1), end)
    if query.period == "custom":
        if query.first_day is None or query.last_day is None or query.first_day > query.last_day:
            raise BadQuery(PERIOD_DAYS, where="from", todo=CHOOSE_BOTH)
        if (query.last_day - query.first_day).days > MAX_DAYS:
            raise BadQuery(PERIOD_LONG, where="from", todo=PERIOD_YEARS)
        first, last = (datetime.combine(day, time(), zone) for day in (query.first_day, query.last_day))
        return _cut(first, last + timedelta(days=1), end)
    return Span((end - timedelta(days=int(query.period))).astimezone(UTC), as_of)


def _cut(start: datetime, until: datetime, end: datetime) -> Span:
    if start >= end:
        raise BadQuery(PERIOD_AFTER, where="from", todo=CHOOSE_BEFORE(day=f"{end:%Y-%m-%d}"))
    return Span(start.astimezone(UTC), min(until, end).astimezone(UTC), until > end)


def _first_of_month(month: str, end: datetime) -> datetime:
    if not month:
        return add_months(end.replace(day=1, hour=0, minute=0, second=0, microsecond=0), -1)
    match = MONTH.fullmatch(month)
    if match is None:
        raise BadQuery(NOT_A_MONTH(text=month), where="month", todo=MONTH_SUCH_AS)
    return datetime(int(match[1]), int(match[2]), 1, tzinfo=end.tzinfo)


def other_span(span: Span, query: PeriodQuery, zone: ZoneInfo) -> Span | None:
    """The period that one is compared with; None where nothing is. Of a month that is not over: as many days."""
    if query.compare == "none":
        return None
    start, end = span.starts_at.astimezone(zone), span.ends_at.astimezone(zone)
    if query.compare == "year":
        return Span(add_months(start, -12).astimezone(UTC), add_months(end, -12).astimezone(UTC))
    if query.period == "month":
        before = add_months(start, -1)
        last = before + (end - start) if span.is_cut_off else start
        return Span(before.astimezone(UTC), min(last, start).astimezone(UTC))
    return Span((start - (end - start)).astimezone(UTC), span.starts_at)


def add_months(local: datetime, months: int) -> datetime:
    """The same day of another month, or its last day."""
    number = local.year * 12 + local.month - 1 + months
    year, month = divmod(number, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return local.replace(year=year, month=month + 1, day=min(local.day, last))
