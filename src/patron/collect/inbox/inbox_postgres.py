"""The inbox in a database of a PostgreSQL server, which several collectors share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from patron.collect.inbox.inbox_backend import Statements
from patron.schema.common_sentences import FILE_DAMAGED_CAUSE, INSTALL_EXTRA
from patron.schema.errors import InboxDamaged, MissingExtra, NoSpace, WorkspaceError
from patron.schema.sentences import Sentence

NEEDS_PSYCOPG = Sentence("needs_psycopg", "an inbox on PostgreSQL needs psycopg")
SERVER_FULL = Sentence("server_full", "the server has no room ({cause}); nothing of the request was taken")
FREE_SPACE_THERE = Sentence("free_space_there", "Free some space there.")
SERVER_REFUSED = Sentence("server_refused", "the server refused ({cause})")
CHECK_SERVER = Sentence("check_server", "Check the server; clients retry.")
RESTORE_DATABASE = Sentence("restore_database", "Restore the server's database from its backup.")

APPLICATION = "patron inbox"
"""The name under which the server's administrator sees our connections."""
LOCK = "select pg_advisory_xact_lock(hashtext(current_schema() || '.patron inbox'))"
SCRUBBED = ("inbox_requests", "inbox_customer_marks", "inbox_id_log")
SQL = Statements(
    create_tables="""
create table if not exists inbox_event_ids (id bytea primary key);
create table if not exists inbox_id_log (seq bigint primary key, ids bytea not null);
create table if not exists inbox_requests (
    seq bigint primary key, source text not null, received_us bigint not null, sealed_messages bytea not null);
create table if not exists inbox_customer_marks (seq bigint primary key, marks bytea not null);
create table if not exists inbox_counts (
    source text primary key, stored_count bigint not null, duplicate_count bigint not null,
    rejected_count bigint not null);
create table if not exists inbox_progress (id integer primary key check (id = 1), moved_seq bigint not null);
create table if not exists inbox_loaded (id integer primary key check (id = 1), loaded_seq bigint not null);
create table if not exists inbox_identity (
    id integer primary key check (id = 1), inbox_id text not null, lake_id text);
""",
    insert_identity="insert into inbox_identity (id, inbox_id) values (1, %s) on conflict (id) do nothing",
    select_identity="select inbox_id, lake_id from inbox_identity",
    update_inbox_id="update inbox_identity set inbox_id = %s",
    update_lake_id="update inbox_identity set lake_id = %s",
    insert_request="insert into inbox_requests values (%s, %s, %s, %s)",
    insert_customer_marks="insert into inbox_customer_marks values (%s, %s)",
    select_customer_marks="select seq, marks from inbox_customer_marks where seq between %s and %s",
    select_requests="select seq, source, received_us, sealed_messages from inbox_requests where seq > %s order by seq"
    " limit %s",
    select_request="select seq, source, received_us, sealed_messages from inbox_requests where seq = %s",
    select_stored_seqs="select seq from inbox_requests where seq <= %s order by seq",
    delete_requests="delete from inbox_requests where seq <= %s",
    delete_customer_marks="delete from inbox_customer_marks where seq <= %s",
    select_last_seq="select coalesce(max(seq), 0) from inbox_requests",
    select_newest_us="select coalesce(max(received_us), 0) from inbox_requests",
    select_last_seq_before="select coalesce(max(seq), 0) from inbox_requests where received_us < %s",
    count_requests="select count(*) from inbox_requests where seq > %s",
    add_counts="""
insert into inbox_counts as c values (%s, %s, %s, %s) on conflict (source) do update set
    stored_count = c.stored_count + excluded.stored_count,
    duplicate_count = c.duplicate_count + excluded.duplicate_count,
    rejected_count = c.rejected_count + excluded.rejected_count
""",
    select_counts="select source, stored_count, duplicate_count, rejected_count from inbox_counts order by source",
    update_moved_seq="""
insert into inbox_progress as p values (1, %s) on conflict (id) do update set
    moved_seq = greatest(p.moved_seq, excluded.moved_seq)
""",
    select_moved_seq="select coalesce(max(moved_seq), 0) from inbox_progress",
    update_loaded_seq="""
insert into inbox_loaded as p values (1, %s) on conflict (id) do update set
    loaded_seq = greatest(p.loaded_seq, excluded.loaded_seq)
""",
    select_loaded_seq="select coalesce(max(loaded_seq), 0) from inbox_loaded",
    clear_loaded_seq="delete from inbox_loaded",
    select_state="",
    update_seal="",
    insert_event_ids="insert into inbox_event_ids values (%s) on conflict do nothing",
    select_event_ids="select id from inbox_event_ids where id > %s order by id limit %s",
    insert_id_log="insert into inbox_id_log values (%s, %s)",
    select_id_log="select ids from inbox_id_log where seq > %s",
    select_id_log_range="select coalesce(min(seq), 0), coalesce(max(seq), 0) from inbox_id_log",
    delete_id_log="delete from inbox_id_log where seq <= %s",
)
KNOWN_IDS = "select id from inbox_event_ids where id = any(%s)"
SEQS_OF_CUSTOMERS = """
select seq from inbox_customer_marks where seq > %s
    and exists (select 1 from unnest(%s::bytea[]) as customer(mark) where position(customer.mark in marks) > 0)
order by seq
"""


class PostgresBackend:
    """An inbox on a PostgreSQL server; commits are synchronous, whatever the server's own setting is."""

    def __init__(self, url: str) -> None:
        """Open the database of a URL. Raises MissingExtra without the driver, NoSpace, InboxDamaged, WorkspaceError."""
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtra(NEEDS_PSYCOPG, todo=INSTALL_EXTRA(extra="postgres")) from error
        self._errors = psycopg.errors
        self.sql = SQL
        self.name = "inbox_url"
        with self.translated_errors():
            plain = url.replace("postgresql+psycopg://", "postgresql://")
            self._con = psycopg.connect(plain, autocommit=True, application_name=APPLICATION)
            self._con.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # why: sees what it waited for
            self._con.execute("set synchronous_commit = on")
            with self.transaction():
                self._con.execute(SQL.create_tables.encode())

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement and return its rows."""
        return self._con.execute(statement.encode(), values)

    def insert_rows(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows with the statement that inserts one."""
        with self._con.cursor() as cursor:
            cursor.executemany(statement.encode(), rows)

    def known_event_ids(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these ids are in the table of event ids."""
        return {row[0] for row in self._con.execute(KNOWN_IDS, (list(ids),))} if ids else set()

    def seqs_of_customers(self, marks: Sequence[bytes], *, after: int) -> list[int]:
        """Numbers of the requests after one that are about a customer with one of these marks."""
        return [row[0] for row in self._con.execute(SEQS_OF_CUSTOMERS, (after, list(marks)))]

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise the server's errors as Patron's."""
        errors = self._errors
        try:
            yield
        except (errors.DiskFull, errors.OutOfMemory) as error:
            what = SERVER_FULL(cause=_first_line(error))
            raise NoSpace(what, where=self.name, todo=FREE_SPACE_THERE) from error
        except (errors.DataCorrupted, errors.IndexCorrupted) as error:
            raise InboxDamaged(
                FILE_DAMAGED_CAUSE(cause=_first_line(error)), where=self.name, todo=RESTORE_DATABASE
            ) from error
        except errors.Error as error:
            what = SERVER_REFUSED(cause=_first_line(error))
            raise WorkspaceError(what, where=self.name, todo=CHECK_SERVER) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable commit, or nothing at all; collectors take turns."""
        with self.translated_errors(), self._con.transaction():
            self._con.execute(LOCK)
            yield

    def check(self) -> None:
        """Nothing: the server checks its own pages when its administrator asks for it."""

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the tables; the server's own log and backups are beyond us."""
        with self.translated_errors():
            for table in SCRUBBED:
                self._con.execute(f"vacuum full {table}".encode())

    def settle(self) -> None:
        """Nothing: a server stops by itself when its log cannot be synced."""

    def abandon(self) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
