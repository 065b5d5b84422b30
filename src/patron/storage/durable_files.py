"""Files that are on disk once written, and what a full disk is called, whichever library met it.

A file's bytes are safe once the file was synced, its name once its folder was, and the folder's once the one above was.
Whatever is replaced is written next to it and synced first: a power cut leaves the old file or the new one, whole.
"""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from patron.schema.common_sentences import DISK_FULL, FREE_AND_RUN_AGAIN
from patron.schema.errors import NoSpace

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of the operating system for a full disk."""
ROOM_OF_DATABASE_BYTES = 1 << 16
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def sync(path: Path) -> None:
    """Make a file or folder durable: return only when it is on disk. Only its owner can read a file afterwards."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):  # why: other libraries write files by the process's umask
            os.fchmod(handle, PRIVATE_FILE)
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def make_private(path: Path) -> None:
    """Let only the owner read a file or open a folder."""
    path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)


def make_all_private(folder: Path) -> None:
    """Let only the owner open a folder and read whatever is in it; links are left alone."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            make_private(path)


def make_private_folder(path: Path) -> None:
    """Make a folder, with those above it, durably; only its owner can open it, also if it was there already.

    Raises NoSpace.
    """
    missing = [path, *(above for above in path.parents if not above.exists())]
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    make_private(path)
    for folder in missing:  # why: also if it exists, as the process that made it may have been killed before it synced
        sync(folder.parent)


def make_durable(folder: Path) -> None:
    """Sync a folder and all that is in it; the name of the folder itself is not."""
    for path in (*sorted(folder.rglob("*")), folder):
        if not path.is_symlink():
            sync(path)


def replace_durably(fresh: Path, path: Path) -> None:
    """Put a finished file or folder in the place of a path."""
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Raise NoSpace for a full disk, whichever library met it."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise NoSpace(DISK_FULL, where=str(where), todo=FREE_AND_RUN_AGAIN) from error
        raise


def is_disk_full(error: Exception) -> bool:
    """Whether a library says that the disk is full."""
    return getattr(error, "errno", None) in FULL or "No space left" in str(error)


def lacks_room_for_database(path: Path) -> bool:
    """Whether there is no room next to a database for what opening it takes: SQLite then reports an I/O error."""
    return shutil.disk_usage(path.parent).free < ROOM_OF_DATABASE_BYTES


@contextmanager
def private_file(path: Path, *, is_shared: bool = False) -> Iterator[BinaryIO]:
    """Write a file that only its owner can read; it replaces `path`, durably, when it is whole. Raises NoSpace.

    Where it `is_shared`, several processes may write it at once: one of them wins.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new" if is_shared else f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with disk_errors(path):
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            with os.fdopen(handle, "wb") as out:
                yield out
            replace_durably(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes, *, is_shared: bool = False) -> None:
    """Write a file that only its owner can read, whole or not at all, and durably. Raises NoSpace."""
    with private_file(path, is_shared=is_shared) as out:
        out.write(content)
