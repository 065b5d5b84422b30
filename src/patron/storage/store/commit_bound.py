"""How many commits a database has at least: a file next to it, written after each commit.

A database whose write-ahead log was deleted or cut opens without a word and lacks its last commits. Behind this bound
it is refused. The bound is never ahead of the database: a commit is on disk before the bound is written.
"""

import os
import zlib
from contextlib import suppress
from pathlib import Path

from patron.schema.common_sentences import DAMAGED_CONTENT, IS_MISSING
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import write_durably
from patron.storage.workspace.workspace_identity import ACCEPT_LOSS

COMMITS_LOST = Sentence("commits_lost", "has {count} commits, but {bound} were made: what was written last is lost")
DIGITS = 20
READS = 3
"""How often a bound is read that looks damaged: another process may be writing it."""


class CommitBound:
    """The bound of one database."""

    def __init__(self, path: Path, error: type[WorkspaceError] = WorkspaceError) -> None:
        self.path = path
        self._error = error

    def exists(self) -> bool:
        """Whether there is a bound."""
        return self.path.exists()

    def create(self, count: int) -> None:
        """Write the bound of a database; the caller syncs the folder. Raises NoSpace."""
        write_durably(self.path, _text(count), is_shared=True)

    def raise_to(self, count: int) -> None:
        """Note that so many commits are on disk. A lost note is no harm: the bound is only lower then."""
        with suppress(OSError):
            handle = os.open(self.path, os.O_WRONLY)
            try:
                os.pwrite(handle, _text(count), 0)
            finally:
                os.close(handle)

    def read(self) -> int:
        """How many commits the database has at least. Raises WorkspaceError when the file is missing or damaged."""
        for _ in range(READS):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError as error:
                raise self._error(IS_MISSING, where=str(self.path), todo=ACCEPT_LOSS) from error
            count = content[:DIGITS]
            if count.isdigit() and content == _text(int(count)):
                return int(count)
        raise self._error(DAMAGED_CONTENT, where=str(self.path), todo=ACCEPT_LOSS)

    def require_reached(self, count: int, bound: int, *, where: str) -> None:
        """Raise WorkspaceError for a database with fewer commits than the bound, which was read before it."""
        if count < bound:
            raise self._error(COMMITS_LOST(count=count, bound=bound), where=where, todo=ACCEPT_LOSS)


def _text(count: int) -> bytes:
    digits = f"{count:0{DIGITS}d}".encode()
    return b"%b %08x\n" % (digits, zlib.crc32(digits))
