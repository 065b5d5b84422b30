"""Files that are on disk once written, and what a full disk is called, whichever library met it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deltalake.exceptions import DeltaError

from patron.schema.errors import NoSpace, WorkspaceError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of the operating system for a full disk."""
PRIVATE_FILE = 0o600


def sync(path: Path) -> None:
    """Make a file or folder durable: return only when it is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
