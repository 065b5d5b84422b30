"""Files that are on disk once written, and what a full disk is called, whichever library met it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deltalake.exceptions import DeltaError

from patron.schema.errors import NoSpace, WorkspaceError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of the operating system for a full disk."""
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


def make_private(path: Path) -> None:
    """Let only the owner read a file or open a folder."""
    path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)


def make_all_private(folder: Path) -> None:
    """Let only the owner open a folder and read whatever is in it; links are left alone."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            make_private(path)


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can open; one that exists becomes so."""
    path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    make_private(path)


def write_durably(path: Path, content: bytes, *, is_folder_synced: bool = True) -> None:
    """Write a private file whole or not at all; it is on disk when this returns. Raises NoSpace.

    Without `is_folder_synced` its name is not yet: a caller who writes several files syncs their folder once.
    """
    with private_file(path) as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    if is_folder_synced:
        sync(path.parent)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Raise NoSpace for a full disk, whichever library met it; WorkspaceError for a table that cannot be written."""
    try:
        yield
    except (OSError, DeltaError) as error:
        if getattr(error, "errno", None) in FULL or "No space left" in str(error):
            raise NoSpace(
                "the disk is full; nothing was half-written",
                where=str(where),
                todo="Free some space and run the same command again.",
            ) from error
        if isinstance(error, DeltaError):
            raise WorkspaceError("cannot be written", where=str(where), todo="Run `patron doctor`.") from error
        raise


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that only its owner can read; it replaces `path` when it is whole. Raises NoSpace."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with disk_errors(path):
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            with os.fdopen(handle, "wb") as out:
                yield out
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
