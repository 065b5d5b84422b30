"""Files that are on disk once written, and what a full disk is called, whichever library met it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltalake.exceptions import DeltaError

from patron.schema.errors import NoSpace

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of the operating system for a full disk."""


def sync(path: Path) -> None:
    """Make a file or folder durable: return only when it is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Raise NoSpace for a full disk, whichever library met it."""
    try:
        yield
    except (OSError, DeltaError) as error:
        if getattr(error, "errno", None) in FULL or "No space left" in str(error):
            raise NoSpace(
                "the disk is full; nothing was half-written",
                where=str(where),
                todo="Free some space and run the same command again.",
            ) from error
        raise
