"""Compaction: move requests from the inbox into the lake, exactly once.

The order of writes: vault and dead letters (repeatable), one commit of `events` that names the last request it holds,
then the note in the inbox that it moved. Killed in between, the next run sees in the lake's log what is there already.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.consent_check import ConsentCheck, consents_of
from patron.collect.inbox import pending_sources
from patron.collect.inbox.inbox import Inbox, PendingRequest
from patron.collect.inbox.workspace_inbox import (
    OLDER_THAN_LAKE,
    has_inbox,
    open_inbox,
    release_inbox,
    remember_lake_events,
    require_loaded_events,
    require_same_lake,
    sources_with_keys,
)
from patron.collect.loader import EventLoader, validate_raw_events
from patron.collect.personal_columns import replace_personal_values
from patron.collect.request import KNOWN
from patron.collect.suppression import reject_forgotten
from patron.govern.vault import Vault
from patron.schema.data.counts import IngestionCounts
from patron.schema.data.raw_events import raw_events_table
from patron.schema.errors import InboxDamaged
from patron.schema.table_definition import TIME
from patron.schema.tables import EVENTS
from patron.storage.lake.lake import LoadId
from patron.storage.profile_state import profile_state
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_identity import ACCEPT_LOSS

LIVE = "live"
"""Import id of the dead letters of the collector."""
MAX_WAIT_FOR_PROFILES = timedelta(days=7)
"""How long requests wait in the inbox for live profiles that nobody updates."""


@dataclass(frozen=True)
class SourceRequests:
    """Requests of one source, and their raw events."""

    requests: list[PendingRequest]
    raw_events: pa.Table

    @property
    def received_at(self) -> datetime:
        """When the first of them was received."""
        return self.requests[0].received_at


def drain_inbox(shop: Shop) -> IngestionCounts:
    """Move pending requests into the lake; the caller holds the lock. Raises InboxDamaged, NoSpace.

    Live profiles are not written here but by the service. Until then requests that they lack stay in the inbox, where
    the profile reader finds them; in a shop whose service never ran, nothing stays.
    """
    compacted, profiles = compact_inbox(shop), profile_state(shop.store)
    release_inbox(shop, profiles.last_seq_of if profiles.is_built else None, max_age=MAX_WAIT_FOR_PROFILES)
    return compacted


def load_inbox(shop: Shop) -> None:
    """Let what the collector accepted count now, such as withdrawn consents. Raises as drain_inbox, WorkspaceBusy."""
    with shop.commit_lock():
        drain_inbox(shop)


def compact_inbox(shop: Shop) -> IngestionCounts:
    """Move all pending requests into the lake; the caller holds the lock.

    The inbox knows afterwards what came into the lake another way. Requests stay in it until `release_inbox`. Raises
    InboxDamaged, NoSpace, and WorkspaceError for an inbox that moves into the lake of another workspace.
    """
    if not has_inbox(shop):
        return IngestionCounts()
    with open_inbox(shop) as inbox:
        require_loaded_events(shop, inbox)
        marked = pending_sources.list_pending(shop.store)
        for source in sorted({*marked} & {*sources_with_keys(shop)}):
            remember_lake_events(shop, inbox, source)
        moved = IngestionCounts()
        if inbox.pending_count():
            require_same_lake(shop, inbox)
            moved = compact(shop, inbox, marked)
    pending_sources.remove_pending(shop.store, marked)
    return moved


def compact(shop: Shop, inbox: Inbox, marked: Collection[str] = ()) -> IngestionCounts:
    """Move the requests that wait now; of `marked` sources only what the lake lacks. The caller holds the lock.

    While some are written to the lake, a thread reads the next; it alone uses the inbox meanwhile.

    Raises InboxDamaged, NoSpace, MasterKeyError; what was not moved stays in the inbox.
    """
    vault = Vault.open(shop)
    stored = rejected_count = 0
    app_id = inbox.app_id
    shop.lake.sync_commits(EVENTS)  # why: what a process that was killed has moved is about to leave the inbox
    loaded = shop.lake.last_load_sequence(EVENTS, app_id)
    # why: what arrives meanwhile is for the next time; in a busy shop the lock would be held for ever
    until, after = inbox.last_seq(), inbox.moved_seq()
    if loaded > until:
        raise InboxDamaged(OLDER_THAN_LAKE, where=inbox.backend.name, todo=ACCEPT_LOSS)
    with shop.engine.connect() as con, ThreadPoolExecutor(1, "inbox reader") as reader:
        ahead = reader.submit(_read, inbox, after)
        while after < until and (parts := ahead.result()):
            after = max(part.requests[-1].seq for part in parts)
            ahead = reader.submit(_read, inbox, after)
            events, rejected, duplicate = prepare_events(shop, vault, con, parts, loaded, marked)
            if events.num_rows:
                shop.lake.append(EVENTS, events, load_id=LoadId(app_id, after))
                shop.fix_currency()
            is_loaded = events.num_rows > 0
            reader.submit(inbox.mark_moved, after, rejected, duplicate, is_loaded=is_loaded).result()
            stored, rejected_count = stored + events.num_rows, rejected_count + rejected.total()
    return IngestionCounts(stored=stored, rejected=rejected_count)


def _read(inbox: Inbox, after: int) -> list[SourceRequests]:
    """The next requests, by source."""
    by_source: dict[str, list[PendingRequest]] = {}
    for request in inbox.pending_requests(after=after):
        by_source.setdefault(request.source, []).append(request)
    return [SourceRequests(of_source, raw_events_of(of_source)) for _, of_source in sorted(by_source.items())]


def raw_events_of(requests: Sequence[PendingRequest]) -> pa.Table:
    """Raw events of requests."""
    return raw_events_table([row for request in requests for row in request.rows])


def prepare_events(
    shop: Shop,
    vault: Vault,
    con: duckdb.DuckDBPyConnection,
    parts: list[SourceRequests],
    loaded: int,
    marked: Collection[str],
) -> tuple[pa.Table, Counter[str], Counter[str]]:
    """Rows of `events` after the request `loaded`; how many of each source were rejected or in the lake already."""
    tables: list[pa.Table] = []
    rejected: Counter[str] = Counter()
    duplicate: Counter[str] = Counter()
    loaders = [
        EventLoader(
            shop,
            vault,
            con=con,
            source=part.requests[0].source,
            known="received",
            received_at=part.received_at,
            import_id=LIVE,
        )
        for part in parts
    ]
    # why: a consent may come from another source than the behaviour; all are written before any event is checked
    batches = [
        loader.write_consents(validated_rows(loader, one.requests, one.raw_events))
        for loader, one in zip(loaders, parts, strict=True)
    ]
    for loader, checked in zip(loaders, batches, strict=True):
        source, rows = loader.source, loader.check_consent(checked)
        is_good = pc.is_null(rows["problem"])
        bad = rows.filter(pc.invert(is_good))
        loader.write_dead_letters(bad, "")
        rejected[source] = pc.sum(pc.invert(bad["_was_rejected"])).as_py() or 0
        good = rows.filter(pc.and_(is_good, pc.greater(rows["_seq"], loaded)))
        fresh = good
        if source in marked:
            loader.read_stored_ids()
            fresh = loader.without_stored(good)
        duplicate[source] = good.num_rows - fresh.num_rows
        tables.append(loader.event_rows(fresh))
    return pa.concat_tables(tables), +rejected, +duplicate


def pending_event_rows(
    shop: Shop, vault: Vault, con: duckdb.DuckDBPyConnection, requests: list[PendingRequest]
) -> pa.Table:
    """Rows of `events` that pending requests will become, with the columns that profiles need; nothing is stored."""
    loader = EventLoader(
        shop, vault, con=con, source="", known="received", received_at=requests[0].received_at, import_id=LIVE
    )
    rows = reject_forgotten(vault, validated_rows(loader, requests, raw_events_of(requests)))
    sources = pa.array([request.source for request in requests for _ in request.rows], pa.string())
    rows = rows.append_column("source", sources)
    rows = rows.filter(pc.is_null(rows["problem"]))
    consent_check = ConsentCheck(shop.store, vault, shop.policy.consent, consents_of(vault, "", rows, rows["known_at"]))
    rows = consent_check.apply(rows, rows["known_at"])
    rows = rows.filter(pc.is_null(rows["problem"]))
    for kind in ("user", "anonymous"):
        coded = pc.dictionary_encode(rows[f"{kind}_id"].combine_chunks())
        tokens = [vault.token(f"{kind}_id", value) for value in coded.dictionary.to_pylist()]
        rows = rows.append_column(f"{kind}_token", pa.array(tokens, pa.string()).take(coded.indices))
    return rows


def validated_rows(loader: EventLoader, requests: Sequence[PendingRequest], raw_events: pa.Table) -> pa.Table:
    """All messages of requests, validated as imports are, with `_seq`, `_was_rejected`, received and known times.

    No column in clear holds a value that a detector recognises.
    """
    was_rejected = pc.is_valid(raw_events["problem"])
    number = raw_events.column_names.index("row_number")
    rows = validate_raw_events(
        loader, raw_events.set_column(number, "row_number", pa.array(np.arange(raw_events.num_rows)))
    )
    counts = [len(request.rows) for request in requests]
    received = pa.array([request.received_at for request in requests], TIME).take(
        np.repeat(np.arange(len(counts)), counts)
    )
    is_history = pa.array([row.get(KNOWN) == "occurred" for request in requests for row in request.rows], pa.bool_())
    extra = {
        "_seq": pa.array(np.repeat([request.seq for request in requests], counts), pa.int64()),
        "_was_rejected": was_rejected,
        "received_at": received,
        "known_at": pc.if_else(is_history, rows["occurred_at"], received),
    }
    for name, column in extra.items():
        rows = rows.append_column(name, column)
    is_rejected = pc.is_valid(rows["problem"])
    zero = pc.if_else(is_rejected, pa.scalar(0, pa.int64()), rows["row_number"])
    rows = rows.set_column(rows.column_names.index("row_number"), "row_number", zero)
    is_rejected_now = pc.and_(is_history, pc.invert(extra["_was_rejected"]))
    marked_payload = pc.binary_join_element_wise('{"is_history":true,', pc.utf8_slice_codeunits(rows["payload"], 1), "")
    payload = pc.if_else(
        is_rejected_now, marked_payload, rows["payload"]
    )  # why: a replay has to know it; valid rows have no payload
    rows = rows.set_column(rows.column_names.index("payload"), "payload", payload)
    return replace_personal_values(loader.vault, rows)
