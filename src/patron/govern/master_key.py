"""The master key: outside the workspace, so that a copy of the workspace alone reveals nobody."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from patron.schema.errors import MasterKeyError
from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.shop import Shop
from patron.storage.store import WORKSPACE

KEY_BYTES = 32
VARIABLE = "PATRON_MASTER_KEY"
CHECK = "master_key_check"


@dataclass(frozen=True)
class Keys:
    """Keys derived from one master key, each for one purpose."""

    wrapping: bytes
    index: bytes
    rows: bytes
    letters: bytes
    inbox: bytes


def derive_keys(master: bytes) -> Keys:
    """Derive the keys of the vault (HKDF-SHA256, RFC 5869)."""
    purposes = ("wrapping", "index", "rows", "letters", "inbox")
    return Keys(
        *(HKDF(SHA256(), KEY_BYTES, None, f"patron {purpose} 1".encode()).derive(master) for purpose in purposes)
    )


def key_file(shop: Shop) -> Path:
    """Where the master key of a workspace lives. Raises MasterKeyError for a place inside the workspace."""
    named = shop.settings.master_key_file
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = (Path(named).expanduser() if named else base / "patron" / "keys" / f"{shop.workspace_id}.key").resolve()
    if path.is_relative_to(shop.folder):
        raise MasterKeyError(
            "the master key may not lie inside the workspace it protects",
            where=str(path),
            todo="Set master_key_file to a place outside.",
        )
    return path


def key_place(shop: Shop) -> str:
    """Where the master key comes from, for people: its file, or the environment variable that holds it."""
    return f"environment variable {VARIABLE}" if os.environ.get(VARIABLE) else str(key_file(shop))


def master_key(shop: Shop) -> bytes:
    """Read the workspace's master key; the first time, make it. Raises MasterKeyError when it is missing or wrong."""
    with shop.store.begin() as connection:
        check = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == CHECK))
    path = key_file(shop)
    from_environment, where = os.environ.get(VARIABLE), key_place(shop)
    if not from_environment and not path.exists():
        if check is not None:
            raise MasterKeyError(
                "the master key is missing",
                where=where,
                todo=f"Put the key of this workspace back there, or give it in {VARIABLE}.",
            )
        _create(path)
    key = _parse(from_environment or _read(path), where)
    right = _check_value(key, shop.workspace_id)
    if check is None:
        with shop.store.begin() as connection:
            connection.execute(sa.insert(WORKSPACE).values(key=CHECK, value=right))
    elif not hmac.compare_digest(check, right):
        raise MasterKeyError(
            "this is the master key of another workspace",
            where=where,
            todo="Put the key that belongs to this workspace there.",
        )
    return key


def _check_value(key: bytes, workspace_id: str) -> str:
    return hmac.digest(key, f"patron check {workspace_id}".encode(), hashlib.sha256).hex()


def _create(path: Path) -> None:
    if not path.parent.is_dir():
        make_private_folder(path.parent)
    write_durably(path, f"{secrets.token_hex(KEY_BYTES)}\n".encode())


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
