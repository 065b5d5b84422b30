"""Read profiles as of the last acknowledged event: those in the store, and the requests that wait in the inbox.

The compaction worker writes profiles (`understand/profiles/profile_writer.py`) every few seconds. An acknowledged event
that is not in them yet waits in the inbox, which finds the few requests of one customer; a reader merges those. So a
profile shows an event as soon as its request is answered.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial

import pyarrow as pa

from patron.collect.inbox.compaction import pending_event_rows
from patron.collect.inbox.inbox import SUBJECTS, Inbox, PendingRequest
from patron.collect.inbox.workspace_inbox import has_inbox, open_inbox
from patron.govern.vault import Vault, customer_mark, initial_customer_id
from patron.schema.tables import EVENTS
from patron.storage.profile_state import ProfileState, profile_state
from patron.storage.shop import Shop
from patron.understand.profiles.profile_query import profiles_of
from patron.understand.profiles.profile_store import find_profiles
from patron.understand.profiles.token_profile import TokenProfile, merge


def read_profiles(
    shop: Shop, *, customer_ids: Collection[str] = (), tokens: Collection[str] = ()
) -> dict[str, TokenProfile]:
    """Profiles by token, of every acknowledged event: of customers with a single token, of tokens and their devices.

    Raises InboxDamaged.
    """
    owner_ids = frozenset(customer_ids) | {initial_customer_id(token) for token in tokens}
    while True:
        before = profile_state(shop.store)
        profile_by_token = _stored_and_pending(shop, before, owner_ids)
        if profile_state(shop.store) == before:  # why: else an event may be missing in both places or counted in both
            return profile_by_token


def _stored_and_pending(shop: Shop, before: ProfileState, owner_ids: frozenset[str]) -> dict[str, TokenProfile]:
    """Stored profiles of these customers and of devices they own, merged with their pending requests."""
    find = partial(find_profiles, shop.store, state=before)
    profile_by_token = find(customer_ids=owner_ids)
    profile_by_token |= find(tokens=list(profile_by_token))
    if has_inbox(shop):
        with open_inbox(shop) as inbox:
            after = before.last_seq_of(inbox.inbox_id)
            is_other_inbox = before.inbox_id not in {"", inbox.inbox_id}
            device_ids = {initial_customer_id(token) for token in profile_by_token}
            requests = _pending_requests(inbox, after, owner_ids | device_ids)
            new_tokens = _tokens_in(shop, requests) - profile_by_token.keys()
            if new_tokens:  # why: a device that is known only now may have done something before
                profile_by_token |= find(tokens=new_tokens)
                device_ids = {initial_customer_id(token) for token in profile_by_token.keys() | new_tokens}
                requests = _pending_requests(inbox, after, owner_ids | device_ids)
        if is_other_inbox:  # why: an older or another inbox may hold what profiles hold already
            requests = _without_stored(shop, requests)
        for token, profile in _profiles_of_requests(shop, requests).items():
            profile_by_token[token] = merge(profile_by_token[token], profile) if token in profile_by_token else profile
    owners = {token for token in profile_by_token if initial_customer_id(token) in owner_ids}
    return {token: profile for token, profile in profile_by_token.items() if token in owners or profile.owner in owners}


def _pending_requests(inbox: Inbox, after: int, customer_ids: Iterable[str]) -> list[PendingRequest]:
    """Requests after a position that are about these customers."""
    marks = {mark for customer_id in customer_ids if (mark := customer_mark(customer_id))}
    return list(inbox.requests_about(marks, after=after))


def _without_stored(shop: Shop, requests: list[PendingRequest]) -> list[PendingRequest]:
    """Requests without the messages that are in the lake."""
    ids = sorted({row["event_id"] for request in requests for row in request.rows if row.get("event_id")})
    sql = f"""
select source, event_id from ({shop.lake.relation(EVENTS)}) e where event_id in (select event_id from pending)"""
    rows = shop.query(sql, {"pending": pa.table({"event_id": pa.array(ids, pa.string())})})
    stored = set(zip(rows["source"].to_pylist(), rows["event_id"].to_pylist(), strict=True))
    return [
        replace(request, rows=[row for row in request.rows if (request.source, row.get("event_id")) not in stored])
        for request in requests
    ]


def _tokens_in(shop: Shop, requests: list[PendingRequest]) -> set[str]:
    """Tokens of the users and devices of requests."""
    rows = [row for request in requests for row in request.rows]
    if not rows:
        return set()
    vault = Vault.open(shop)
    return {vault.token(kind, row[kind]) for row in rows for kind in SUBJECTS if row.get(kind)}


def _profiles_of_requests(shop: Shop, requests: list[PendingRequest]) -> dict[str, TokenProfile]:
    """Profile of each token from the events of requests alone."""
    if not any(request.rows for request in requests):
        return {}
    with shop.engine.cursor() as con:
        con.register("arrived", pending_event_rows(shop, Vault.open(shop), con, requests))
        return dict(profiles_of(con, "select * from arrived"))
