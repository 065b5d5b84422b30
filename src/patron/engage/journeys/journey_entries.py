"""Customers on their way through journeys, in the store: read, written, and whose step is due."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.engage.journeys.journey_steps import Entry
from patron.schema.outreach.journey_states import EntryState
from patron.schema.table_definition import TEXT
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, JOURNEY_ENTRIES
from patron.storage.shop import Snapshot
from patron.storage.store.store import FORGOTTEN, upsert

TOGETHER = 500
TIMES = ("entered_at", "reached_at", "due_at", "ended_at")
CHANGEABLE = ("customer_id", "step", "reached_at", "due_at", "state", "reason", "ended_at")
TABLE = JOURNEY_ENTRIES.c


def entries_of_customers(
    connection: sa.Connection, journeys: Sequence[str], customer_ids: Iterable[str]
) -> list[Entry]:
    """All entries of customers in some journeys."""
    entries: list[Entry] = []
    for some in _parts(sorted(set(customer_ids))):
        chosen = sa.select(JOURNEY_ENTRIES).where(TABLE.customer_id.in_(some), TABLE.journey.in_(journeys))
        entries += _entries(connection, chosen)
    return entries


def active_versions(connection: sa.Connection) -> set[tuple[str, int]]:
    """Journeys and versions whose steps somebody takes."""
    chosen = sa.select(TABLE.journey, TABLE.version).where(TABLE.state == EntryState.ACTIVE).distinct()
    return {(row[0], row[1]) for row in connection.execute(chosen)}


def due_groups(connection: sa.Connection, at: datetime) -> list[tuple[str, int, int]]:
    """Journeys, versions and steps at which some entry is due."""
    columns = (TABLE.journey, TABLE.version, TABLE.step)
    chosen = sa.select(*columns).where(TABLE.state == EntryState.ACTIVE, TABLE.due_at <= at.astimezone(UTC)).distinct()
    return [(row[0], row[1], row[2]) for row in connection.execute(chosen.order_by(*columns))]


def due_entries(connection: sa.Connection, group: tuple[str, int, int], at: datetime, *, most: int) -> list[Entry]:
    """Entries that are due at a step of a version of a journey, those that wait longest first."""
    journey, version, step = group
    chosen = sa.select(JOURNEY_ENTRIES).where(
        *(TABLE.state == EntryState.ACTIVE, TABLE.due_at <= at.astimezone(UTC)),
        *(TABLE.journey == journey, TABLE.version == version, TABLE.step == step),
    )
    return _entries(connection, chosen.order_by(TABLE.due_at).limit(most))


def put_off_entries(connection: sa.Connection, group: tuple[str, int, int], at: datetime, until: datetime) -> None:
    """Let the entries that are due at a step wait until a time."""
    journey, version, step = group
    due = sa.update(JOURNEY_ENTRIES).where(
        *(TABLE.state == EntryState.ACTIVE, TABLE.due_at <= at.astimezone(UTC)),
        *(TABLE.journey == journey, TABLE.version == version, TABLE.step == step),
    )
    connection.execute(due.values(due_at=until.astimezone(UTC)))


def active_entries(connection: sa.Connection, journey: str, most: int) -> list[Entry]:
    """Some of the entries of a journey that are on their way."""
    chosen = sa.select(JOURNEY_ENTRIES).where(TABLE.journey == journey, TABLE.state == EntryState.ACTIVE)
    return _entries(connection, chosen.limit(most))


def entries_at_step(connection: sa.Connection, entry_ids: Iterable[str], step: int) -> list[Entry]:
    """Entries that are still active, and at a step."""
    entries: list[Entry] = []
    for some in _parts(sorted(entry_ids)):
        chosen = sa.select(JOURNEY_ENTRIES).where(
            TABLE.entry_id.in_(some), TABLE.state == EntryState.ACTIVE, TABLE.step == step
        )
        entries += _entries(connection, chosen)
    return entries


def next_due_at(connection: sa.Connection, journeys: Sequence[str]) -> datetime | None:
    """When the next step of an entry of some journeys is due; None where nobody is on the way."""
    chosen = sa.select(sa.func.min(TABLE.due_at)).where(TABLE.state == EntryState.ACTIVE, TABLE.journey.in_(journeys))
    due_at = connection.scalar(chosen)
    return None if due_at is None else utc(due_at)


def customers_of_entries(snapshot: Snapshot, entries: Sequence[Entry]) -> dict[str, str]:
    """The customer, as a run knows them, of each id that entries have: they may be one with another by now."""
    rows = snapshot.query(
        "select i.token, i.customer_id from identities i join wanted w on w.token = i.token where i.is_user",
        wanted=pa.table({"token": pa.array(sorted({entry.token for entry in entries if entry.token}), TEXT)}),
    )
    of_token = dict(zip(rows["token"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))
    return {entry.customer_id: of_token.get(entry.token or "", entry.customer_id) for entry in entries}


def first_entered_at(connection: sa.Connection) -> datetime | None:
    """When the first of those on their way entered; None without any."""
    entered_at = connection.scalar(sa.select(sa.func.min(TABLE.entered_at)).where(TABLE.state == EntryState.ACTIVE))
    return None if entered_at is None else utc(entered_at)


def write_entries(connection: sa.Connection, entries: Sequence[Entry]) -> None:
    """Write new entries, each customer's first with an assignment, and where the others stand now.

    Who was forgotten meanwhile does not come back, and who is out stays out.
    """
    tokens = {entry.token for entry in entries if entry.token}
    forgotten: set[str] = set()
    for some in _parts(sorted(tokens)):
        forgotten |= set(connection.scalars(sa.select(FORGOTTEN.c.token).where(FORGOTTEN.c.token.in_(some))))
    known = _known_ids(connection, [entry.entry_id for entry in entries])
    new = [entry for entry in entries if entry.entry_id not in known and entry.token not in forgotten]
    upsert(connection, JOURNEY_ENTRIES, [_row(one) for one in new])
    upsert(connection, ASSIGNMENTS, [_assignment(one) for one in new])
    changed = [entry for entry in entries if entry.entry_id in known]
    if changed:
        statement = (
            sa.update(JOURNEY_ENTRIES)
            .where(TABLE.entry_id == sa.bindparam("of_entry"), TABLE.state == EntryState.ACTIVE)
            .values({name: sa.bindparam(f"new_{name}") for name in CHANGEABLE})
        )
        rows = [_row(one) for one in changed]
        values = [{"of_entry": row["entry_id"], **{f"new_{name}": row[name] for name in CHANGEABLE}} for row in rows]
        connection.execute(statement, values)


def rename_customers(connection: sa.Connection, entries: Sequence[Entry]) -> None:
    """Write entries whose customers were found to be one with others, and assign these as the entries are."""
    write_entries(connection, entries)
    upsert(connection, ASSIGNMENTS, [_assignment(entry) for entry in entries])


def _known_ids(connection: sa.Connection, entry_ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for some in _parts(entry_ids):
        known |= set(connection.scalars(sa.select(TABLE.entry_id).where(TABLE.entry_id.in_(some))))
    return known


def _entries(connection: sa.Connection, chosen: sa.Select[Any]) -> list[Entry]:
    return [Entry(**_values(row)) for row in connection.execute(chosen).mappings()]


def _values(row: Mapping[Any, Any]) -> dict[str, Any]:
    values = dict(row)
    for name in TIMES:
        values[name] = None if values[name] is None else utc(values[name])
    return values | {"is_holdout": bool(values["is_holdout"])}


def _row(entry: Entry) -> dict[str, Any]:
    row = asdict(entry)
    for name in TIMES:
        row[name] = None if row[name] is None else row[name].astimezone(UTC)
    return row


def _assignment(entry: Entry) -> dict[str, Any]:
    return {
        "campaign": entry.journey,
        "customer_id": entry.customer_id,
        "is_holdout": entry.is_holdout,
        "assigned_at": entry.entered_at.astimezone(UTC),
        "version": entry.version,
        "is_planned": not entry.is_holdout,
        "offer": "",
    }


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + TOGETHER] for start in range(0, len(values), TOGETHER))
