"""Which erasures there were, for what is kept of rows that one may delete."""

import sqlalchemy as sa

from patron.schema.access.audit_actions import AuditAction
from patron.storage.store.store import AUDIT, ERASURES


def newest_erasure_entry(connection: sa.Connection) -> int:
    """Number in the audit log of the erasure that ended last; 0 before any."""
    newest = sa.select(sa.func.max(AUDIT.c.entry)).where(AUDIT.c.action == AuditAction.FORGOTTEN)
    return connection.scalar(newest) or 0


def unfinished_erasure_count(connection: sa.Connection) -> int:
    """Erasures that have begun and not ended."""
    return connection.scalar(sa.select(sa.func.count()).select_from(ERASURES)) or 0
