"""The inbox in a SQLite file of the workspace, with its write-ahead log, synced at every commit."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from patron.collect.inbox.inbox_backend import Statements
from patron.schema.common_sentences import CANNOT_BE_WRITTEN, FILE_DAMAGED_CAUSE, RETRIED_AUTOMATICALLY, TRY_IN_A_MOMENT
from patron.schema.errors import InboxDamaged, NoSpace, WorkspaceBusy, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import lacks_room_for_database
from patron.storage.store.commit_bound import CommitBound
from patron.storage.write_ahead_log import empty_write_ahead_log

FIX = Sentence(
    "fix_inbox",
    "Stop the collector and restore the workspace from a backup. Without one, `patron doctor --accept-loss` puts the"
    " inbox aside and makes a new one: only what waited in the old one is missing.",
)
INBOX_DISK_FULL = Sentence("inbox_disk_full", "the disk is full; nothing of the request was taken")
FREE_SOME_SPACE = Sentence("free_some_space", "Free some space.")
CHECK_DISK = Sentence("check_disk", "Check the disk; clients retry.")
OTHERS_READ_INBOX = Sentence("others_read_inbox", "others read the inbox")

CACHE_KIB = 32_768
"""With 10 million ids 128 MB accept no more events a second; the system keeps the file in memory, too."""
CHECKPOINT_PAGES = 8_000
BOUND_SUFFIX = ".commits"
IDS_PER_QUERY = 1_000
ROWS_PER_INSERT = 1_000
MARKS_PER_QUERY = 200
COUNT_COMMIT = """
insert into inbox_commits values (1, 1) on conflict (id) do update set commit_count = commit_count + 1
returning commit_count
"""
SQL = Statements(
    create_tables="""
create table if not exists inbox_event_ids (id blob primary key) without rowid;
create table if not exists inbox_id_log (seq integer primary key, ids blob not null);
create table if not exists inbox_requests (
    seq integer primary key, source text not null, received_us integer not null, sealed_messages blob not null);
create table if not exists inbox_customer_marks (seq integer primary key, marks blob not null);
create table if not exists inbox_counts (
    source text primary key, stored_count integer not null, duplicate_count integer not null,
    rejected_count integer not null) without rowid;
create table if not exists inbox_progress (id integer primary key check (id = 1), moved_seq integer not null);
create table if not exists inbox_commits (id integer primary key check (id = 1), commit_count integer not null);
create table if not exists inbox_seal (id integer primary key check (id = 1), seal blob not null);
create table if not exists inbox_loaded (id integer primary key check (id = 1), loaded_seq integer not null);
create table if not exists inbox_identity (
    id integer primary key check (id = 1), inbox_id text not null, lake_id text);
""",
    insert_identity="insert into inbox_identity (id, inbox_id) values (1, ?) on conflict (id) do nothing",
    select_identity="select inbox_id, lake_id from inbox_identity",
    update_inbox_id="update inbox_identity set inbox_id = ?",
    update_lake_id="update inbox_identity set lake_id = ?",
    insert_request="insert into inbox_requests values (?, ?, ?, ?)",
    insert_customer_marks="insert into inbox_customer_marks values (?, ?)",
    select_customer_marks="select seq, marks from inbox_customer_marks where seq between ? and ?",
    select_requests="select seq, source, received_us, sealed_messages from inbox_requests where seq > ? order by seq"
    " limit ?",
    select_request="select seq, source, received_us, sealed_messages from inbox_requests where seq = ?",
    select_stored_seqs="select seq from inbox_requests where seq <= ? order by seq",
    delete_requests="delete from inbox_requests where seq <= ?",
    delete_customer_marks="delete from inbox_customer_marks where seq <= ?",
    select_last_seq="select coalesce(max(seq), 0) from inbox_requests",
    select_newest_us="select coalesce(max(received_us), 0) from inbox_requests",
    select_last_seq_before="select coalesce(max(seq), 0) from inbox_requests where received_us < ?",
    count_requests="select count(*) from inbox_requests where seq > ?",
    add_counts="""
insert into inbox_counts values (?, ?, ?, ?) on conflict (source) do update set
    stored_count = stored_count + excluded.stored_count, duplicate_count = duplicate_count + excluded.duplicate_count,
    rejected_count = rejected_count + excluded.rejected_count
""",
    select_counts="select source, stored_count, duplicate_count, rejected_count from inbox_counts order by source",
    update_moved_seq="""
insert into inbox_progress values (1, ?) on conflict (id) do update set
    moved_seq = max(moved_seq, excluded.moved_seq)
""",
    select_moved_seq="select coalesce(max(moved_seq), 0) from inbox_progress",
    update_loaded_seq="""
insert into inbox_loaded values (1, ?) on conflict (id) do update set
    loaded_seq = max(loaded_seq, excluded.loaded_seq)
""",
    select_loaded_seq="select coalesce(max(loaded_seq), 0) from inbox_loaded",
    clear_loaded_seq="delete from inbox_loaded",
    select_state="""
select
    (select group_concat(source || char(0) || stored_count || ',' || duplicate_count || ',' || rejected_count, char(0))
        from (select * from inbox_counts order by source)),
    (select moved_seq from inbox_progress), (select loaded_seq from inbox_loaded), inbox_id, lake_id,
    (select commit_count > 0 from inbox_commits), (select seal from inbox_seal)
from inbox_identity
""",
    update_seal="insert into inbox_seal values (1, ?) on conflict (id) do update set seal = excluded.seal",
    insert_event_ids="insert into inbox_event_ids values (?) on conflict do nothing",
    select_event_ids="select id from inbox_event_ids where id > ? order by id limit ?",
    insert_id_log="insert into inbox_id_log values (?, ?)",
    select_id_log="select ids from inbox_id_log where seq > ?",
    # why: SQLite finds one end of a table at once, and reads all of it for both ends of one query
    select_id_log_range="select coalesce((select min(seq) from inbox_id_log), 0), coalesce((select max(seq) from"
    " inbox_id_log), 0)",
    delete_id_log="delete from inbox_id_log where seq <= ?",
)


class SqliteBackend:
    """An inbox in a SQLite file. Raises NoSpace, InboxDamaged, WorkspaceError when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.sql = SQL
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._bound = CommitBound(path.with_suffix(BOUND_SUFFIX), InboxDamaged)
        bound = self._bound.read() if self._bound.exists() else None
        self._con = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._prepare()
            count = self.commit_count()
            if bound is None:
                self._bound.create(count)
            else:
                self._bound.require_reached(count, bound, where=self.name)
        except sqlite3.DatabaseError as error:
            self.abandon()
            raise _translated(self.name, error) from error
        except BaseException:
            self._con.close()
            raise

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
        self._con.executescript(SQL.create_tables)

    def commit_count(self) -> int:
        """How many commits there were."""
        return self._con.execute("select coalesce(max(commit_count), 0) from inbox_commits").fetchone()[0]

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement and return its rows."""
        return self._con.execute(statement, values)

    def insert_rows(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows with the statement that inserts one, many at a time.

        Python lets other threads run at each statement, and gets its turn back only after they have computed for a
        while: with one statement a row, a commit would wait for that hundreds of times.
        """
        values = list(rows)
        for start in range(0, len(values), ROWS_PER_INSERT):
            some = values[start : start + ROWS_PER_INSERT]
            self._con.execute(_of_rows(statement, len(some)), [one for row in some for one in row])

    def known_event_ids(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these ids are in the table of event ids."""
        known: set[bytes] = set()
        for start in range(0, len(ids), IDS_PER_QUERY):
            some = ids[start : start + IDS_PER_QUERY]
            query = f"select id from inbox_event_ids where id in ({','.join('?' * len(some))})"
            known.update(row[0] for row in self._con.execute(query, some))
        return known

    def seqs_of_customers(self, marks: Sequence[bytes], *, after: int) -> list[int]:
        """Numbers of the requests after one that are about a customer with one of these marks."""
        seqs: set[int] = set()
        for start in range(0, len(marks), MARKS_PER_QUERY):
            some = marks[start : start + MARKS_PER_QUERY]
            condition = " or ".join(["instr(marks, ?) > 0"] * len(some))
            query = f"select seq from inbox_customer_marks where seq > ? and ({condition})"
            seqs.update(row[0] for row in self._con.execute(query, (after, *some)))
        return sorted(seqs)

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise SQLite's errors as Patron's."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _translated(self.name, error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all."""
        with self.translated_errors():
            self._con.execute("begin immediate")
            try:
                yield
                (count,) = self._con.execute(COUNT_COMMIT).fetchone()
                self._con.execute("commit")
            finally:
                if self._con.in_transaction:
                    self._con.execute("rollback")
        self._bound.raise_to(count)

    def check(self) -> None:
        """Verify every page. Raises InboxDamaged."""
        with self.translated_errors():
            result = self._con.execute("pragma quick_check").fetchone()[0]
        if result != "ok":
            raise InboxDamaged(FILE_DAMAGED_CAUSE(cause=result), where=self.name, todo=FIX)

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the file or its write-ahead log. Raises WorkspaceBusy while others read."""
        with self.translated_errors():
            self._con.execute("vacuum")
            is_empty = empty_write_ahead_log(
                lambda: bool(self._con.execute("pragma wal_checkpoint(truncate)").fetchone()[0])
            )
        if not is_empty:
            raise WorkspaceBusy(OTHERS_READ_INBOX, where=self.name, todo=TRY_IN_A_MOMENT)

    def settle(self) -> None:
        """Move all of the write-ahead log into the file, synced, and empty it.

        After a sync that failed the log may lack pages on disk that the system has in memory, and a later sync would
        not write them: whatever was committed after them would be lost with them.
        """
        with self.translated_errors():
            is_read = self._con.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
        if is_read:
            raise WorkspaceBusy(OTHERS_READ_INBOX, where=self.name, todo=RETRIED_AUTOMATICALLY)

    def abandon(self) -> None:
        """Close the file as it is: the descriptor of a sync that failed is never synced again."""
        # why: the last to close a file syncs its log and moves it into the file; one who only reads does not
        reader = sqlite3.connect(f"{Path(self.name).as_uri()}?mode=ro", uri=True, timeout=0)
        try:
            with suppress(sqlite3.Error):
                reader.execute("select 1 from sqlite_master").fetchone()
            self._con.close()
        finally:
            reader.close()

    def close(self) -> None:
        """Close the file."""
        self._con.close()


def _of_rows(statement: str, count: int) -> str:
    """An insert of one row as one of several."""
    row = statement[statement.index("(") : statement.index(")") + 1]
    return statement.replace(row, ",".join([row] * count), 1)


def renew_inbox_bound(path: Path) -> None:
    """Take the commits that an inbox has as all there were; nothing for one that cannot be opened."""
    path.with_suffix(BOUND_SUFFIX).unlink(missing_ok=True)
    with suppress(WorkspaceError):
        SqliteBackend(path).close()


def copy_inbox(source: Path, target: Path) -> None:
    """Copy a live inbox as one transaction sees it, and give the copy a bound of its commits. Raises InboxDamaged."""
    target.touch(mode=0o600)
    one, other = sqlite3.connect(source), sqlite3.connect(target)
    try:
        one.backup(other)
    except sqlite3.DatabaseError as error:
        raise _translated(str(source), error) from error
    finally:
        one.close()
        other.close()
    SqliteBackend(target).close()


def _translated(name: str, error: sqlite3.DatabaseError) -> WorkspaceError:
    if "full" in str(error) or ("disk I/O error" in str(error) and lacks_room_for_database(Path(name))):
        return NoSpace(INBOX_DISK_FULL, where=name, todo=FREE_SOME_SPACE)
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return WorkspaceError(CANNOT_BE_WRITTEN(cause=error), where=name, todo=CHECK_DISK)
    return InboxDamaged(FILE_DAMAGED_CAUSE(cause=error), where=name, todo=FIX)
