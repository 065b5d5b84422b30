"""Profiles in the store: which version of `events` they hold, and all of them built anew beside those in use."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from patron.govern.vault import initial_customer_id
from patron.storage.store import PROFILES, WORKSPACE, Store, upsert
from patron.understand.profiles.profile import Profile, decode, encode, merge

STATE = "profiles"
TOGETHER = 500
WRITTEN_TOGETHER = 20_000
NOTHING = -1


@dataclass(frozen=True)
class State:
    """The profiles in use, and what they hold."""

    generation: int = 0
    version: int = NOTHING
    """Version of `events` whose rows they hold, all of them once."""
    inbox_id: str = ""
    """The inbox some of these rows came through ..."""
    seq: int = 0
    """... and the last of its requests that is among them."""

    @property
    def is_built(self) -> bool:
        """Whether the profiles were ever built from the lake."""
        return self.version != NOTHING

    def held_of(self, inbox_id: str) -> int:
        """The last request of an inbox that they hold; 0 when they hold those of another inbox."""
        return self.seq if self.inbox_id == inbox_id else 0


def state(store: Store) -> State:
    """State of the profiles; it is written once, at the first read."""
    with store.begin() as connection:
        stored = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == STATE))
        if stored is None:
            upsert(connection, WORKSPACE, [{"key": STATE, "value": _text(State())}])
            return State()
    generation, version, inbox_id, seq = stored.split("/")
    return State(int(generation), int(version), inbox_id, int(seq))


def fold_in(store: Store, profiles: Iterable[tuple[str, Profile]], before: State, after: State) -> bool:
    """Add the profiles of rows between two states, once; False, and nothing, when somebody else was first."""
    with store.begin() as connection:
        is_first = _moved(connection, before, after)
        if is_first:
            add(connection, after.generation, profiles)
    return is_first


def put_in_place(
    store: Store, gone: Iterable[str], profiles: Mapping[str, Profile], before: State, after: State
) -> bool:
    """Let profiles of tokens go, and put others in their place; False, and nothing, when somebody else was first."""
    listed = sorted({*gone, *profiles})
    with store.begin() as connection:
        is_first = _moved(connection, before, after)
        if is_first:
            let_go(connection, listed)
            add(connection, after.generation, profiles.items())
    return is_first


def let_go(connection: sa.Connection, tokens: list[str]) -> int:
    """Delete the profiles of tokens, and of devices they own; return how many."""
    count = 0
    for some in _parts(tokens):
        theirs = PROFILES.c.token.in_(some) | PROFILES.c.owner.in_(some)
        count += connection.execute(sa.delete(PROFILES).where(theirs)).rowcount
    return count


def wipe(store: Store) -> None:
    """Leave no profile; the next to follow the lake builds all of them."""
    with store.begin() as connection:
        connection.execute(sa.delete(PROFILES))
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == STATE))


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
    """Read the new generation from now on; False when somebody else was first."""
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
            some[token] = merge(decode(content), some[token])
        upsert(connection, PROFILES, list(_rows(generation, some)), update=("owner", "content"))


def find(store: Store, *, customer_ids: Iterable[str] = (), tokens: Iterable[str] = ()) -> dict[str, Profile]:
    """Profiles of customers who stand alone, and of tokens and the devices they own."""
    column, named = PROFILES.c, list(tokens)
    chosen = sa.select(column.token, column.content).where(column.generation == state(store).generation)
    lookups = ((column.own_id, list(customer_ids)), (column.token, named), (column.owner, named))
    matches: dict[str, Profile] = {}
    with store.begin() as connection:
        for by, values in lookups:  # why: each by its own index; with "or" SQLite would look at every profile
            for some in _parts(values):
                rows = connection.execute(chosen.where(by.in_(some)))
                matches |= {token: decode(content) for token, content in rows}
    return dict(sorted(matches.items()))


def _parts(values: list[str]) -> Iterator[list[str]]:
    return (values[start : start + TOGETHER] for start in range(0, len(values), TOGETHER))


def _rows(generation: int, profiles: dict[str, Profile]) -> Iterator[dict[str, object]]:
    for token, profile in profiles.items():
        yield {
            "generation": generation,
            "token": token,
            "own_id": initial_customer_id(token),
            "owner": profile.owner,
            "content": encode(profile),
        }


def _moved(connection: sa.Connection, before: State, after: State) -> bool:
    """Move the state on; the first statement, so that whoever comes second waits here and finds it moved."""
    chosen = sa.update(WORKSPACE).where(WORKSPACE.c.key == STATE, WORKSPACE.c.value == _text(before))
    return connection.execute(chosen.values(value=_text(after))).rowcount == 1


def _text(state_now: State) -> str:
    return f"{state_now.generation}/{state_now.version}/{state_now.inbox_id}/{state_now.seq}"
