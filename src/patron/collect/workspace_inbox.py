"""The workspace's inbox, opened with its key; one that is new beside old events learns their ids first."""

from functools import lru_cache

from patron.collect import pending_sources
from patron.collect.inbox import ORDER, Inbox, Whose
from patron.govern.api_keys import list_keys
from patron.govern.master_key import derive, master_key
from patron.govern.vault import Vault, mark_of, own_id
from patron.schema.errors import WorkspaceError
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
