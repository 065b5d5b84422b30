"""The head of the audit log: number and hash of its last entry, kept next to the master key, apart from the store.

A log that was cut off, or a whole store that was replaced by an older copy, no longer reaches it.
"""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from patron.schema.common_sentences import DAMAGED_CONTENT
from patron.schema.errors import WorkspaceError
from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.master_key import MasterKeyPlace, derive_key
from patron.storage.workspace.workspace_identity import ACCEPT_LOSS

BEFORE_THE_FIRST = "0" * 64


@dataclass(frozen=True)
class AuditHead:
    """The last entry of a log."""

    entry: int = 0
    hash: str = BEFORE_THE_FIRST
    keyed_from: int = 1
    """First entry whose hash needs the key; those before it were written under workspace layout 1."""


class AuditHeadFile:
    """The head of the log of one copy of a workspace, under a key: nobody else can write one."""

    def __init__(self, place: MasterKeyPlace, master: bytes, instance: str) -> None:
        self.place = place
        self._instance = instance
        self.key = derive_key(master, f"audit {place.workspace_id}")
        """The key of the log's entries, too."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.place.neighbour_folder / f"{self.place.workspace_id}-{self._instance}.audit"

    def read(self) -> AuditHead | None:
        """The head; None without the file. Raises WorkspaceError when it was changed."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            mac = content.pop("mac")
            head = AuditHead(**content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise self._changed() from None
        if not hmac.compare_digest(str(mac), self._mac(head)):
            raise self._changed()
        return head

    def write(self, head: AuditHead) -> None:
        """Write the head durably. Raises NoSpace."""
        if not self.path.parent.is_dir():
            make_private_folder(self.path.parent)
        content = {**asdict(head), "mac": self._mac(head)}
        write_durably(self.path, (json.dumps(content) + "\n").encode(), is_shared=True)

    def move_to(self, entry: int, entry_hash: str) -> None:
        """Note that the log has this entry now; the head never goes back."""
        head = self.read() or AuditHead()
        if entry > head.entry:
            self.write(AuditHead(entry, entry_hash, head.keyed_from))

    def _mac(self, head: AuditHead) -> str:
        return hmac.digest(self.key, f"head {json.dumps(asdict(head))}".encode(), hashlib.sha256).hex()

    def _changed(self) -> WorkspaceError:
        return WorkspaceError(
            DAMAGED_CONTENT,
            where=str(self.path),
            todo=ACCEPT_LOSS,
        )
