"""People who sign in: set up the first, invite, change, disable; teams; every change is in the audit log."""

from datetime import datetime, timedelta

from patron.govern import audit_log, users
from patron.govern.user_links import LinkKind, create_link
from patron.storage.shop import Shop

SETUP_LASTS = timedelta(hours=24)


def setup_path(shop: Shop, *, now: datetime) -> str | None:
    """Path of a new link, for a day, by which the first administrator sets up an account; None where there are users.

    Earlier links for it end.
    """
    with shop.store.begin() as connection:
        if users.has_users(connection):
            return None
        audit_log.append(shop, connection, "set-up link created", {}, at=now)
        return create_link(connection, LinkKind.SETUP, "", by="patron serve", at=now, lasts=SETUP_LASTS)
