"""The workspace's inbox, opened with its key; one that is new beside old events learns their ids first."""

from patron.base.shop import Shop
from patron.base.tables import EVENTS
from patron.collect import unremembered
from patron.collect.inbox import Inbox
from patron.govern.access import list_keys
from patron.govern.keys import derive, master_key

INBOX_FILE = "inbox.db"


def has_inbox(shop: Shop) -> bool:
    """Whether anything was ever sent to the workspace."""
    return (shop.folder / INBOX_FILE).exists()


def open_inbox(shop: Shop, *, is_checked: bool = False) -> Inbox:
    """Open the workspace's inbox. Raises InboxDamaged, MasterKeyError."""
    key = derive(master_key(shop)).inbox
    is_new = not has_inbox(shop) and shop.lake.exists(EVENTS)
    if is_new:
        unremembered.mark(shop.store, sources_with_keys(shop))
    inbox = Inbox(shop.folder / INBOX_FILE, key)
    try:
        if is_checked:
            inbox.check()
        is_old = is_checked and shop.lake.loaded(EVENTS, inbox.load) > inbox.last()
        if is_old:
            unremembered.mark(shop.store, sources_with_keys(shop))
            inbox.renew()
        if is_new or is_old:
            for source in sources_with_keys(shop):
                remember(shop, inbox, source)
    except BaseException:
        inbox.close()
        raise
    return inbox


def remember(shop: Shop, inbox: Inbox, source: str) -> None:
    """Let the inbox know the events of a source that are in the lake: a client may send them again."""
    chosen = f"select event_id from ({shop.lake.relation(EVENTS)}) where source = $source"
    with shop.engine.connect() as con:
        inbox.mark(source, con.sql(chosen, params={"source": source}).to_arrow_table()["event_id"].to_pylist())


def sources_with_keys(shop: Shop) -> list[str]:
    """Sources that programs may send events of."""
    return sorted({key.source for key in list_keys(shop)})
