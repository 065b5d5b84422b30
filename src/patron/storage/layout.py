"""The version of a workspace's layout: what is where, and how tables of the store are made.

It is written when a workspace is created. Migrations bring every published layout up to this one; a newer layout, and
what was made before layout 1, is refused.
"""

from pathlib import Path

import sqlalchemy as sa

from patron.schema.errors import WorkspaceError
from patron.storage.store import WORKSPACE, Store

LAYOUT_VERSION = 2
WORKSPACE_ID, LAYOUT = "workspace_id", "layout_version"
HASHED_LATER = "hashed_later"
"""Key of the workspace that says when its older files were hashed, if that was after they were written."""


def require_known_layout(store: Store, folder: Path) -> None:
    """Raise WorkspaceError for a workspace of a layout that this Patron cannot open; a new one is fine."""
    with store.translated_errors():
        entries = _entries(store)
    if WORKSPACE_ID not in entries:
        return  # why: a store that no workspace has named itself in holds nothing yet
    version = entries.get(LAYOUT)
    if version is None:
        raise WorkspaceError(
            "was made before workspace layout 1 and cannot be opened",
            where=str(folder),
            todo="Create a new workspace with `patron init` and import your files again.",
        )
    if not version.isdecimal() or int(version) < 1:
        raise WorkspaceError(
            f"has layout version {version!r}, which is not a valid one", where=str(folder), todo="Restore a backup."
        )
    if int(version) > LAYOUT_VERSION:
        raise WorkspaceError(
            f"has workspace layout {version}, but this Patron knows layouts up to {LAYOUT_VERSION}",
            where=str(folder),
            todo="Upgrade the patron package.",
        )


def stored_layout(store: Store) -> str | None:
    """Layout that a workspace had when it was last opened to work with; None for a new one."""
    return _entries(store).get(LAYOUT)


def _entries(store: Store) -> dict[str, str]:
    if store.file and not store.file.exists():  # why: to connect would make it
        return {}
    if not sa.inspect(store.engine).has_table(WORKSPACE.name):
        return {}
    with store.begin() as connection:
        rows = connection.execute(sa.select(WORKSPACE).where(WORKSPACE.c.key.in_([WORKSPACE_ID, LAYOUT])))
        return {row.key: row.value for row in rows}
