"""Profiles in the store, and a new generation of them while it is built."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import sqlalchemy as sa

from patron.govern.vault import initial_customer_id
from patron.storage.profile_state import ProfileState, advance_state, delete_state, profile_state
from patron.storage.store.store import PROFILES, Store, upsert
from patron.understand.profiles.token_profile import TokenProfile, decode, encode, merge

BATCH_SIZE = 500
"""Values in one statement."""
TRANSACTION_SIZE = 20_000
"""Profiles of a new generation that are written in one transaction."""


def merge_profiles(
    store: Store, profiles: Iterable[tuple[str, TokenProfile]], before: ProfileState, after: ProfileState
) -> bool:
    """Merge profiles of new events if the stored state is still `before`; return whether it was."""
    with store.begin() as connection:
        is_first = advance_state(connection, before, after)
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
        is_first = advance_state(connection, before, after)
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
        delete_state(connection)


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
        is_first = advance_state(connection, before, after)
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
    store: Store,
    *,
    customer_ids: Iterable[str] = (),
    tokens: Iterable[str] = (),
    state: ProfileState | None = None,
) -> dict[str, TokenProfile]:
    """Profiles by token: of customers with a single token, and of tokens and the devices they own.

    `state` is that of the profiles, where the caller knows it.
    """
    column, token_list, active = PROFILES.c, list(tokens), (state or profile_state(store)).generation
    found = sa.select(column.token, column.generation, column.content)
    # why: each by its own index; the key of the table begins with the generation. With "or", or with the generation as
    # a condition on the others, SQLite looks at every profile
    lookups = (
        (found.where(column.generation == active), column.token, token_list),
        (found, column.own_id, list(customer_ids)),
        (found, column.owner, token_list),
    )
    matches: dict[str, TokenProfile] = {}
    with store.begin() as connection:
        for chosen, key, values in lookups:
            for batch in _batches(values):
                rows = connection.execute(chosen.where(key.in_(batch)))
                matches |= {token: decode(content) for token, generation, content in rows if generation == active}
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
