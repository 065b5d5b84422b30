"""Up to where journeys have looked at events, runs and birthdays: one row of the store.

It is written after the entries that were led to. What is looked at twice leads to the same entries.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

import sqlalchemy as sa

from patron.storage.store.store import WORKSPACE, upsert

KEY = "journeys"


@dataclass(frozen=True)
class JourneyPosition:
    """What was looked at; times are ISO texts."""

    version: int
    """Version of the lake's `events` whose rows were looked at."""
    at: str
    """When that was."""
    runs: Mapping[str, str] = field(default_factory=dict)
    """Cutoff of the last run whose segments were looked at, by journey; empty: no run yet."""
    members_after: Mapping[str, str] = field(default_factory=dict)
    """Journeys whose members of a newer run are being looked at, and the first characters of the last one's id."""
    members_of: str = ""
    """Cutoff of the run whose members are being looked at."""
    birthdays_of: Sequence[str] = ()
    """Journeys, with their versions, that birthdays were looked at for."""
    birthdays_until: str = ""
    """Birthdays before this time were looked at, or are being looked at ..."""
    birthdays_since: str = ""
    """... from this time on ..."""
    birthdays_after: str | None = None
    """... for customers whose ids begin with these characters, or come before; None: for all."""
    events_stored_at: str = ""
    """When events of messages were stored last."""

    @property
    def looked_at(self) -> datetime:
        """When events were looked at last."""
        return datetime.fromisoformat(self.at)


def read_position(connection: sa.Connection) -> JourneyPosition | None:
    """The position; None before the first journey."""
    text = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == KEY))
    return JourneyPosition(**json.loads(text)) if text else None


def write_position(connection: sa.Connection, position: JourneyPosition) -> None:
    """Write the position."""
    row = {"key": KEY, "value": json.dumps(asdict(position), sort_keys=True)}
    upsert(connection, WORKSPACE, [row], update=("value",))
