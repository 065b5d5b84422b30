"""The version of a workspace's layout: what is where, and how tables of the store are made.

It is written when a workspace is created. Every published layout is brought up to this one; a newer layout, and what
was made before layout 1, is refused.
"""

from collections.abc import Mapping
from pathlib import Path

from patron.schema.common_sentences import UPGRADE_PACKAGE
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence

BEFORE_LAYOUT = Sentence("before_layout", "was made before workspace layout 1 and cannot be opened")
LAYOUT_INVALID = Sentence("layout_invalid", "has layout version {version!r}, which is not a valid one")
LAYOUT_NEWER = Sentence("layout_newer", "has workspace layout {version}, but this Patron knows layouts up to {known}")
MAKE_NEW_WORKSPACE = Sentence(
    "make_new_workspace", "Create a new workspace with `patron init` and import your files again."
)
RESTORE_BACKUP = Sentence("restore_backup", "Restore a backup.")

LAYOUT_VERSION = 2
WORKSPACE_ID, LAYOUT, KEY_CHECK = "workspace_id", "layout_version", "master_key_check"
"""Entries of the workspace in its store."""
INBOX, SERVER_INBOX = "inbox_id", "server_inbox_id"
"""Entries for the id of the inbox in the workspace's file, and of the one that `inbox_url` names.

Empty for an inbox of workspace layout 1, which becomes the workspace's when it is opened."""
HASHED_LATER = "hashed_later"
"""Entry that says when older files were hashed, if that was after they were written."""


def known_layout(entries: Mapping[str, str], folder: Path) -> int:
    """Layout that a store's entries name. Raises WorkspaceError for one that this Patron cannot open."""
    version = entries.get(LAYOUT)
    if version is None:
        raise WorkspaceError(
            BEFORE_LAYOUT,
            where=str(folder),
            todo=MAKE_NEW_WORKSPACE,
        )
    if not version.isdecimal() or int(version) < 1:
        raise WorkspaceError(LAYOUT_INVALID(version=version), where=str(folder), todo=RESTORE_BACKUP)
    require_known_layout(int(version), folder)
    return int(version)


def require_known_layout(version: int, folder: Path) -> None:
    """Raise WorkspaceError for a layout of a newer Patron."""
    if version > LAYOUT_VERSION:
        raise WorkspaceError(
            LAYOUT_NEWER(version=version, known=LAYOUT_VERSION),
            where=str(folder),
            todo=UPGRADE_PACKAGE,
        )
