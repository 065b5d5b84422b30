"""The workspace's inbox, opened with its key and compared with the id that the store knows it by.

An inbox is made once, when none is known yet: one that is missing, older or another workspace's is refused. A new inbox
of a lake with events learns their ids first.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from patron.collect.inbox import pending_sources
from patron.collect.inbox.inbox import ORDER, CustomerMark, Inbox
from patron.collect.inbox.inbox_sqlite import renew_inbox_bound
from patron.collect.personal_columns import identifier_tokens
from patron.govern.access.api_keys import list_keys
from patron.govern.master_key import derive_keys
from patron.govern.vault import Vault, customer_mark, initial_customer_id
from patron.schema.common_sentences import AT_PLACE, IS_MISSING
from patron.schema.data.collector_state import CollectorState, InboxPosition, SourceCounts
from patron.schema.errors import EventsLost, InboxDamaged, LakeDamaged, PatronError, WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.short_text_cache import cache_short_texts
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store.store import WORKSPACE, upsert
from patron.storage.workspace.layout import INBOX, SERVER_INBOX
from patron.storage.workspace.workspace_files import INBOX_BOUND_FILE, INBOX_FILE
from patron.storage.workspace.workspace_identity import ACCEPT_LOSS

OLDER_THAN_LAKE = Sentence("older_than_lake", "is older than the lake")
NOT_OUR_INBOX = Sentence("not_our_inbox", "is not the inbox of this workspace")
LAKE_LOST_EVENTS = Sentence(
    "lake_lost_events", "has lost events: request {expected} was moved into it, and it ends with {loaded}"
)
INBOX_STILL_HOLDS = Sentence("inbox_still_holds", "still holds {count:,} requests that nothing would move")
SERVE_ONCE = Sentence("serve_once", "Run `patron serve` once without inbox_url, so that they move into the lake.")
INBOX_OF_OTHER = Sentence("inbox_of_other", "the inbox belongs to the lake of another workspace")
DO_IT_THERE = Sentence("do_it_there", "Do this there; here `patron serve --accept-only` accepts for it.")

LOST_SUFFIX = ".lost"
CACHED_MARKS = 50_000
"""Ids whose marks are cached: visitors of the moment send again soon."""


def has_inbox(shop: Shop) -> bool:
    """Whether the workspace has an inbox: on a server, or in a file once anything was sent."""
    is_there = bool(shop.settings.inbox_url) or (shop.folder / INBOX_FILE).exists()
    return is_there or recorded_inbox_id(shop) is not None


def recorded_inbox_id(shop: Shop) -> str | None:
    """Id of the workspace's inbox; None before there is one, empty for one of workspace layout 1."""
    with shop.store.begin() as connection:
        return connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == _record_key(shop)))


def _record_inbox(shop: Shop, inbox: Inbox) -> None:
    with shop.store.begin() as connection:
        upsert(connection, WORKSPACE, [{"key": _record_key(shop), "value": inbox.inbox_id}], update=("value",))


def _record_key(shop: Shop) -> str:
    return SERVER_INBOX if shop.settings.inbox_url else INBOX


def open_inbox(shop: Shop, *, is_checked: bool = False) -> Inbox:
    """Open the workspace's inbox; one that does not know the lake's events yet learns them.

    With `is_checked` all of it is verified first, and whether it and the lake have what they had of each other. Raises
    InboxDamaged also when it is missing, MasterKeyError, WorkspaceError when it cannot be reached.
    """
    keys = derive_keys(shop.master_key())
    record = recorded_inbox_id(shop)
    if record is not None and not shop.settings.inbox_url:
        _require_files(shop, is_bounded=record != "")
    at = shop.settings.inbox_url or shop.folder / INBOX_FILE
    vault = Vault(shop.store, keys)
    inbox = Inbox(at, keys.inbox, customer_marks(vault), partial(identifier_tokens, vault))
    try:
        _require_recorded(shop, inbox, record)
        if is_checked:
            _require_empty_file(shop, keys.inbox)
            inbox.check()
        is_old = is_checked and _is_older_than_lake(shop, inbox)
        _require_newer_file(shop, inbox, is_old=is_old)
        if is_old or (inbox.lake_id is None and _has_events(shop)):
            learn_lake(shop, inbox, is_old=is_old)
    except BaseException:
        inbox.close()
        raise
    return inbox


def _require_newer_file(shop: Shop, inbox: Inbox, *, is_old: bool) -> None:
    """Raise InboxDamaged for a file that is older than the lake; a server is restored by its own tools."""
    if is_old and not shop.settings.inbox_url:
        raise InboxDamaged(OLDER_THAN_LAKE, where=inbox.backend.name, todo=ACCEPT_LOSS)


def learn_lake(shop: Shop, inbox: Inbox, *, is_old: bool) -> None:
    """Let an inbox know the ids of the lake's events; one that is older than the lake becomes another inbox."""
    # why: durable before any request can move: until it is removed, the compactor looks in the lake too
    pending_sources.add_pending(shop.store, sources_with_keys(shop))
    if is_old:
        inbox.renew_id()
        _record_inbox(shop, inbox)
    for source in sources_with_keys(shop):
        remember_lake_events(shop, inbox, source)
    inbox.set_lake(shop.lake.identity(EVENTS))


def accept_inbox_loss(shop: Shop) -> str:
    """Go on with what is left of the workspace's inbox, or put it aside and make a new one; return what was wrong."""
    if not has_inbox(shop):
        return ""
    refused = "" if shop.settings.inbox_url else _accept_loss_of_file(shop)
    with open_inbox(shop) as inbox:
        try:
            require_loaded_events(shop, inbox)
        except EventsLost as lost:
            refused = refused or AT_PLACE(place=lost.where, reasons=lost.what)
            inbox.clear_loaded_seq()
    return refused


def _accept_loss_of_file(shop: Shop) -> str:
    refused = _inbox_problem(shop)
    if refused and (shop.folder / INBOX_FILE).exists():
        renew_inbox_bound(shop.folder / INBOX_FILE)
    if refused and _inbox_problem(shop):
        _put_inbox_aside(shop)
    return refused


def _inbox_problem(shop: Shop) -> str:
    """Why the inbox is refused; empty when it is sound."""
    try:
        with open_inbox(shop) as inbox:
            inbox.check()
            if shop.lake.last_load_sequence(EVENTS, inbox.app_id) > inbox.last_seq():
                return AT_PLACE(place=inbox.backend.name, reasons=OLDER_THAN_LAKE)
    except InboxDamaged as damaged:
        return AT_PLACE(place=damaged.where, reasons=damaged.what)
    return ""


def _put_inbox_aside(shop: Shop) -> None:
    """Keep the files of an inbox under other names; the store knows none afterwards, so that a new one is made."""
    number = 1 + len(list(shop.folder.glob(f"{INBOX_FILE}.*{LOST_SUFFIX}")))  # why: SQLite looks for NAME-wal
    for suffix in ("", "-wal", "-shm"):
        path = shop.folder / (INBOX_FILE + suffix)
        if path.exists():
            path.rename(shop.folder / f"{INBOX_FILE}.{number}{LOST_SUFFIX}{suffix}")
    (shop.folder / INBOX_BOUND_FILE).unlink(missing_ok=True)
    with shop.store.begin() as connection:
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == INBOX))


def _is_older_than_lake(shop: Shop, inbox: Inbox) -> bool:
    """Whether the lake holds requests that the inbox never had. Raises EventsLost when it lacks some."""
    try:
        require_loaded_events(shop, inbox)
        return shop.lake.last_load_sequence(EVENTS, inbox.app_id) > inbox.last_seq()
    except LakeDamaged:
        return False  # why: events are still accepted; whoever moves them into the lake refuses


def _require_files(shop: Shop, *, is_bounded: bool) -> None:
    """Raise InboxDamaged when the inbox of the workspace is missing: it may have held requests."""
    for name in (INBOX_FILE, INBOX_BOUND_FILE) if is_bounded else (INBOX_FILE,):
        if not (shop.folder / name).exists():
            raise InboxDamaged(IS_MISSING, where=str(shop.folder / name), todo=ACCEPT_LOSS)


def _require_recorded(shop: Shop, inbox: Inbox, record: str | None) -> None:
    """Raise InboxDamaged unless the inbox is the one that the store knows; a new one becomes it."""
    if record == inbox.inbox_id:
        return
    if record or (record is None and not shop.settings.inbox_url and not inbox.is_empty()):
        raise InboxDamaged(NOT_OUR_INBOX, where=inbox.backend.name, todo=ACCEPT_LOSS)
    _record_inbox(shop, inbox)


def require_loaded_events(shop: Shop, inbox: Inbox) -> None:
    """Raise EventsLost when the lake lacks events that the inbox has moved into it; LakeDamaged when it is."""
    is_shared = bool(shop.settings.inbox_url)
    if is_shared and (not _has_events(shop) or shop.lake.identity(EVENTS) != inbox.lake_id):
        return  # why: the inbox moves into the lake of another machine
    expected = inbox.loaded_seq()  # why: first, as another process may move some meanwhile
    loaded = shop.lake.last_load_sequence(EVENTS, inbox.app_id)
    if loaded < expected:
        raise EventsLost(
            LAKE_LOST_EVENTS(expected=expected, loaded=loaded),
            where=str(shop.lake.path(EVENTS)),
            todo=ACCEPT_LOSS,
        )


def _require_empty_file(shop: Shop, key: bytes) -> None:
    """Raise WorkspaceError when the inbox is on a server while the workspace's file still holds requests."""
    file = shop.folder / INBOX_FILE
    if shop.settings.inbox_url and file.exists():
        with Inbox(file, key) as of_file:
            count = of_file.pending_count()
        if count:
            raise WorkspaceError(
                INBOX_STILL_HOLDS(count=count),
                where=str(file),
                todo=SERVE_ONCE,
            )


def _has_events(shop: Shop) -> bool:
    """Whether the lake holds events; False when it cannot be read, so that the collector can still accept."""
    try:
        return shop.lake.exists(EVENTS)
    except (OSError, LakeDamaged):
        return False


def require_same_lake(shop: Shop, inbox: Inbox) -> None:
    """Refuse to move requests of another lake; an inbox without one gets ours. Raises WorkspaceError."""
    lake_id = shop.lake.identity(EVENTS)
    if inbox.lake_id is None:
        inbox.set_lake(lake_id)
    elif inbox.lake_id != lake_id and shop.settings.inbox_url:
        raise WorkspaceError(
            INBOX_OF_OTHER,
            where="inbox_url",
            todo=DO_IT_THERE,
        )


def customer_marks(vault: Vault) -> CustomerMark:
    """Marks of customers by their ids: as opaque as tokens, and the same in every process."""
    return cache_short_texts(CACHED_MARKS)(
        lambda kind, value: customer_mark(initial_customer_id(vault.token(kind, value))) or b""
    )


def remember_lake_events(shop: Shop, inbox: Inbox, source: str) -> None:
    """Add the ids of a source's events and orders in the lake to the inbox, so that repeats are duplicates."""
    order = f"case when name = '{ORDER}' then order_id end"
    query = f"select event_id, {order} as order_id from ({shop.lake.relation(EVENTS)}) where source = $source"
    with shop.engine.connect() as con:
        rows = con.sql(query, params={"source": source}).to_arrow_table()
    inbox.remember(source, zip(*(rows[name].to_pylist() for name in ("event_id", "order_id")), strict=True))


def sources_with_keys(shop: Shop) -> list[str]:
    """Sources whose events clients may send."""
    return sorted({key.source for key in list_keys(shop)})


def remember_source(shop: Shop, source: str) -> None:
    """Add the ids of a source's imported events to the inbox, so that repeats from clients are duplicates."""
    with open_inbox(shop) as inbox:
        remember_lake_events(shop, inbox, source)


def count_replayed(shop: Shop, stored: Mapping[str, int]) -> None:
    """Count replayed dead letters as stored instead of rejected, by source."""
    with open_inbox(shop) as inbox:
        inbox.mark_moved(0, Counter({source: -count for source, count in stored.items() if count}))


def collector_state(shop: Shop) -> CollectorState:
    """State of the inbox as any process can read it."""
    if not has_inbox(shop):
        return CollectorState((), 0, "")
    try:
        with open_inbox(shop) as inbox:
            counters = tuple(
                SourceCounts(source=source, accepted=row.total, **vars(row)) for source, row in inbox.counts().items()
            )
            return CollectorState(counters, inbox.pending_count(), "")
    except PatronError as error:
        return CollectorState((), 0, str(error))


def inbox_position(shop: Shop) -> InboxPosition:
    """Position of the last request that is in the lake."""
    if not has_inbox(shop):
        return InboxPosition()
    with open_inbox(shop) as inbox:
        return InboxPosition(inbox.inbox_id, max(shop.lake.last_load_sequence(EVENTS, inbox.app_id), inbox.moved_seq()))


def release_inbox(shop: Shop, last_seq_of: Callable[[str], int] | None, *, max_age: timedelta | None = None) -> None:
    """Delete from the inbox the requests that are in the lake and in the live profiles. Raises InboxDamaged.

    `last_seq_of` returns the last request of an inbox that the profiles hold; without profiles (None) all that is in
    the lake goes. With `max_age`, older requests go too: a shop whose profiles nobody updates any more fills no disk,
    and profiles find those events in the lake when they are updated again.
    """
    if not has_inbox(shop):
        return
    with open_inbox(shop) as inbox:
        held = inbox.moved_seq() if last_seq_of is None else last_seq_of(inbox.inbox_id)
        inbox.release(held if max_age is None else max(held, inbox.last_before_newest(max_age)))
