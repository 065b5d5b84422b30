"""Profiles in the store: which requests they hold, and all of them built anew beside those in use."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from patron.base.store import PROFILES, WORKSPACE, Store
from patron.understand.live.profile import Profile, decoded, encoded, merged

STATE = "profiles"
TOGETHER = 500
WRITTEN_TOGETHER = 20_000


@dataclass(frozen=True)
class State:
    """The profiles in use, and the last request of the inbox that they hold."""

    generation: int
    folded: int
    inbox_id: str = ""
    """Which inbox numbered it; empty before the first."""

    def folded_of(self, inbox_id: str) -> int | None:
        """The last request of an inbox that they hold; None when they hold those of another inbox."""
        return self.folded if self.inbox_id == inbox_id or (self.folded, self.inbox_id) == (0, "") else None


def state(store: Store) -> State:
    """State of the profiles; it is written once and found by all who ask."""
    with store.begin() as connection:
        found = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == STATE))
        if found is None:
            insert = _insert(connection, WORKSPACE).values(key=STATE, value=_text(State(0, 0)))
            connection.execute(insert.on_conflict_do_nothing())
            return State(0, 0)
    generation, folded, *inbox_id = found.split("/")
    return State(int(generation), int(folded), *inbox_id)


def fold_in(store: Store, profiles: Iterable[tuple[str, Profile]], before: State, after: State) -> bool:
    """Add the profiles of requests between two states, once; False, and nothing, when somebody else was first."""
    with store.begin() as connection:
        is_first = _moved(connection, before, after)
        if is_first:
            add(connection, after.generation, profiles)
    return is_first


def begin_anew(store: Store) -> int:
    """Number of a new generation, with nothing in it."""
    now = state(store).generation
    with store.begin() as connection:
        connection.execute(sa.delete(PROFILES).where(PROFILES.c.generation != now))
    return now + 1


def write_anew(store: Store, generation: int, profiles: Iterable[tuple[str, Profile]]) -> None:
    """Put profiles that nobody reads yet into a new generation, some at a time: others write in between."""
    rows = iter(profiles)
    while some := list(islice(rows, WRITTEN_TOGETHER)):
        with store.begin() as connection:
            add(connection, generation, some)


def put_in_use(store: Store, before: State, after: State) -> bool:
    """Read the new generation from now on; False when a request was folded meanwhile."""
    with store.begin() as connection:
        is_first = _moved(connection, before, after)
    if is_first:
        with store.begin() as connection:
            connection.execute(sa.delete(PROFILES).where(PROFILES.c.generation < after.generation))
    return is_first


def add(connection: sa.Connection, generation: int, profiles: Iterable[tuple[str, Profile]]) -> None:
    """Merge profiles with those that are kept of their tokens."""
    rest = iter(profiles)
    while some := dict(islice(rest, TOGETHER)):
        chosen = sa.select(PROFILES.c.token, PROFILES.c.content).where(
            PROFILES.c.generation == generation, PROFILES.c.token.in_(some)
        )
        for token, content in connection.execute(chosen).all():
            some[token] = merged(decoded(content), some[token])
        insert = _insert(connection, PROFILES)
        changed = {name: insert.excluded[name] for name in ("owner", "content")}
        insert = insert.on_conflict_do_update(index_elements=["generation", "token"], set_=changed)
        connection.execute(insert, list(_rows(generation, some)))


def find(store: Store, *, own_id: str = "", tokens: Iterable[str] = ()) -> dict[str, Profile]:
    """Profiles of a customer who stands alone, and of tokens and the devices they own."""
    named = list(tokens)
    column = PROFILES.c
    chosen = sa.select(column.token, column.content).where(
        column.generation == state(store).generation,
        sa.or_(column.own_id == own_id, column.token.in_(named), column.owner.in_(named)),
    )
    with store.begin() as connection:
        return {token: decoded(content) for token, content in connection.execute(chosen.order_by(column.token))}


def own_id(token: str) -> str:
    """Customer id of a token that stands alone."""
    return hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()


def _rows(generation: int, profiles: dict[str, Profile]) -> Iterator[dict[str, object]]:
    for token, profile in profiles.items():
        yield {
            "generation": generation,
            "token": token,
            "own_id": own_id(token),
            "owner": profile.owner,
            "content": encoded(profile),
        }


def _moved(connection: sa.Connection, before: State, after: State) -> bool:
    """Move the state on; the first statement, so that whoever comes second waits here and finds it moved."""
    chosen = sa.update(WORKSPACE).where(WORKSPACE.c.key == STATE, WORKSPACE.c.value == _text(before))
    return connection.execute(chosen.values(value=_text(after))).rowcount == 1


def _text(told: State) -> str:
    return f"{told.generation}/{told.folded}/{told.inbox_id}"


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
