"""Profiles in the store, the version of `events` that they hold, and a new generation of them while it is built."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from patron.govern.vault import initial_customer_id
from patron.storage.store.store import PROFILES, WORKSPACE, Store, upsert
from patron.understand.profiles.token_profile import TokenProfile, decode, encode, merge

STATE_KEY = "profiles"
BATCH_SIZE = 500
"""Values in one statement."""
TRANSACTION_SIZE = 20_000
"""Profiles of a new generation that are written in one transaction."""
NO_VERSION = -1
"""Version of `events` while there is no such table."""


@dataclass(frozen=True)
class ProfileState:
    """Which generation of profiles is read, and which events it holds."""

    generation: int = 0
    version: int = NO_VERSION
    """Version of `events` whose rows the profiles hold, each once."""
    inbox_id: str = ""
    """The inbox that some of these rows came through ..."""
    seq: int = 0
    """... and the last of its requests that the profiles hold."""

    @property
    def is_built(self) -> bool:
        """Whether the profiles were ever built from the lake."""
        return self.version != NO_VERSION

    def last_seq_of(self, inbox_id: str) -> int:
        """Number of the last request of an inbox that the profiles hold; 0 for another inbox than theirs."""
        return self.seq if self.inbox_id == inbox_id else 0


def profile_state(store: Store) -> ProfileState:
    """State of the profiles; the first read writes the initial one."""
    with store.begin() as connection:
        stored = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == STATE_KEY))
        if stored is None:
            upsert(connection, WORKSPACE, [{"key": STATE_KEY, "value": _text(ProfileState())}])
            return ProfileState()
    generation, version, inbox_id, seq = stored.split("/")
    return ProfileState(int(generation), int(version), inbox_id, int(seq))


def merge_profiles(
    store: Store, profiles: Iterable[tuple[str, TokenProfile]], before: ProfileState, after: ProfileState
) -> bool:
    """Merge profiles of new events if the stored state is still `before`; return whether it was."""
    with store.begin() as connection:
        is_first = _advance_state(connection, before, after)
        if is_first:
            upsert_profiles(connection, after.generation, profiles)
    return is_first


def replace_profiles(
    store: Store, tokens: Iterable[str], profiles: Mapping[str, TokenProfile], before: ProfileState, after: ProfileState
) -> bool:
    """Delete the profiles of tokens and write `profiles` if the stored state is still `before`; return whether it was.

    A token of `profiles` loses its old profile, too.
    """
    deleted = sorted({*tokens, *profiles})
    with store.begin() as connection:
        is_first = _advance_state(connection, before, after)
        if is_first:
            delete_profiles(connection, deleted)
            upsert_profiles(connection, after.generation, profiles.items())
    return is_first


def delete_profiles(connection: sa.Connection, tokens: list[str]) -> int:
    """Delete the profiles of tokens and of the devices they own; return how many."""
    count = 0
    for batch in _batches(tokens):
        is_of_batch = PROFILES.c.token.in_(batch) | PROFILES.c.owner.in_(batch)
        count += connection.execute(sa.delete(PROFILES).where(is_of_batch)).rowcount
    return count


def delete_all_profiles(store: Store) -> None:
    """Delete every profile and the state; the next update builds all of them."""
    with store.begin() as connection:
        connection.execute(sa.delete(PROFILES))
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == STATE_KEY))


def start_generation(store: Store) -> int:
    """Delete the rows of an unfinished rebuild; return the number of the new, empty generation."""
    active = profile_state(store).generation
    with store.begin() as connection:
        connection.execute(sa.delete(PROFILES).where(PROFILES.c.generation != active))
    return active + 1


def write_generation(store: Store, generation: int, profiles: Iterable[tuple[str, TokenProfile]]) -> None:
    """Write profiles into a generation that nobody reads yet, in several transactions: others write in between."""
    rows = iter(profiles)
    while batch := list(islice(rows, TRANSACTION_SIZE)):
        with store.begin() as connection:
            upsert_profiles(connection, generation, batch)


def activate_generation(store: Store, before: ProfileState, after: ProfileState) -> bool:
    """Let readers see the new generation if the stored state is still `before`; return whether it was."""
    with store.begin() as connection:
        is_first = _advance_state(connection, before, after)
    if is_first:
        with store.begin() as connection:
            connection.execute(sa.delete(PROFILES).where(PROFILES.c.generation < after.generation))
    return is_first


def upsert_profiles(connection: sa.Connection, generation: int, profiles: Iterable[tuple[str, TokenProfile]]) -> None:
    """Merge profiles with the stored ones of the same tokens, and store the result."""
    rows = iter(profiles)
    while batch := dict(islice(rows, BATCH_SIZE)):
        stored = sa.select(PROFILES.c.token, PROFILES.c.content).where(
            PROFILES.c.generation == generation, PROFILES.c.token.in_(batch)
        )
        for token, content in connection.execute(stored).all():
            batch[token] = merge(decode(content), batch[token])
        upsert(connection, PROFILES, list(_profile_rows(generation, batch)), update=("owner", "content"))


def find_profiles(
    store: Store, *, customer_ids: Iterable[str] = (), tokens: Iterable[str] = ()
) -> dict[str, TokenProfile]:
    """Profiles by token: of customers with a single token, and of tokens and the devices they own."""
    column, token_list = PROFILES.c, list(tokens)
    active = sa.select(column.token, column.content).where(column.generation == profile_state(store).generation)
    lookups = ((column.own_id, list(customer_ids)), (column.token, token_list), (column.owner, token_list))
    matches: dict[str, TokenProfile] = {}
    with store.begin() as connection:
        for key, values in lookups:  # why: each by its own index; with "or" SQLite would look at every profile
            for batch in _batches(values):
                rows = connection.execute(active.where(key.in_(batch)))
                matches |= {token: decode(content) for token, content in rows}
    return dict(sorted(matches.items()))


def _batches(values: list[str]) -> Iterator[list[str]]:
    return (values[start : start + BATCH_SIZE] for start in range(0, len(values), BATCH_SIZE))


def _profile_rows(generation: int, profiles: dict[str, TokenProfile]) -> Iterator[dict[str, object]]:
    for token, profile in profiles.items():
        yield {
            "generation": generation,
            "token": token,
            "own_id": initial_customer_id(token),
            "owner": profile.owner,
            "content": encode(profile),
        }


def _advance_state(connection: sa.Connection, before: ProfileState, after: ProfileState) -> bool:
    """Write `after` if the state is `before`; as the first statement it makes a second writer wait, and get False."""
    still_before = sa.update(WORKSPACE).where(WORKSPACE.c.key == STATE_KEY, WORKSPACE.c.value == _text(before))
    return connection.execute(still_before.values(value=_text(after))).rowcount == 1


def _text(state: ProfileState) -> str:
    return f"{state.generation}/{state.version}/{state.inbox_id}/{state.seq}"
