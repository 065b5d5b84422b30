"""Write the live profiles: they hold the events of the lake up to one version, each event once.

The store's state names the version of `events` whose rows they hold, written with them in one transaction, and the
lake's log names the files of the rows that came since. Where it cannot (somebody was forgotten, or the log is gone), or
where very many rows came, all profiles are rebuilt next to those in use.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from patron.schema.data.collector_state import InboxPosition
from patron.schema.errors import PatronError, ProfilesBehind
from patron.schema.tables import EVENTS
from patron.storage.profile_state import NO_VERSION, ProfileState, profile_state
from patron.storage.shop import Shop
from patron.understand.profiles import profile_store
from patron.understand.profiles.profile_query import ROWS_PER_SLICE, profiles_of
from patron.understand.profiles.token_profile import TokenProfile

MAX_ROWS_MERGED = 1_000_000
"""Rows that are merged into the profiles in one transaction; above this number all profiles are rebuilt."""


def update_profiles(shop: Shop, position: InboxPosition, *, may_rebuild: bool = True) -> None:
    """Merge the lake's new events into the profiles; the caller holds the workspace's lock.

    `position` is that of the inbox now. Without `may_rebuild` profiles that need a rebuild stay as they are.
    Raises ProfilesBehind.
    """
    with _raise_profiles_behind():
        before, version = profile_state(shop.store), _lake_version(shop)
        files = shop.lake.files_added(EVENTS, before.version, version)
        rows = None if files is None else shop.lake.relation(EVENTS, only=files)
        if rows is None or (count := _count(shop, rows)) > MAX_ROWS_MERGED:
            if may_rebuild:
                rebuild_profiles(shop, position)
            return
        after = ProfileState(before.generation, version, position.inbox_id, position.seq)
        if after != before:
            with shop.engine.connect() as con:
                profile_store.merge_profiles(shop.store, _profiles(con, rows, count), before, after)


def rebuild_profiles(shop: Shop, position: InboxPosition) -> None:
    """Build all profiles from the lake; those in use are read until then. The caller holds the lock.

    Raises ProfilesBehind.
    """
    with _raise_profiles_behind(), shop.engine.connect() as con:
        before = profile_state(shop.store)
        version = _lake_version(shop)
        rows = shop.lake.relation(EVENTS)
        generation = profile_store.start_generation(shop.store)
        profile_store.write_generation(shop.store, generation, _profiles(con, rows, _count(shop, rows)))
        after = ProfileState(generation, version, position.inbox_id, position.seq)
        profile_store.activate_generation(shop.store, before, after)


def erase_profiles(shop: Shop, tokens: Collection[str], devices: Collection[str], position: InboxPosition) -> None:
    """Delete the profiles of tokens that left the lake, and rebuild those of devices that others share with them.

    The caller holds the lock, and knows that the profiles held all of the lake before. Raises ProfilesBehind.
    """
    with _raise_profiles_behind(), shop.engine.cursor() as con:
        before, version = profile_state(shop.store), _lake_version(shop)
        con.register("shared", pa.table({"token": pa.array(sorted(devices), pa.string())}))
        rows = f"select * from ({shop.lake.relation(EVENTS)}) where anonymous_token in (select token from shared)"
        rebuilt = {token: profile for token, profile in profiles_of(con, rows) if token in devices}
        after = ProfileState(before.generation, version, position.inbox_id, position.seq)
        profile_store.replace_profiles(shop.store, {*tokens, *devices}, rebuilt, before, after)


def are_profiles_current(shop: Shop) -> bool:
    """Whether every event in the lake is in the profiles."""
    return profile_state(shop.store).version == _lake_version(shop)


def has_profiles(shop: Shop) -> bool:
    """Whether the profiles were ever built from the lake, however long ago; an empty lake needs none."""
    return profile_state(shop.store).is_built or _lake_version(shop) == NO_VERSION


@contextmanager
def _raise_profiles_behind() -> Iterator[None]:
    """Raise ProfilesBehind for whatever keeps profiles from being written."""
    try:
        yield
    except PatronError:
        raise
    except Exception as error:
        what = f"live profiles cannot be written ({error})"
        raise ProfilesBehind(what, todo="Patron tries again by itself.") from error


def _lake_version(shop: Shop) -> int:
    version = shop.lake.version(EVENTS)
    return NO_VERSION if version is None else version


def _count(shop: Shop, rows: str) -> int:
    return shop.query(f"select count(*) as n from ({rows}) q")["n"][0].as_py()


def _profiles(con: duckdb.DuckDBPyConnection, rows: str, count: int) -> Iterator[tuple[str, TokenProfile]]:
    return profiles_of(con, rows, slices=1 + count // ROWS_PER_SLICE)
