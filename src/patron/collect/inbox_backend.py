"""Where an inbox keeps its rows: a SQLite file in the workspace, or a PostgreSQL server that several collectors share.

Both speak the same few statements, with `?` for values. A transaction is durable when it ends, and one at a time: the
numbers of requests are in the order of their commits, so that nobody can read past one that is still being written.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from patron.schema.errors import InboxDamaged, MissingExtra, NoSpace, WorkspaceBusy, WorkspaceError

CACHE_KIB = 131_072
CHECKPOINT_PAGES = 8_000
TABLES = ("seen", "fresh", "batches", "about", "counts", "moved", "meta")
SCHEMA = """
create table if not exists inbox_seen (id {bytes} primary key){by_key};
create table if not exists inbox_fresh (seq {number} primary key, ids {bytes} not null);
create table if not exists inbox_batches (
    seq {number} primary key, source text not null, received_us {number} not null, sealed {bytes} not null);
create table if not exists inbox_about (seq {number} primary key, whose {bytes} not null);
create table if not exists inbox_counts (
    source text primary key, stored {number} not null, duplicate {number} not null, dead {number} not null){by_key};
create table if not exists inbox_moved (one integer primary key check (one = 1), seq {number} not null);
create table if not exists inbox_meta (one integer primary key check (one = 1), inbox_id text not null, lake text);
"""
MEND = (
    "Stop the collector and restore the workspace from a backup. Without one, move the file away and keep it: the next"
    " start makes a new inbox, and only what waited in the old one is missing."
)


class Place(Protocol):
    """Rows of one inbox. One thread at a time may use it."""

    name: str
    """What people know it by."""
    holds: str
    """SQL: whether the bytes of the first argument hold those of the second."""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement and return its rows."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        ...

    def transaction(self) -> Any:
        """One durable commit, or nothing; others wait meanwhile. Raises NoSpace, InboxDamaged, WorkspaceError."""
        ...

    def refusals(self) -> Any:
        """Say in our words what went wrong."""
        ...

    def check(self) -> None:
        """Look at everything the engine can look at. Raises InboxDamaged."""
        ...

    def scrub(self) -> None:
        """Leave nothing of deleted rows. Raises WorkspaceBusy while others read."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class File:
    """A SQLite file with its write-ahead log, synced at every commit."""

    holds = "instr({0}, {1}) > 0"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._con = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._con.close()
            raise _of_sqlite(self.name, error) from error

    def _prepare(self) -> None:
        for pragma in (
            "journal_mode = wal",
            "synchronous = full",
            "secure_delete = on",
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "temp_store = memory",
        ):
            self._con.execute(f"pragma {pragma}")
        self._adopt_old_names()
        self._con.executescript(SCHEMA.format(bytes="blob", number="integer", by_key=" without rowid"))

    def _adopt_old_names(self) -> None:
        """Take over the tables of an inbox that was made before they had a prefix."""
        names = {name for (name,) in self._con.execute("select name from sqlite_master where type = 'table'")}
        for table in TABLES:
            if table in names and f"inbox_{table}" not in names:
                self._con.execute(f"alter table {table} rename to inbox_{table}")
        if "meta" in names:
            self._con.execute("alter table inbox_meta add column lake text")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement and return its rows."""
        return self._con.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        self._con.executemany(statement, rows)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Say in our words what SQLite found."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _of_sqlite(self.name, error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all."""
        with self.refusals():
            self._con.execute("begin immediate")
            try:
                yield
                self._con.execute("commit")
            finally:
                if self._con.in_transaction:
                    self._con.execute("rollback")

    def check(self) -> None:
        """Look at every page. Raises InboxDamaged."""
        with self.refusals():
            found = self._con.execute("pragma quick_check").fetchone()[0]
        if found != "ok":
            raise InboxDamaged(f"is damaged ({found})", where=self.name, todo=MEND)

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the file or its write-ahead log. Raises WorkspaceBusy while others read."""
        with self.refusals():
            self._con.execute("vacuum")
            is_read = self._con.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
        if is_read:
            raise WorkspaceBusy("others read the inbox", where=self.name, todo="Try again in a moment.")

    def close(self) -> None:
        """Close the file."""
        self._con.close()


def _of_sqlite(name: str, error: sqlite3.DatabaseError) -> WorkspaceError:
    if "full" in str(error):
        return NoSpace("the disk is full; nothing of the request was taken", where=name, todo="Free some space.")
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return WorkspaceError(f"cannot be written ({error})", where=name, todo="Look at the disk; clients retry.")
    return InboxDamaged(f"is damaged ({error})", where=name, todo=MEND)


APPLICATION = "patron inbox"
"""What the server's administrator sees our connections as."""


class Server:
    """A database of a PostgreSQL server; commits are synchronous, whatever the server's own setting is."""

    holds = "position({1} in {0}) > 0"

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtra(
                "an inbox on PostgreSQL needs psycopg", todo="Install it: pip install 'patron[postgres]'."
            ) from error
        self._errors = psycopg.errors
        plain = url.replace("postgresql+psycopg://", "postgresql://")
        self.name = "inbox_url"
        with self.refusals():
            self._con = psycopg.connect(plain, autocommit=True, application_name=APPLICATION)
            self._con.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # why: a run waited for is seen
            self._con.execute("set synchronous_commit = on")
            with self.transaction():
                self._con.execute(SCHEMA.format(bytes="bytea", number="bigint", by_key=""))

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement and return its rows."""
        return self._con.execute(_in_theirs(statement), values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        with self._con.cursor() as cursor:
            cursor.executemany(_in_theirs(statement), rows)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Say in our words what the server refused."""
        found = self._errors
        try:
            yield
        except (found.DiskFull, found.OutOfMemory) as error:
            raise NoSpace(
                f"the server has no room ({_said(error)}); nothing of the request was taken",
                where=self.name,
                todo="Free some space there.",
            ) from error
        except (found.DataCorrupted, found.IndexCorrupted) as error:
            raise InboxDamaged(f"is damaged ({_said(error)})", where=self.name, todo=MEND_SERVER) from error
        except found.Error as error:
            raise WorkspaceError(
                f"the server refused ({_said(error)})", where=self.name, todo="Look at the server; clients retry."
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all; collectors take runs."""
        with self.refusals(), self._con.transaction():
            self._con.execute("select pg_advisory_xact_lock(hashtext(current_schema() || '.patron inbox'))")
            yield

    def check(self) -> None:
        """Nothing: the server checks its own pages when it is told to."""

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the tables; the server's own log and backups are beyond us."""
        with self.refusals():
            for table in ("batches", "about", "fresh"):
                self._con.execute(f"vacuum full inbox_{table}")

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


MEND_SERVER = "Restore the server's database from its backup."


def _in_theirs(statement: str) -> bytes:
    """A statement with the values' places written as the driver wants them."""
    return statement.replace("?", "%s").encode()


def _said(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
