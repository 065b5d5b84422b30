"""What an ad platform has of each audience: hashed identifiers by customer, until it has confirmed their removal."""

import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_tables import AUDIENCE_MEMBERS

ADDING = "adding"
ADDED = "added"
REMOVING = "removing"
BATCH_SIZE = 500


@dataclass(frozen=True)
class AudienceMember:
    """What the platform has, or may have, of one customer."""

    customer_id: str
    """Nobody's any more once the customer was forgotten."""
    identifiers: Mapping[str, str]
    """Hashes by kind."""
    state: str
    changed_at: datetime
    """When its addition began, or was confirmed."""


def audience_members(
    connection: sa.Connection, audience: str, states: Collection[str] = (ADDING, ADDED, REMOVING)
) -> list[AudienceMember]:
    """Members in some states, the oldest change first: an unfinished sync is repeated in the same order."""
    table = AUDIENCE_MEMBERS.c
    chosen = sa.select(table.customer_id, table.identifiers, table.state, table.changed_at)
    chosen = chosen.where(table.audience == audience, table.state.in_(states))
    rows = connection.execute(chosen.order_by(table.changed_at, table.customer_id))
    return [
        AudienceMember(row.customer_id, json.loads(row.identifiers), row.state, utc(row.changed_at)) for row in rows
    ]


def customers_in_state(connection: sa.Connection, audience: str, customer_ids: Sequence[str], state: str) -> set[str]:
    """Which of some customers are members in a state."""
    chosen = sa.select(AUDIENCE_MEMBERS.c.customer_id).where(AUDIENCE_MEMBERS.c.state == state)
    places = _places(audience, customer_ids)
    return {customer_id for where in places for customer_id in connection.scalars(chosen.where(*where))}


def count_members(connection: sa.Connection, audience: str) -> dict[str, int]:
    """How many members are in each state."""
    table = AUDIENCE_MEMBERS.c
    chosen = sa.select(table.state, sa.func.count()).where(table.audience == audience).group_by(table.state)
    return {row[0]: row[1] for row in connection.execute(chosen)}


def last_change(connection: sa.Connection, audience: str) -> datetime | None:
    """When a member was added or its removal began; None without any."""
    return connection.scalar(
        sa.select(sa.func.max(AUDIENCE_MEMBERS.c.changed_at)).where(AUDIENCE_MEMBERS.c.audience == audience)
    )


def insert_adding(
    connection: sa.Connection, audience: str, identifiers: Mapping[str, Mapping[str, str]], at: datetime
) -> None:
    """Keep what is about to be added, by customer, before it is sent."""
    rows = [
        {"audience": audience, "customer_id": customer_id, "state": ADDING, "changed_at": at}
        | {"identifiers": json.dumps(hashes, sort_keys=True)}
        for customer_id, hashes in identifiers.items()
    ]
    if rows:
        connection.execute(sa.insert(AUDIENCE_MEMBERS), rows)


def set_state(
    connection: sa.Connection, audience: str, customer_ids: Sequence[str], state: str, at: datetime | None = None
) -> None:
    """Change the state of members."""
    values = {"state": state} | ({"changed_at": at} if at else {})
    for where in _places(audience, customer_ids):
        connection.execute(sa.update(AUDIENCE_MEMBERS).where(*where).values(values))


def delete_members(connection: sa.Connection, audience: str, customer_ids: Sequence[str]) -> None:
    """Delete members of whom the platform has nothing, as their removal was confirmed."""
    for where in _places(audience, customer_ids):
        connection.execute(sa.delete(AUDIENCE_MEMBERS).where(*where))


def hashes_of(connection: sa.Connection, customer_ids: Sequence[str]) -> frozenset[str]:
    """Every hashed identifier that a platform has of some customers."""
    chosen = sa.select(AUDIENCE_MEMBERS.c.identifiers).where(AUDIENCE_MEMBERS.c.customer_id.in_(customer_ids))
    return frozenset(load for text in connection.scalars(chosen) for load in json.loads(text).values())


def forget_members(connection: sa.Connection, customer_ids: Sequence[str]) -> int:
    """Leave of some customers only the identifiers that the next sync removes, under an id that is nobody's."""
    table = AUDIENCE_MEMBERS.c
    chosen = sa.select(table.audience, table.customer_id).where(table.customer_id.in_(customer_ids))
    rows = connection.execute(chosen).all()
    for row in rows:
        place = (table.audience == row.audience, table.customer_id == row.customer_id)
        fresh = {"customer_id": f"forgotten-{secrets.token_hex(16)}", "state": REMOVING}
        connection.execute(sa.update(AUDIENCE_MEMBERS).where(*place).values(fresh))
    return len(rows)


def _places(audience: str, customer_ids: Sequence[str]) -> Iterator[Iterable[sa.ColumnElement[bool]]]:
    table = AUDIENCE_MEMBERS.c
    for start in range(0, len(customer_ids), BATCH_SIZE):
        yield table.audience == audience, table.customer_id.in_(customer_ids[start : start + BATCH_SIZE])
