"""Sources whose events may be in the lake without the inbox knowing of them.

The mark is durable before the first such event is. While it stands, the compactor asks the lake too, so that a client
who sends such an event gets 'stored' at worst, and the event is there once.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from patron.storage.store.store import WORKSPACE, Store, upsert

PREFIX = "pending_source/"


def add_pending(store: Store, sources: Iterable[str]) -> None:
    """Mark sources whose events are about to reach the lake without the inbox."""
    rows = [{"key": PREFIX + source, "value": ""} for source in sorted(set(sources))]
    if rows:
        with store.begin() as connection:
            upsert(connection, WORKSPACE, rows)


def list_pending(store: Store) -> list[str]:
    """Marked sources."""
    chosen = sa.select(WORKSPACE.c.key).where(WORKSPACE.c.key.startswith(PREFIX, autoescape=True))
    with store.begin() as connection:
        return [key.removeprefix(PREFIX) for key in connection.scalars(chosen.order_by(WORKSPACE.c.key))]


def remove_pending(store: Store, sources: Iterable[str]) -> None:
    """Unmark sources: the inbox knows their events, and what it accepted before that is in the lake."""
    with store.begin() as connection:
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key.in_([PREFIX + source for source in sources])))
