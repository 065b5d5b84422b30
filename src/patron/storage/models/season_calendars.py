"""The season that people expect, by weeks, as they entered it: every calendar is kept, with the time of its entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Self

import sqlalchemy as sa

from patron.storage.models.season_tables import SEASON_CALENDARS
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store
from patron.storage.store.store_metadata import in_utc

CONFIDENCE: Final = {"sure": 0.1, "likely": 0.2, "guess": 0.4}
"""Standard deviation of the logarithm of a factor, by how sure people say they are."""
WEEK: Final = timedelta(days=7)


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
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As `row` says."""
        first, last = (date.fromisoformat(row[name]) for name in ("first_week", "last_week"))
        return cls(first, last, row["factor"], row["confidence"])

    @property
    def row(self) -> Mapping[str, Any]:
        """As it is stored."""
        weeks = {"first_week": self.first_week.isoformat(), "last_week": self.last_week.isoformat()}
        return {**weeks, "factor": self.factor, "confidence": self.confidence}


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
        return [
            SeasonCalendar(row["entered_at"], row["entered_by"], tuple(SeasonSpan.of(span) for span in row["spans"]))
            for row in map(in_utc, rows.mappings())
        ]
