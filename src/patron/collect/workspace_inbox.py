"""The workspace's inbox, opened with its key; one that is new beside old events learns their ids first."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import lru_cache

from patron.collect import pending_sources
from patron.collect.inbox import ORDER, Inbox, Whose
from patron.govern.api_keys import list_keys
from patron.govern.master_key import derive, master_key
from patron.govern.vault import Vault, mark_of, own_id
from patron.schema.collector_state import CollectorState, InboxPosition, SourceCounts
from patron.schema.errors import PatronError, WorkspaceError
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop

INBOX_FILE = "inbox.db"
REMEMBERED = 50_000
"""Ids whose marks are remembered: those who are at the shop come back soon."""


def has_inbox(shop: Shop) -> bool:
    """Whether anything was ever sent to the workspace, or may be by another collector."""
    return bool(shop.settings.inbox_url) or (shop.folder / INBOX_FILE).exists()


def open_inbox(shop: Shop, *, is_checked: bool = False) -> Inbox:
    """Open the workspace's inbox; one that does not know the lake's events yet learns them.

    With `is_checked` everything is looked at first, and whether it goes with this lake. Raises InboxDamaged,
    MasterKeyError, WorkspaceError when it cannot be reached.
    """
    keys = derive(master_key(shop))
    at = shop.settings.inbox_url or shop.folder / INBOX_FILE
    inbox = Inbox(at, keys.inbox, whose(Vault(shop.store, keys)))
    try:
        if is_checked:
            _refuse_another(shop, keys.inbox)
            inbox.check()
        is_old = is_checked and shop.lake.loaded(EVENTS, inbox.load) > inbox.last()
        is_strange = inbox.lake is None and _has_events(shop)
        if is_old or is_strange:
            # why: durable before anything of it can move: while it stands, the compactor asks the lake too
            pending_sources.mark(shop.store, sources_with_keys(shop))
            if is_old:
                inbox.renew()
            for source in sources_with_keys(shop):
                remember(shop, inbox, source)
            inbox.belong_to(shop.lake.identity(EVENTS))
    except BaseException:
        inbox.close()
        raise
    return inbox


def _refuse_another(shop: Shop, key: bytes) -> None:
    """Refuse to begin with the inbox of a server while the workspace's own still holds requests."""
    file = shop.folder / INBOX_FILE
    if shop.settings.inbox_url and file.exists():
        with Inbox(file, key) as own:
            count = own.waiting_count()
        if count:
            raise WorkspaceError(
                f"still holds {count:,} requests that nobody would move",
                where=str(file),
                todo="Run `patron serve` once without inbox_url, so that they move into the lake.",
            )


def _has_events(shop: Shop) -> bool:
    """Whether the lake holds events; one that cannot be read now keeps nobody from accepting."""
    try:
        return shop.lake.exists(EVENTS)
    except OSError:
        return False


def require_own(shop: Shop, inbox: Inbox) -> None:
    """Refuse to move what belongs into another lake; an inbox without one gets ours. Raises WorkspaceError."""
    own = shop.lake.identity(EVENTS)
    if inbox.lake is None:
        inbox.belong_to(own)
    elif inbox.lake != own and shop.settings.inbox_url:
        raise WorkspaceError(
            "the inbox moves into the lake of another workspace",
            where="inbox_url",
            todo="Do this there; here `patron serve --accept-only` accepts for it.",
        )


def whose(vault: Vault) -> Whose:
    """Marks of ids: as opaque as tokens, and the same for all who come to the inbox."""
    return lru_cache(REMEMBERED)(lambda kind, value: mark_of(own_id(vault.token(kind, value))) or b"")


def remember(shop: Shop, inbox: Inbox, source: str) -> None:
    """Let the inbox know the events and orders of a source that are in the lake: a client may send them again."""
    order = f"case when name = '{ORDER}' then order_id end"
    chosen = f"select event_id, {order} as order_id from ({shop.lake.relation(EVENTS)}) where source = $source"
    with shop.engine.connect() as con:
        told = con.sql(chosen, params={"source": source}).to_arrow_table()
    inbox.mark(source, zip(*(told[name].to_pylist() for name in ("event_id", "order_id")), strict=True))


def sources_with_keys(shop: Shop) -> list[str]:
    """Sources that programs may send events of."""
    return sorted({key.source for key in list_keys(shop)})


def remember_source(shop: Shop, source: str) -> None:
    """Let the collector know the events of a source that came by a file: a client may send them again."""
    with open_inbox(shop) as inbox:
        remember(shop, inbox, source)


def count_replayed(shop: Shop, stored: Mapping[str, int]) -> None:
    """Move dead letters that a replay stored from one counter of their source to the other."""
    with open_inbox(shop) as inbox:
        inbox.done(0, Counter({source: -count for source, count in stored.items() if count}))


def collector_state(shop: Shop) -> CollectorState:
    """State of the inbox as any process can read it."""
    if not has_inbox(shop):
        return CollectorState((), 0, "")
    try:
        with open_inbox(shop) as inbox:
            counters = tuple(
                SourceCounts(source, row.stored + row.duplicate + row.dead, **asdict(row))
                for source, row in inbox.counts().items()
            )
            return CollectorState(counters, inbox.waiting_count(), "")
    except PatronError as error:
        return CollectorState((), 0, str(error))


def inbox_position(shop: Shop) -> InboxPosition:
    """The last request that is in the lake."""
    if not has_inbox(shop):
        return InboxPosition()
    with open_inbox(shop) as inbox:
        return InboxPosition(inbox.inbox_id, max(shop.lake.loaded(EVENTS, inbox.load), inbox.moved()))


def release_inbox(shop: Shop, held_of: Callable[[str], int] | None, *, kept: timedelta | None = None) -> None:
    """Delete from the inbox what is in the lake and in the live profiles. Raises InboxDamaged.

    `held_of` returns the last request of an inbox that the profiles hold; without profiles (None) all that is in the
    lake goes. With `kept`, requests older than that go too: a shop whose profiles nobody updates any more fills no
    disk, and profiles find those events in the lake when they are updated again.
    """
    if not has_inbox(shop):
        return
    with open_inbox(shop) as inbox:
        held = inbox.moved() if held_of is None else held_of(inbox.inbox_id)
        inbox.release(held if kept is None else max(held, inbox.last_before_newest(kept)))
