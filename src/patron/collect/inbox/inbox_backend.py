"""What an inbox needs of a database: a SQLite file in the workspace, or a PostgreSQL server for several collectors.

Each backend brings its own SQL. A transaction is durable when it ends, and one runs at a time: the numbers of requests
are in the order of their commits, so that nobody can read past one that is still being written.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Statements:
    """The SQL of one backend, by what it does; `seq` is the number of a request."""

    create_tables: str
    insert_identity: str
    """inbox_id; nothing where the inbox has one."""
    select_identity: str
    """inbox_id and lake_id."""
    update_inbox_id: str
    update_lake_id: str
    insert_request: str
    """seq, source, received_us, sealed_messages."""
    insert_customer_marks: str
    """seq, marks."""
    select_customer_marks: str
    """Marks of the requests from one seq to another."""
    select_requests: str
    """Requests after a seq, at most so many, oldest first."""
    select_request: str
    """The request of a seq."""
    select_stored_seqs: str
    """Numbers of requests up to a seq, oldest first."""
    delete_requests: str
    """Up to a seq."""
    delete_customer_marks: str
    """Up to a seq."""
    select_last_seq: str
    """Of the requests that are stored; 0 for none."""
    select_newest_us: str
    """received_us of the newest request; 0 for none."""
    select_last_seq_before: str
    """Of the requests received before a time; 0 for none."""
    count_requests: str
    """After a seq."""
    add_counts: str
    """source, stored, duplicate, rejected."""
    select_counts: str
    update_moved_seq: str
    """The last request that is in the lake; it never goes back."""
    select_moved_seq: str
    update_loaded_seq: str
    """The last request with a row in the lake; it never goes back."""
    select_loaded_seq: str
    clear_loaded_seq: str
    select_state: str
    """Counts, positions and identity in one row, and last their seal; empty where the database guards its own pages."""
    update_seal: str
    insert_event_ids: str
    """An id of an event; nothing where it is known."""
    select_event_ids: str
    """Ids after an id, at most so many, in order."""
    insert_id_log: str
    """seq and its new ids, one after the other."""
    select_id_log: str
    """New ids of requests after a seq."""
    select_id_log_range: str
    """First and last seq of the log; 0 for none."""
    delete_id_log: str
    """Up to a seq."""


class InboxBackend(Protocol):
    """Rows of one inbox. One thread at a time may use it."""

    name: str
    """What people know it by."""
    sql: Statements

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement and return its rows."""
        ...

    def insert_rows(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows with the statement that inserts one."""
        ...

    def known_event_ids(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these ids are in the table of event ids."""
        ...

    def seqs_of_customers(self, marks: Sequence[bytes], *, after: int) -> list[int]:
        """Numbers of the requests after one that are about a customer with one of these marks."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """One durable commit, or nothing; others wait meanwhile. Raises NoSpace, InboxDamaged, WorkspaceError."""
        ...

    def translated_errors(self) -> AbstractContextManager[None]:
        """Raise the database's errors as Patron's: NoSpace, InboxDamaged, WorkspaceError."""
        ...

    def check(self) -> None:
        """Verify everything the engine can verify. Raises InboxDamaged."""
        ...

    def scrub(self) -> None:
        """Leave nothing of deleted rows. Raises WorkspaceBusy while others read."""
        ...

    def settle(self) -> None:
        """Write everything that was committed to disk once more, whatever an earlier sync said."""
        ...

    def abandon(self) -> None:
        """Close the connection after a failure, and write nothing on the way."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
