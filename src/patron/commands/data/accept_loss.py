"""Go on with a workspace that has lost what was written last, where there is no backup to restore."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

from patron.collect.inbox.workspace_inbox import accept_inbox_loss
from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import WorkspaceError
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_store import renew_store_bound


def accept_loss(folder: Path, *, now: datetime) -> tuple[str, ...]:
    """Take a workspace as it is: its store without the last commits, a new inbox, the audit log up to its last entry.

    The audit log records it. Returns what was wrong, nothing when all was well. Raises WorkspaceError for what only a
    backup has, and MasterKeyError.
    """
    losses: list[str] = []
    try:
        shop = Shop.open(folder)
    except WorkspaceError as refused:
        renew_store_bound(folder)
        shop = Shop.open(folder)
        losses.append(f"{refused.where}: {refused.what}")
    with closing(shop), shop.lock():
        losses += [one for one in (audit_log.log_problem(shop),) if one]
        if losses:
            audit_log.renew_head(shop)
        losses += [one for one in (accept_inbox_loss(shop),) if one]
        if losses:
            with shop.store.begin() as connection:
                audit_log.append(shop, connection, AuditAction.LOSS_ACCEPTED, {"losses": len(losses)}, at=now)
    return tuple(losses)
