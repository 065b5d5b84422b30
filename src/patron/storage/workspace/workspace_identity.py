"""Which workspace a folder is: `workspace.json`, written once, and compared with store, inbox and key at every opening.

It lies outside the store, so that a store that is missing or another workspace's is refused and never made anew.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from patron.schema.common_sentences import DAMAGED_CONTENT
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import sync, write_durably
from patron.storage.workspace.layout import require_known_layout

IDENTITY_FILE = "workspace.json"
UNFINISHED = ".workspace.json.new"
"""The identity of a workspace that is being made; renaming it is the last step."""
RESTORE = Sentence("restore_newest", "Restore the newest backup: `patron restore`.")
"""What to do about something that only a backup has."""
ACCEPT_LOSS = Sentence(
    "accept_loss",
    "Restore the newest backup: `patron restore`. Without one, `patron doctor --accept-loss` goes on without what"
    " is lost.",
)
"""What to do about writes that are lost while what was written before them is there."""


@dataclass(frozen=True)
class WorkspaceIdentity:
    """What makes a workspace this one."""

    workspace_id: str
    layout: int
    key_check: str
    """Shows whether a master key is this workspace's; it does not give the key away."""
    instance: str
    """Which copy of the workspace: one that was restored from a backup is another, whose audit log goes on alone."""


def new_instance() -> str:
    """Name of a new copy of a workspace."""
    return secrets.token_hex(4)


def read_identity(folder: Path, name: str = IDENTITY_FILE) -> WorkspaceIdentity | None:
    """The identity of a workspace; None without the file. Raises WorkspaceError when it was changed."""
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        content.pop("sha256")
        if text != _text(content):
            raise _damaged(path)
        require_known_layout(content["layout"], folder)
        return WorkspaceIdentity(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path) from error


def write_identity(folder: Path, identity: WorkspaceIdentity, name: str = IDENTITY_FILE) -> None:
    """Write the identity durably. Raises NoSpace."""
    write_durably(folder / name, _text(asdict(identity)).encode())


def finish_identity(folder: Path) -> None:
    """Make a new workspace one: from now on it opens."""
    (folder / UNFINISHED).replace(folder / IDENTITY_FILE)
    sync(folder)


def _text(content: Mapping[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "sha256": digest}, indent=1) + "\n"


def _damaged(path: Path) -> WorkspaceError:
    return WorkspaceError(DAMAGED_CONTENT, where=str(path), todo=RESTORE)
