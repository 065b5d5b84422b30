"""The one-second path: profiles that hold the events of the lake, read together with all that waits to come there.

What was acknowledged and is not in the profiles waits in the inbox, which finds the few requests of one customer; who
reads a profile adds their events. So a profile shows an event as soon as its request is answered.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

import pyarrow as pa

from patron.collect.compaction import pending_event_rows
from patron.collect.inbox import SUBJECTS, Inbox, PendingRequest
from patron.collect.workspace_inbox import has_inbox, inbox_position, open_inbox, release_inbox
from patron.govern.vault import Vault, customer_mark, initial_customer_id
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.understand.profiles.aggregate import profiles_of
from patron.understand.profiles.profile import Profile, merge
from patron.understand.profiles.store import State, find, state
from patron.understand.profiles.updates import fold_new_events, rebuild_profiles


def follow(shop: Shop) -> None:
    """Add to the profiles what came into the lake since; the caller holds the lock. Raises ProfilesBehind."""
    fold_new_events(shop, inbox_position(shop))


def rebuild(shop: Shop) -> None:
    """Build all profiles anew from the lake; the caller holds the lock. Raises ProfilesBehind."""
    rebuild_profiles(shop, inbox_position(shop))


def release(shop: Shop) -> None:
    """Delete from the inbox what is in the lake and in the profiles. Raises InboxDamaged."""
    release_inbox(shop, state(shop.store).held_of)


def profiles(shop: Shop, *, customer_ids: Collection[str] = (), tokens: Collection[str] = ()) -> dict[str, Profile]:
    """Profiles of customers with a single token and of tokens, with devices they own, as of all that was acknowledged.

    Raises InboxDamaged.
    """
    while True:
        before = state(shop.store)
        profile_by_token = _read_profiles(
            shop, before, frozenset(customer_ids) | {initial_customer_id(token) for token in tokens}
        )
        if state(shop.store) == before:  # why: what was folded meanwhile may be missing in one place or twice in both
            return profile_by_token


def _read_profiles(shop: Shop, before: State, named: frozenset[str]) -> dict[str, Profile]:
    profile_by_token = find(shop.store, customer_ids=named)
    profile_by_token |= find(shop.store, tokens=list(profile_by_token))
    if has_inbox(shop):
        vault = Vault.open(shop)
        with open_inbox(shop) as inbox:
            after = before.held_of(inbox.inbox_id)
            is_strange = before.inbox_id not in {"", inbox.inbox_id}
            requests = _about(inbox, after, named | {initial_customer_id(token) for token in profile_by_token})
            new_tokens = _tokens(vault, requests) - profile_by_token.keys()
            if new_tokens:  # why: a device that is known only now may have done something before
                profile_by_token |= find(shop.store, tokens=new_tokens)
                requests = _about(
                    inbox, after, named | {initial_customer_id(token) for token in profile_by_token.keys() | new_tokens}
                )
        if is_strange:  # why: an older or another inbox may hold what profiles hold already
            requests = _without_stored(shop, requests)
        for token, profile in _added_by(shop, vault, requests).items():
            profile_by_token[token] = merge(profile_by_token[token], profile) if token in profile_by_token else profile
    meant = {token for token in profile_by_token if initial_customer_id(token) in named}
    return {token: profile for token, profile in profile_by_token.items() if token in meant or profile.owner in meant}


def _about(inbox: Inbox, after: int, customer_ids: Iterable[str]) -> list[PendingRequest]:
    """What waits of these customers."""
    return list(inbox.requests_about({mark for one in customer_ids if (mark := customer_mark(one))}, after=after))


def _without_stored(shop: Shop, requests: list[PendingRequest]) -> list[PendingRequest]:
    """Requests without the messages that are in the lake."""
    ids = sorted({row["event_id"] for one in requests for row in one.rows if row.get("event_id")})
    sql = f"""
select source, event_id from ({shop.lake.relation(EVENTS)}) e where event_id in (select event_id from pending)"""
    rows = shop.query(sql, {"pending": pa.table({"event_id": pa.array(ids, pa.string())})})
    stored = set(zip(rows["source"].to_pylist(), rows["event_id"].to_pylist(), strict=True))
    return [
        replace(one, rows=[row for row in one.rows if (one.source, row.get("event_id")) not in stored])
        for one in requests
    ]


def _tokens(vault: Vault, requests: list[PendingRequest]) -> set[str]:
    """Users and devices that requests name."""
    return {vault.token(kind, row[kind]) for one in requests for row in one.rows for kind in SUBJECTS if row.get(kind)}


def _added_by(shop: Shop, vault: Vault, requests: list[PendingRequest]) -> dict[str, Profile]:
    """What requests add to the profile of each token."""
    if not any(one.rows for one in requests):
        return {}
    with shop.engine.cursor() as con:
        con.register("arrived", pending_event_rows(shop, vault, con, requests))
        return dict(profiles_of(con, "select * from arrived"))
