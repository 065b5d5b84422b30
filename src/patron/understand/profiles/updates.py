"""Live profiles follow the lake: they hold the events up to one version of it, each of them once.

The store's state names the version of `events` whose rows they hold, written with them in one transaction, and the
lake's log names the files of the rows that came since. Where it cannot (somebody was forgotten, or the log is gone), or
where very many came, all profiles are rebuilt next to those in use.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from patron.schema.collector_state import InboxPosition
from patron.schema.errors import PatronError, ProfilesBehind
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.understand.profiles import store
from patron.understand.profiles.aggregate import ROWS_TOGETHER, profiles_of
from patron.understand.profiles.profile import Profile
from patron.understand.profiles.store import NOTHING, State, state

MOST_ADDED = 1_000_000
"""Rows that are added to the profiles in one transaction; of more, all are rebuilt, some at a time."""


def fold_new_events(shop: Shop, position: InboxPosition, *, may_rebuild: bool = True) -> None:
    """Add to the profiles what came into the lake since; the caller holds the workspace's lock.

    `position` is that of the inbox now. Without `may_rebuild` profiles that would have to be rebuilt stay as they are.
    Raises ProfilesBehind.
    """
    with _as_behind():
        before, version = state(shop.store), _version(shop)
        files = shop.lake.added(EVENTS, before.version, version)
        rows = None if files is None else shop.lake.relation(EVENTS, only=files)
        if rows is None or (count := _count(shop, rows)) > MOST_ADDED:
            if may_rebuild:
                rebuild_profiles(shop, position)
            return
        after = State(before.generation, version, position.inbox_id, position.seq)
        if after != before:
            with shop.engine.connect() as con:
                store.fold_in(shop.store, _profiles(con, rows, count), before, after)


def rebuild_profiles(shop: Shop, position: InboxPosition) -> None:
    """Build all profiles anew from the lake; the caller holds the lock. Those in use go on until then.

    Raises ProfilesBehind.
    """
    with _as_behind(), shop.engine.connect() as con:
        before, version, rows = state(shop.store), _version(shop), shop.lake.relation(EVENTS)
        generation = store.begin_anew(shop.store)
        store.write_anew(shop.store, generation, _profiles(con, rows, _count(shop, rows)))
        store.put_in_use(shop.store, before, State(generation, version, position.inbox_id, position.seq))


def erase_profiles(shop: Shop, tokens: Collection[str], devices: Collection[str], position: InboxPosition) -> None:
    """Delete the profiles of tokens that left the lake, and rebuild those of devices that others share with them.

    The caller holds the lock, and knows that profiles held all of the lake before. Raises ProfilesBehind.
    """
    with _as_behind(), shop.engine.cursor() as con:
        before, version = state(shop.store), _version(shop)
        con.register("shared", pa.table({"token": pa.array(sorted(devices), pa.string())}))
        rows = f"select * from ({shop.lake.relation(EVENTS)}) where anonymous_token in (select token from shared)"
        rebuilt = {token: profile for token, profile in profiles_of(con, rows) if token in devices}
        after = State(before.generation, version, position.inbox_id, position.seq)
        store.put_in_place(shop.store, {*tokens, *devices}, rebuilt, before, after)


def is_current(shop: Shop) -> bool:
    """Whether every event in the lake is in the profiles."""
    return state(shop.store).version == _version(shop)


def was_built(shop: Shop) -> bool:
    """Whether the profiles were ever built from the lake, however long ago."""
    return state(shop.store).version != NOTHING or _version(shop) == NOTHING


@contextmanager
def _as_behind() -> Iterator[None]:
    """Report why profiles cannot be written."""
    try:
        yield
    except PatronError:
        raise
    except Exception as error:
        what = f"live profiles cannot be written ({error})"
        raise ProfilesBehind(what, todo="Patron tries again by itself.") from error


def _version(shop: Shop) -> int:
    version = shop.lake.version(EVENTS)
    return NOTHING if version is None else version


def _count(shop: Shop, rows: str) -> int:
    return shop.query(f"select count(*) as n from ({rows}) q")["n"][0].as_py()


def _profiles(con: duckdb.DuckDBPyConnection, rows: str, count: int) -> Iterator[tuple[str, Profile]]:
    return profiles_of(con, rows, slices=1 + count // ROWS_TOGETHER)
