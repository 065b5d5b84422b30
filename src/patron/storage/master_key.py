"""The master key: outside the workspace, so that a copy of the workspace alone reveals nobody and changes nothing."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from patron.schema.errors import MasterKeyError
from patron.storage.durable_files import make_private_folder, write_durably

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
                "the master key may not lie inside the workspace it protects",
                where=str(path),
                todo="Set master_key_file to a place outside.",
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
                "the master key is missing",
                where=self.name,
                todo=f"Put the key of this workspace back there, or give it in {VARIABLE}.",
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
                "this is the master key of another workspace",
                where=self.name,
                todo="Put the key that belongs to this workspace there.",
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
        raise MasterKeyError(f"cannot be read ({error})", where=str(path), todo="Put the key file back.") from error


def _parse(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(
            f"is no master key of {KEY_BYTES * 2} hexadecimal digits", where=where, todo="Put the right key there."
        )
    return key
