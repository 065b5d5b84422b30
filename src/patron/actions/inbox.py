"""The workspace's inbox, opened with its key; one that is new beside old events learns their ids first."""

from functools import lru_cache

from patron.base.shop import Shop
from patron.base.tables import EVENTS
from patron.collect import unremembered
from patron.collect.inbox import ORDER, Inbox, Whose
from patron.govern.access import list_keys
from patron.govern.keys import derive, master_key
from patron.govern.vault import Vault, mark_of, own_id

INBOX_FILE = "inbox.db"
REMEMBERED = 50_000
"""Ids whose marks are remembered: those who are at the shop come back soon."""


def has_inbox(shop: Shop) -> bool:
    """Whether anything was ever sent to the workspace, or may be by another collector."""
    return bool(shop.settings.inbox_url) or (shop.folder / INBOX_FILE).exists()


def open_inbox(shop: Shop, *, is_checked: bool = False) -> Inbox:
    """Open the workspace's inbox. Raises InboxDamaged, MasterKeyError, WorkspaceError when it cannot be reached."""
    keys = derive(master_key(shop))

    def before_first() -> None:
        if shop.lake.exists(EVENTS):
            unremembered.mark(shop.store, sources_with_keys(shop))

    at = shop.settings.inbox_url or shop.folder / INBOX_FILE
    inbox = Inbox(at, keys.inbox, whose(Vault(shop.store, keys)), before_first=before_first)
    try:
        if is_checked:
            inbox.check()
        is_old = is_checked and shop.lake.loaded(EVENTS, inbox.load) > inbox.last()
        if is_old:
            unremembered.mark(shop.store, sources_with_keys(shop))
            inbox.renew()
        if (inbox.is_new and shop.lake.exists(EVENTS)) or is_old:
            for source in sources_with_keys(shop):
                remember(shop, inbox, source)
    except BaseException:
        inbox.close()
        raise
    return inbox


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
