"""What every table of the store is declared in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()
UTC_TIME = sa.DateTime(timezone=True)


def in_utc(row: Mapping[str, Any] | sa.RowMapping) -> dict[str, Any]:
    """A row with its times in UTC: SQLite keeps them without their zone."""
    return {str(name): _in_utc(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _in_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
