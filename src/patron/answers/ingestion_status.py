"""What arrives: counters, warnings by source and event, and dead letters that can be tried again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from patron.collect.suppression import EMPTY
from patron.schema.tables import EVENTS
from patron.service.collector import State, collected
from patron.storage.engine import timestamp
from patron.storage.last_run import records
from patron.storage.shop import Shop
from patron.storage.store import DEAD_LETTERS

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
    "bot",
    "test",
)
"""Flags that a shop's engineer can do something about, the most urgent first."""


@dataclass(frozen=True)
class Arrived:
    """Events of one name that a source sent in the last 30 days, and how many of them were flagged."""

    source: str
    name: str
    event_count: int
    last_received_at: datetime
    flagged: dict[str, int]
    """By flag; flags of none are left out."""


@dataclass(frozen=True)
class Letters:
    """Dead letters of one import (or of the collector, `live`) with one reason."""

    import_id: str
    source: str
    reason: str
    example: str
    """What the first of them says is wrong."""
    count: int
    first_at: datetime
    last_at: datetime
    can_be_tried_again: bool


@dataclass(frozen=True)
class Arriving:
    """Everything about what arrives, as of now."""

    collector: State
    since: datetime
    events: tuple[Arrived, ...]
    """Up to 200 pairs of source and name, those with warnings first, then the most frequent."""
    letters: tuple[Letters, ...]


def arriving(shop: Shop, *, now: datetime, state: State | None = None) -> Arriving:
    """What arrived lately, with what is wrong with it; `state` is the collector's where this process runs one."""
    since = now - timedelta(days=DAYS)
    return Arriving(state or collected(shop), since, _events(shop, since), letters(shop))


def _events(shop: Shop, since: datetime) -> tuple[Arrived, ...]:
    if not shop.lake.exists(EVENTS):
        return ()
    counts = ", ".join(
        f"cast(sum(case when contains(',' || flags || ',', ',{flag},') then 1 else 0 end) as bigint) as {flag}"
        for flag in WARNINGS
    )
    sql = f"""
select source, name, count(*) as event_count, max(received_at) as last_received_at, {counts}
from ({shop.lake.relation(EVENTS)}) e where received_at >= {timestamp(since)} group by source, name
order by count(flags) > 0 desc, event_count desc, source, name limit {SHOWN}"""
    return tuple(
        Arrived(
            row["source"],
            row["name"],
            row["event_count"],
            row["last_received_at"],
            {flag: row[flag] for flag in WARNINGS if row[flag]},
        )
        for row in records(shop.query(sql))
    )


def letters(shop: Shop) -> tuple[Letters, ...]:
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
        Letters(
            import_id=row[0],
            source=row[1],
            reason=row[2],
            example=row[3],
            count=row[4],
            first_at=_utc(row[5]),
            last_at=_utc(row[6]),
            can_be_tried_again=bool(row[0]) and row[2] not in EMPTY,
        )
        for row in rows
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
