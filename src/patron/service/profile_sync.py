"""The one-second path: profiles that hold all events of the lake, and are read with all that waits to come there.

Profiles follow the lake: the store's state names the version of `events` whose rows they hold, written with them in one
transaction, and the lake's log tells which files hold the rows that came since. Where it cannot tell (somebody was
forgotten, or the log is gone), or where very much came, all profiles are built anew beside those in use.

What was acknowledged and is not in the profiles waits in the inbox, which finds the few requests of one customer; who
reads a profile adds what they tell. So a profile shows an event as soon as its request is answered.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import pyarrow as pa

from patron.collect.compaction import rows_ahead
from patron.collect.inbox import SUBJECTS, Inbox, Waiting
from patron.collect.workspace_inbox import has_inbox, open_inbox
from patron.govern.vault import Vault, mark_of, own_id
from patron.schema.errors import PatronError, ProfilesBehind
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.understand.profiles.aggregate import ROWS_TOGETHER, profiles_of
from patron.understand.profiles.profile import Profile, merged
from patron.understand.profiles.store import (
    NOTHING,
    State,
    begin_anew,
    find,
    fold_in,
    put_in_place,
    put_in_use,
    state,
    write_anew,
)

MOST_ADDED = 1_000_000
"""Rows that are added to the profiles in one transaction; of more, all are built anew, some at a time."""


def follow(shop: Shop, *, may_rebuild: bool = True) -> None:
    """Add to the profiles what came into the lake since; the caller holds the workspace's lock.

    Without `may_rebuild` profiles that would have to be built anew stay as they are. Raises ProfilesBehind.
    """
    with _as_behind():
        before, after = state(shop.store), _of_lake(shop)
        files = shop.lake.added(EVENTS, before.version, after.version)
        rows = None if files is None else shop.lake.relation(EVENTS, only=files)
        if rows is None or (count := _count(shop, rows)) > MOST_ADDED:
            if may_rebuild:
                rebuild(shop)
            return
        after = replace(after, generation=before.generation)
        if after != before:
            with shop.engine.connect() as con:
                fold_in(shop.store, _profiles(con, rows, count), before, after)


def rebuild(shop: Shop) -> None:
    """Build all profiles anew from the lake; the caller holds the lock. Those in use go on until then.

    Raises ProfilesBehind.
    """
    with _as_behind(), shop.engine.connect() as con:
        before, after, rows = state(shop.store), _of_lake(shop), shop.lake.relation(EVENTS)
        generation = begin_anew(shop.store)
        write_anew(shop.store, generation, _profiles(con, rows, _count(shop, rows)))
        put_in_use(shop.store, before, replace(after, generation=generation))


def leave_out(shop: Shop, gone: Collection[str], devices: Collection[str]) -> None:
    """Let the profiles of tokens go that left the lake, and build anew those of devices that others share with them.

    The caller holds the lock, and knows that profiles held all of the lake before. Raises ProfilesBehind.
    """
    with _as_behind(), shop.engine.cursor() as con:
        before, lake = state(shop.store), _of_lake(shop)
        con.register("shared", pa.table({"token": pa.array(sorted(devices), pa.string())}))
        rows = f"select * from ({shop.lake.relation(EVENTS)}) where anonymous_token in (select token from shared)"
        made = {token: profile for token, profile in profiles_of(con, rows) if token in devices}
        put_in_place(shop.store, {*gone, *devices}, made, before, replace(lake, generation=before.generation))


def release(shop: Shop) -> None:
    """Delete from the inbox what is in the lake and in the profiles. Raises InboxDamaged."""
    with open_inbox(shop) as inbox:
        inbox.release(state(shop.store).held_of(inbox.inbox_id))


def is_current(shop: Shop) -> bool:
    """Whether every event in the lake is in the profiles."""
    return state(shop.store).version == _version(shop)


def was_built(shop: Shop) -> bool:
    """Whether the profiles were ever built from the lake, however long ago."""
    return state(shop.store).version != NOTHING or _version(shop) == NOTHING


def profiles(shop: Shop, *, own_ids: Collection[str] = (), tokens: Collection[str] = ()) -> dict[str, Profile]:
    """Profiles of customers who stand alone and of tokens, with devices they own, as of all that was acknowledged.

    Raises InboxDamaged.
    """
    while True:
        before = state(shop.store)
        found = _found(shop, before, frozenset(own_ids) | {own_id(token) for token in tokens})
        if state(shop.store) == before:  # why: what was folded meanwhile may be missing in one place or twice in both
            return found


def _found(shop: Shop, before: State, named: frozenset[str]) -> dict[str, Profile]:
    found = find(shop.store, own_ids=named)
    found |= find(shop.store, tokens=list(found))
    if has_inbox(shop):
        vault = Vault.open(shop)
        with open_inbox(shop) as inbox:
            after = before.held_of(inbox.inbox_id)
            is_strange = before.inbox_id not in {"", inbox.inbox_id}
            told = _about(inbox, after, named | {own_id(token) for token in found})
            met = _tokens(vault, told) - found.keys()
            if met:  # why: a device that is told of only now may have done something before
                found |= find(shop.store, tokens=met)
                told = _about(inbox, after, named | {own_id(token) for token in found.keys() | met})
        if is_strange:  # why: an older or another inbox may hold what profiles hold already
            told = _without_stored(shop, told)
        for token, profile in _added_by(shop, vault, told).items():
            found[token] = merged(found[token], profile) if token in found else profile
    meant = {token for token in found if own_id(token) in named}
    return {token: profile for token, profile in found.items() if token in meant or profile.owner in meant}


def _about(inbox: Inbox, after: int, customer_ids: Iterable[str]) -> list[Waiting]:
    """What waits of these customers."""
    return list(inbox.about({mark for one in customer_ids if (mark := mark_of(one))}, after=after))


def _without_stored(shop: Shop, told: list[Waiting]) -> list[Waiting]:
    """Requests without the messages that are in the lake."""
    ids = sorted({row["event_id"] for one in told for row in one.rows if row.get("event_id")})
    sql = f"""
select source, event_id from ({shop.lake.relation(EVENTS)}) e where event_id in (select event_id from asked)"""
    rows = shop.query(sql, {"asked": pa.table({"event_id": pa.array(ids, pa.string())})})
    stored = set(zip(rows["source"].to_pylist(), rows["event_id"].to_pylist(), strict=True))
    return [
        replace(one, rows=[row for row in one.rows if (one.source, row.get("event_id")) not in stored]) for one in told
    ]


def _tokens(vault: Vault, told: list[Waiting]) -> set[str]:
    """Users and devices that requests name."""
    return {vault.token(kind, row[kind]) for one in told for row in one.rows for kind in SUBJECTS if row.get(kind)}


def _added_by(shop: Shop, vault: Vault, told: list[Waiting]) -> dict[str, Profile]:
    """What requests add to the profile of each token."""
    if not any(one.rows for one in told):
        return {}
    with shop.engine.cursor() as con:
        con.register("arrived", rows_ahead(shop, vault, con, told))
        return dict(profiles_of(con, "select * from arrived"))


@contextmanager
def _as_behind() -> Iterator[None]:
    """Say why profiles cannot be written."""
    try:
        yield
    except PatronError:
        raise
    except Exception as error:
        said = f"live profiles cannot be written ({error})"
        raise ProfilesBehind(said, todo="They are tried again by themselves.") from error


def _of_lake(shop: Shop) -> State:
    """What profiles hold when they hold all of the lake."""
    if not has_inbox(shop):
        return State(version=_version(shop))
    with open_inbox(shop) as inbox:
        seq = max(shop.lake.loaded(EVENTS, inbox.load), inbox.moved())
        return State(version=_version(shop), inbox_id=inbox.inbox_id, seq=seq)


def _version(shop: Shop) -> int:
    version = shop.lake.version(EVENTS)
    return NOTHING if version is None else version


def _count(shop: Shop, rows: str) -> int:
    return shop.query(f"select count(*) as n from ({rows}) q")["n"][0].as_py()


def _profiles(con: duckdb.DuckDBPyConnection, rows: str, count: int) -> Iterator[tuple[str, Profile]]:
    return profiles_of(con, rows, slices=1 + count // ROWS_TOGETHER)
