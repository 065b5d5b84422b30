"""The master key: outside the workspace, so that a copy of the workspace alone reveals nobody and changes nothing."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from patron.schema.common_sentences import FILE_UNREADABLE_CAUSE
from patron.schema.errors import MasterKeyError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import make_private_folder, write_durably

NOT_A_MASTER_KEY = Sentence("not_a_master_key", "is not a master key of {count} hexadecimal digits")
KEY_INSIDE = Sentence("key_inside", "the master key must not lie inside the workspace that it protects")
KEY_MISSING = Sentence("key_missing", "the master key is missing")
KEY_OF_OTHER = Sentence("key_of_other", "this is the master key of another workspace")
PUT_RIGHT_KEY = Sentence("put_right_key", "Put the right key there.")
KEY_OUTSIDE = Sentence("key_outside", "Set master_key_file to a place outside.")
PUT_KEY_THERE = Sentence("put_key_there", "Put the key of this workspace back there, or give it in {variable}.")
PUT_OWN_KEY = Sentence("put_own_key", "Put the key that belongs to this workspace there.")
PUT_KEY_FILE = Sentence("put_key_file", "Put the key file back.")

KEY_BYTES = 32
VARIABLE = "PATRON_MASTER_KEY"


@dataclass(frozen=True)
class MasterKeyPlace:
    """Where the master key of one workspace is: an environment variable, a file of the settings, or the usual file."""

    folder: Path
    """The workspace."""
    workspace_id: str
    master_key_file: str
    """As in the settings; empty is the user's configuration folder."""

    @property
    def file(self) -> Path:
        """File of the master key. Raises MasterKeyError for a place inside the workspace."""
        named = self.master_key_file
        path = (Path(named).expanduser() if named else keys_folder() / f"{self.workspace_id}.key").resolve()
        if path.is_relative_to(self.folder):
            raise MasterKeyError(
                KEY_INSIDE,
                where=str(path),
                todo=KEY_OUTSIDE,
            )
        return path

    @property
    def name(self) -> str:
        """Where the key comes from, for people: its file, or the environment variable that holds it."""
        return f"environment variable {VARIABLE}" if os.environ.get(VARIABLE) else str(self.file)

    @property
    def neighbour_folder(self) -> Path:
        """Folder next to the key for what must not lie in the workspace either."""
        is_file_named = self.master_key_file and not os.environ.get(VARIABLE)
        folder = self.file.parent if is_file_named else keys_folder()
        return folder if os.access(folder, os.W_OK) else keys_folder()

    def read(self) -> bytes:
        """Read the key. Raises MasterKeyError when it is missing or is not one."""
        from_environment = os.environ.get(VARIABLE)
        if not from_environment and not self.file.exists():
            raise MasterKeyError(
                KEY_MISSING,
                where=self.name,
                todo=PUT_KEY_THERE(variable=VARIABLE),
            )
        return _parse(from_environment or _read(self.file), self.name)

    def read_or_create(self) -> bytes:
        """Read the key of a new workspace, or create it. Raises MasterKeyError."""
        if not os.environ.get(VARIABLE) and not self.file.exists():
            if not self.file.parent.is_dir():
                make_private_folder(self.file.parent)
            write_durably(self.file, f"{secrets.token_hex(KEY_BYTES)}\n".encode())
        return self.read()

    def require_fit(self, key: bytes, check: str) -> None:
        """Raise MasterKeyError unless the key is the one that the check was made with."""
        if not hmac.compare_digest(check, key_check(key, self.workspace_id)):
            raise MasterKeyError(
                KEY_OF_OTHER,
                where=self.name,
                todo=PUT_OWN_KEY,
            )


def keys_folder() -> Path:
    """Folder of the user's configuration that holds master keys."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "patron" / "keys"


def key_check(key: bytes, workspace_id: str) -> str:
    """What a workspace keeps to recognise its master key."""
    return hmac.digest(key, f"patron check {workspace_id}".encode(), hashlib.sha256).hex()


def derive_key(master: bytes, purpose: str) -> bytes:
    """Derive the key of one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, None, f"patron {purpose} 1".encode()).derive(master)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyError(FILE_UNREADABLE_CAUSE(cause=error), where=str(path), todo=PUT_KEY_FILE) from error


def _parse(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(NOT_A_MASTER_KEY(count=KEY_BYTES * 2), where=where, todo=PUT_RIGHT_KEY)
    return key
