"""A person leaves the lake: rows, older versions and logs."""

from collections.abc import Iterator

import pyarrow as pa
import sqlalchemy as sa

from patron.commands.resolve_person import Person
from patron.schema.table_definition import TEXT, Table
from patron.schema.tables import CLEANING, EVENTS, TABLES
from patron.storage.lake_erasure import Doomed, Eraser
from patron.storage.shop import Shop
from patron.storage.store import RUNS

OF_THEIRS = "in (select token from forgotten)"
IS_THEIRS = "in (select customer_id from forgotten)"
SPECIAL = {
    EVENTS.name: Doomed(
        # why: what another user did stays theirs, although it was on this person's device or about this person
        f"user_token {OF_THEIRS} or (user_token is null and anonymous_token {OF_THEIRS})",
        {
            name: f"{name} {OF_THEIRS}"
            for name in ("anonymous_token", "referred_token", "previous_token", "email_token", "phone_token")
        },
    ),
    # why: an example is an event, a line of one, or a token
    CLEANING.name: Doomed(
        values={
            "example": "exists (select 1 from named n where starts_with(example || '/', n.event || '/'))"
            f" or example {OF_THEIRS}"
        }
    ),
}


def doomed_of(table: Table) -> Doomed | None:
    """What of a table goes with a person; None where nobody is named."""
    if table.name in SPECIAL:
        return SPECIAL[table.name]
    where = {"token": OF_THEIRS, "opaque_id": IS_THEIRS}
    named = [f"{column.name} {where[column.personal]}" for column in table.columns if column.personal in where]
    return Doomed(" or ".join(named)) if named else None


FIRST, LAST = CLEANING, EVENTS
NAMES_PEOPLE = (FIRST, *(table for table in TABLES if table not in {FIRST, LAST} and doomed_of(table)), LAST)
"""Tables that name people; examples refer to events, so these go last."""


def erase_rows(shop: Shop, person: Person) -> Iterator[tuple[str, int]]:
    """Erase a person from each table, in one commit a table; yield its name and the rows it was in.

    A table that is replaced whole is erased as the last finished run left it: that is what people read, and a run
    that was cut off is run again anyway.
    """
    lake, last = Eraser(shop.lake.folder), shop.snapshot()
    tokens, customer_ids = pa.array(person.tokens, TEXT), pa.array(person.customer_ids, TEXT)
    tables = {"forgotten": pa.table({"token": tokens, "customer_id": customer_ids})}
    tables["named"] = shop.query(
        f"select source || '/' || event_id as event from ({lake.relation(EVENTS)}) where {SPECIAL[EVENTS.name].rows}",
        tables,
    )
    for table in NAMES_PEOPLE:
        doomed = doomed_of(table)
        if doomed and lake.exists(table):
            if last and table.partition_by is None:
                lake.put_back(table, last.pinned.get(table.name))
            yield table.name, lake.erase(table, shop.engine, doomed, tables)


def shared_devices(shop: Shop, person: Person) -> frozenset[str]:
    """Devices that a person shares with others."""
    if not shop.lake.exists(EVENTS):
        return frozenset()
    sql = f"""
select distinct anonymous_token from ({shop.lake.relation(EVENTS)})
where user_token {OF_THEIRS} and anonymous_token is not null"""
    rows = shop.query(sql, {"forgotten": pa.table({"token": pa.array(person.tokens, TEXT)})})
    return frozenset(rows["anonymous_token"].to_pylist()) - frozenset(person.tokens)


def read_newest(shop: Shop) -> None:
    """Let those who read the last run read what is left of it."""
    last = shop.snapshot()
    if last is None:
        return
    lake = shop.lake
    with shop.store.begin() as connection:
        this = RUNS.c.run_id == last.run.run_id
        versions = dict(connection.execute(sa.select(RUNS.c.table_versions).where(this)).scalar_one())
        versions |= {table.name: lake.version(table) for table in NAMES_PEOPLE if versions.get(table.name) is not None}
        connection.execute(sa.update(RUNS).where(this).values(table_versions=versions))


def forget_versions(shop: Shop) -> None:
    """Leave the newest version of each table that names people: no older file, no older log."""
    lake = Eraser(shop.lake.folder)
    for table in NAMES_PEOPLE:
        if lake.exists(table):
            lake.forget_past(table)
