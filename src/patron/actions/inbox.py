"""The workspace's inbox, opened with its key."""

from patron.base.shop import Shop
from patron.collect.inbox import Inbox
from patron.govern.keys import derive, master_key

INBOX_FILE = "inbox.db"


def has_inbox(shop: Shop) -> bool:
    """Whether anything was ever sent to the workspace."""
    return (shop.folder / INBOX_FILE).exists()


def open_inbox(shop: Shop, *, is_checked: bool = False) -> Inbox:
    """Open the workspace's inbox. Raises InboxDamaged, MasterKeyError."""
    inbox = Inbox(shop.folder / INBOX_FILE, derive(master_key(shop)).inbox)
    if is_checked:
        inbox.check()
    return inbox
