"""The season that people expect, by weeks, as they entered it: every calendar is kept, with the time of its entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Self

import pyarrow as pa
import sqlalchemy as sa

from patron.storage.models.season_tables import SEASON_CALENDARS
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store
from patron.storage.store.store_metadata import in_utc

CONFIDENCE: Final = {"sure": 0.1, "likely": 0.2, "guess": 0.4}
"""Standard deviation of the logarithm of a factor, by how sure people say they are."""
WEEK: Final = timedelta(days=7)
WEEKS_BEFORE: Final = 8
"""Weeks before the first calendar that count as usual ones, which its weeks are compared with."""
ORDERS_BY_DAY: Final = "select local_day, count(*) as order_count from orders group by local_day"
EPOCH: Final = date(1970, 1, 1)


def monday_of(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def week_name(monday: date) -> str:
    """A week as people write it: 2026-W48."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


@dataclass(frozen=True)
class SeasonSpan:
    """Weeks in which a shop expects to sell a factor of what an average week of the year brings."""

    first_week: date
    last_week: date
    """Mondays."""
    factor: float
    confidence: str
    """One of CONFIDENCE."""

    @property
    def end(self) -> date:
        """The first day after it."""
        return self.last_week + WEEK

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """As `row` says."""
        first, last = (date.fromisoformat(row[name]) for name in ("first_week", "last_week"))
        return cls(first, last, row["factor"], row["confidence"])

    @property
    def row(self) -> Mapping[str, Any]:
        """As it is stored."""
        weeks = {"first_week": self.first_week.isoformat(), "last_week": self.last_week.isoformat()}
        return {**weeks, "factor": self.factor, "confidence": self.confidence}

    @property
    def line(self) -> str:
        """As people write it: 2026-W47,2026-W51,1.8,likely."""
        weeks = f"{week_name(self.first_week)},{week_name(self.last_week)}"
        return f"{weeks},{self.factor:g},{self.confidence}"


@dataclass(frozen=True)
class SeasonCalendar:
    """What one person entered; it replaces what was entered before."""

    entered_at: datetime
    entered_by: str
    spans: tuple[SeasonSpan, ...]
    """In order of time; none once the calendar was removed."""

    def span_of(self, day: date) -> SeasonSpan | None:
        """Those of its weeks that hold a day."""
        return next((one for one in self.spans if one.first_week <= day < one.end), None)


def season_calendars(store: Store | DeclaredStore, *, known_at: datetime | None = None) -> Sequence[SeasonCalendar]:
    """Every calendar, or those that were entered by a time, the oldest first."""
    table = SEASON_CALENDARS.c
    chosen = sa.select(SEASON_CALENDARS).order_by(table.entered_at)
    with store.begin() as connection:
        rows = connection.execute(chosen if known_at is None else chosen.where(table.entered_at <= known_at))
        return [_from_row(in_utc(row)) for row in rows.mappings()]


def orders_by_week(orders_by_day: pa.Table) -> Mapping[date, int]:
    """Orders of each week, by its Monday, from what ORDERS_BY_DAY selects."""
    counts = dict[date, int]()
    for row in orders_by_day.to_pylist():
        monday = monday_of(EPOCH + timedelta(days=row["local_day"]))
        counts[monday] = counts.get(monday, 0) + row["order_count"]
    return counts


def _from_row(row: Mapping[str, Any]) -> SeasonCalendar:
    return SeasonCalendar(row["entered_at"], row["entered_by"], tuple(map(SeasonSpan.from_row, row["spans"])))
