"""Data ingestion: the collector's counters, warnings by source and event, and dead letters that can be replayed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from patron.schema.data.collector_state import CollectorState
from patron.schema.data.dead_letter_reasons import WITHOUT_CONTENT
from patron.schema.tables import EVENTS
from patron.storage.engine import timestamp
from patron.storage.runs.last_run import records
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS

DAYS = 30
SHOWN = 200
WARNINGS = (
    "off_plan",
    "bare_order",
    "near_name",
    "no_time",
    "impossible_time",
    "repeated_order",
    "no_consent",
    "personal_value",
    "bot",
    "test",
)
"""Flags that a shop's engineer can do something about, the most urgent first."""


@dataclass(frozen=True)
class EventVolume:
    """Events of one name that a source sent in the last 30 days, and how many of them have a warning."""

    source: str
    name: str
    event_count: int
    last_received_at: datetime
    warning_counts: dict[str, int]
    """Events by warning; warnings without an event are left out."""


@dataclass(frozen=True)
class DeadLetters:
    """Rejected events of one import (or of the collector, `live`) with one reason."""

    import_id: str
    source: str
    reason: str
    example: str
    """Message of the first of them."""
    count: int
    first_at: datetime
    last_at: datetime
    can_replay: bool


@dataclass(frozen=True)
class IngestionStatus:
    """State of data ingestion now."""

    collector: CollectorState
    since: datetime
    events: tuple[EventVolume, ...]
    """Up to 200 pairs of source and name, those with warnings first, then the most frequent."""
    dead_letters: tuple[DeadLetters, ...]


def ingestion_status(shop: Shop, collector: CollectorState, *, now: datetime) -> IngestionStatus:
    """Events of the last 30 days with their warnings, and all dead letters."""
    since = now - timedelta(days=DAYS)
    return IngestionStatus(collector, since, _events(shop, since), dead_letters(shop))


def _events(shop: Shop, since: datetime) -> tuple[EventVolume, ...]:
    if not shop.lake.exists(EVENTS):
        return ()
    counts = ", ".join(
        f"cast(sum(case when list_contains(flags, '{flag}') then 1 else 0 end) as bigint) as {flag}"
        for flag in WARNINGS
    )
    sql = f"""
select source, name, count(*) as event_count, max(received_at) as last_received_at, {counts}
from ({shop.lake.relation(EVENTS)}) e where received_at >= {timestamp(since)} group by source, name
order by count(flags) > 0 desc, event_count desc, source, name limit {SHOWN}"""
    return tuple(
        EventVolume(
            row["source"],
            row["name"],
            event_count=row["event_count"],
            last_received_at=row["last_received_at"],
            warning_counts={flag: row[flag] for flag in WARNINGS if row[flag]},
        )
        for row in records(shop.query(sql))
    )


def dead_letters(shop: Shop) -> tuple[DeadLetters, ...]:
    """Dead letters by import, source and reason, the newest first."""
    column = DEAD_LETTERS.c
    chosen = (
        sa.select(
            column.import_id,
            column.source,
            column.reason,
            sa.func.min(column.message),
            sa.func.count(),
            sa.func.min(column.created_at),
            sa.func.max(column.created_at),
        )
        .group_by(column.import_id, column.source, column.reason)
        .order_by(sa.func.max(column.created_at).desc(), column.import_id, column.source, column.reason)
    )
    with shop.store.begin() as connection:
        rows = connection.execute(chosen).all()
    return tuple(
        DeadLetters(
            import_id=row[0],
            source=row[1],
            reason=row[2],
            example=row[3],
            count=row[4],
            first_at=_utc(row[5]),
            last_at=_utc(row[6]),
            can_replay=bool(row[0]) and row[2] not in WITHOUT_CONTENT,
        )
        for row in rows
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
