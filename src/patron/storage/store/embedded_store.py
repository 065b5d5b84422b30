"""The store's file: SQLite encrypted and authenticated page by page (SQLCipher), so that no changed bit is read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from patron.schema.common_sentences import DISK_FULL, FILE_DAMAGED_CAUSE, FREE_AND_RUN_AGAIN
from patron.schema.errors import NoSpace, WorkspaceBusy, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import PRIVATE_FILE, lacks_room_for_database, sync
from patron.storage.master_key import derive_key
from patron.storage.workspace.workspace_identity import RESTORE

STORE_DAMAGED_OR_OTHER = Sentence("store_damaged_or_other", "is damaged, or the store of another workspace")
OLDER_AT_WORK = Sentence("older_at_work", "an older Patron is at work here")
STOP_AND_TRY = Sentence("stop_and_try", "Stop it, and try again.")

PLAIN_HEADER = b"SQLite format 3\0"
CHECKS = 3
"""How often pages are looked at that seem damaged: another process may be writing them."""
WAIT_FOR_WRITERS = "busy_timeout = 30000"
"""How long a statement waits for others who write, ms: an erasure rewrites a large store in that time."""
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    WAIT_FOR_WRITERS,
)


def store_key(master: bytes, workspace_id: str) -> bytes:
    """Key of the store of one workspace: two workspaces with one master key do not open each other's store."""
    return derive_key(master, f"store {workspace_id}")


def unlock(connection: Any, key: bytes) -> None:
    """Give a new connection its key; the file is not read yet."""
    cursor = connection.cursor()
    cursor.execute("pragma cipher_log_level = none")  # why: it would write to stderr what we report ourselves
    cursor.execute(f"pragma key = \"x'{key.hex()}'\"")
    cursor.close()


def prepare(connection: Any) -> None:
    """Make every commit of a connection durable, and leave nothing of deleted rows."""
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def is_plain(path: Path) -> bool:
    """Whether the file is a store without encryption, as of workspace layout 1."""
    with path.open("rb") as file:
        return file.read(len(PLAIN_HEADER)) == PLAIN_HEADER


def plain_entries(path: Path) -> dict[str, str]:
    """The workspace's entries in a store without encryption; none when it has no such table. Raises WorkspaceError."""
    with _opened(path) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'workspace'").fetchone():
            return {}
        return dict(connection.execute("select key, value from workspace").fetchall())


def encrypt_store(plain: Path, target: Path, key: bytes) -> None:
    """Copy a store without encryption into a new encrypted file. Raises WorkspaceBusy when others use it."""
    target.unlink(missing_ok=True)
    target.touch(mode=PRIVATE_FILE)
    with _opened(plain) as connection:
        try:
            # why: it needs the file for itself, and moves the write-ahead log into it: one file is left to replace
            connection.execute("pragma journal_mode = delete")
        except sqlcipher.OperationalError as error:
            raise WorkspaceBusy(OLDER_AT_WORK, where=str(plain), todo=STOP_AND_TRY) from error
        connection.execute(f"attach database ? as encrypted key \"x'{key.hex()}'\"", (str(target),))
        connection.execute("select sqlcipher_export('encrypted')")
        connection.execute("detach database encrypted")
    sync(target)


def copy_store(source: Path, target: Path, key: bytes) -> None:
    """Copy a store as one transaction sees it, encrypted as it is. Raises WorkspaceError when it is damaged."""
    target.unlink(missing_ok=True)
    target.touch(mode=PRIVATE_FILE)
    with _opened(source, key) as connection, _opened(target, key) as copy:
        connection.backup(copy)


def commit_count(path: Path, key: bytes) -> int:
    """Commits to a store, as its entry says. Raises WorkspaceError when it cannot be read."""
    with _opened(path, key) as connection:
        row = connection.execute("select value from workspace where key = 'commit_count'").fetchone()
        return int(row[0]) if row else 0


def damage_of(path: Path, key: bytes) -> str:
    """What is wrong with the pages of a store; empty when every page is as it was written. Raises NoSpace."""
    damage = ""
    for _ in range(CHECKS):
        try:
            with _opened(path, key) as connection:
                # why: the first looks at pages in use and the log, the second at every page of the file
                answers = connection.execute("pragma quick_check(1)").fetchall()
                # why: a power cut while the log is moved into the file tears pages that the log still has
                with contextlib.suppress(sqlcipher.OperationalError):
                    connection.execute("pragma wal_checkpoint(passive)").fetchall()
                pages = connection.execute("pragma cipher_integrity_check").fetchall()
        except NoSpace:
            raise
        except WorkspaceError as error:
            return error.what
        damage = "; ".join(str(row[0]) for row in (*answers, *pages) if row[0] != "ok")
        if not damage:
            break
    return damage


def damaged_store(path: Path, error: Exception) -> WorkspaceError:
    """The refusal of a file that cannot be read as the store of this workspace, or NoSpace where its disk is full."""
    if "disk I/O error" in str(error) and lacks_room_for_database(path):
        return NoSpace(DISK_FULL, where=str(path), todo=FREE_AND_RUN_AGAIN)
    is_foreign = "not a database" in str(error)
    what = STORE_DAMAGED_OR_OTHER if is_foreign else FILE_DAMAGED_CAUSE(cause=error)
    return WorkspaceError(what, where=str(path), todo=RESTORE)


@contextlib.contextmanager
def _opened(path: Path, key: bytes | None = None) -> Iterator[Any]:
    connection = sqlcipher.connect(str(path), isolation_level=None, timeout=10)
    try:
        if key is not None:
            unlock(connection, key)
        yield connection
    except (sqlcipher.OperationalError, sqlcipher.DatabaseError) as error:
        raise damaged_store(path, error) from error
    finally:
        connection.close()
