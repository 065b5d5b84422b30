"""The operational store: rows that need transactions. SQLite in the workspace by default, PostgreSQL by URL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlcipher3 import dbapi2 as sqlcipher

from patron.schema.common_sentences import (
    DISK_FULL,
    RUN_DOCTOR,
    TOO_MUCH_AT_ONCE,
    TRY_IN_A_MOMENT,
    TRY_IN_A_SECOND,
    UPGRADE_PACKAGE,
)
from patron.schema.errors import NoSpace, Overloaded, WorkspaceBusy, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.access import access_tables  # noqa: F401 - their tables are the store's
from patron.storage.customers import customer_tables  # noqa: F401 - their tables are the store's
from patron.storage.data import webhook_tables  # noqa: F401 - their tables are the store's
from patron.storage.insight import cost_tables, digest_tables, question_tables  # noqa: F401 - their tables are the store's
from patron.storage.models import season_tables  # noqa: F401 - their tables are the store's
from patron.storage.offers import delivery_tables, proposal_tables  # noqa: F401 - their tables are the store's
from patron.storage.outreach import campaign_tables  # noqa: F401 - their tables are the store's
from patron.storage.privacy import privacy_tables  # noqa: F401 - their tables are the store's
from patron.storage.runs import job_tables  # noqa: F401 - their tables are the store's
from patron.storage.store.commit_bound import CommitBound
from patron.storage.store.embedded_store import WAIT_FOR_WRITERS, damaged_store, prepare, unlock
from patron.storage.store.statements import insert_into
from patron.storage.store.store_metadata import METADATA, UTC_TIME
from patron.storage.store.store_migrations import migrate, revision_of, revisions
from patron.storage.write_ahead_log import empty_write_ahead_log

OTHERS_WRITE_STORE = Sentence("others_write_store", "other processes are writing to the store")
OTHERS_READ_STORE = Sentence("others_read_store", "other processes are reading the store")
NEWER_STORE = Sentence("newer_store", "the store was written by a newer Patron (revision {revision})")
CANNOT_BE_OPENED = Sentence("cannot_be_opened", "cannot be opened ({cause})")

FREE_SPACE = Sentence("free_space", "Free some space and repeat.")

WORKSPACE = sa.Table(
    "workspace",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True, comment="workspace_id, layout_version, master_key_check ..."),
    sa.Column("value", sa.Text, nullable=False),
)
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("as_of", UTC_TIME, nullable=False, comment="cutoff of the run"),
    sa.Column("finished_at", UTC_TIME, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, comment="how long the run took"),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("policy_version", sa.Text, nullable=False),
    sa.Column("table_versions", sa.JSON, nullable=False, comment="Delta version of each table: what readers read"),
    sa.Column("summary", sa.JSON, nullable=False, comment="seconds of each step, and questions without a forecast"),
)
IMPORTS = sa.Table(
    "imports",
    METADATA,
    sa.Column("import_id", sa.Text, primary_key=True),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("started_at", UTC_TIME, nullable=False),
    sa.Column("finished_at", UTC_TIME),
    sa.Column("read_count", sa.Integer, nullable=False),
    sa.Column("stored_count", sa.Integer, nullable=False),
    sa.Column("duplicate_count", sa.Integer, nullable=False),
    sa.Column("rejected_count", sa.Integer, nullable=False),
)
DEAD_LETTERS = sa.Table(
    "dead_letters",
    METADATA,
    sa.Column("dead_letter_id", sa.Text, primary_key=True, comment="hash of source, file and row, so repeats are one"),
    sa.Column("import_id", sa.Text, nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("row_number", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="reason code"),
    sa.Column("message", sa.Text, nullable=False, comment="explanation without personal values"),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="the row, encrypted"),
    sa.Column("created_at", UTC_TIME, nullable=False),
)
VAULT_TOKENS = sa.Table(
    "vault_tokens",
    METADATA,
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="user_id, anonymous_id ..."),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False, comment="the identifier under the token's key"),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False, comment="the token's key under the master key"),
    sa.Column("created_at", UTC_TIME, nullable=False),
)
VAULT_TEXTS = sa.Table(
    "vault_texts",
    METADATA,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("field", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, nullable=False, index=True, comment="whose key encrypts the text"),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
)
CONTACTS = sa.Table(
    "contacts",
    METADATA,
    sa.Column(
        "contact",
        sa.Text,
        primary_key=True,
        comment="token of an e-mail address, telephone number or user id in any case",
    ),
    sa.Column("token", sa.Text, primary_key=True, index=True, comment="token of the user or visitor who has it"),
)
FORGOTTEN = sa.Table(
    "forgotten",
    METADATA,
    sa.Column("token", sa.Text, primary_key=True, comment="events of its owner are rejected"),
    sa.Column("forgotten_at", UTC_TIME, nullable=False),
)
ERASURES = sa.Table(
    "erasures",
    METADATA,
    sa.Column("certificate_id", sa.Text, primary_key=True),
    sa.Column("tokens", sa.JSON, nullable=False, comment="tokens of an unfinished erasure"),
    sa.Column("counts", sa.JSON, nullable=False, comment="erased so far, by place"),
    sa.Column("started_at", UTC_TIME, nullable=False),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False, comment="UTC, ISO 8601"),
    sa.Column("action", sa.Text, nullable=False, comment="action code"),
    sa.Column("details", sa.Text, nullable=False, comment="JSON without personal values"),
    sa.Column("previous", sa.Text, nullable=False, comment="hash of the entry before"),
    sa.Column("hash", sa.Text, nullable=False, comment="SHA-256 of this entry and of the hash before"),
)
CONSENT_LEDGER = sa.Table(
    "consent_ledger",
    METADATA,
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event", sa.Text, nullable=False, comment="hash of the source and id of the consent event"),
    sa.Column("token", sa.Text, nullable=False, comment="user or device that it is about"),
    sa.Column("purpose", sa.Text, nullable=False, comment="as received, in lower case"),
    sa.Column("is_granted", sa.Boolean, nullable=False, comment="false when it was withdrawn"),
    sa.Column("basis", sa.Text, nullable=False, comment="consent, contract, legitimate_interest ..."),
    sa.Column("wording", sa.Text, comment="hash of the exact words"),
    sa.Column("wording_version", sa.Text),
    sa.Column("policy_version", sa.Text, comment="version of the privacy policy that was shown"),
    sa.Column("locale", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("occurred_at", sa.Text, nullable=False, comment="when the customer decided, UTC, ISO 8601"),
    sa.Column("known_at", sa.Text, nullable=False, comment="when Patron could know it"),
    sa.Column("previous", sa.Text, nullable=False, comment="hash of the entry before"),
    sa.Column("hash", sa.Text, nullable=False, comment="SHA-256 of this entry and of the hash before"),
    sa.Index("ix_consent_ledger_event", "event", "purpose", unique=True),
    sa.Index("ix_consent_ledger_token", "token", "purpose"),
)
WORDINGS = sa.Table(
    "consent_wordings",
    METADATA,
    sa.Column("wording", sa.Text, primary_key=True, comment="SHA-256 of the words"),
    sa.Column("words", sa.Text, nullable=False, comment="what customers were shown"),
)
EXPERIMENT_ARMS = sa.Table(
    "experiment_arms",
    METADATA,
    sa.Column("experiment", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("arm", sa.Text, nullable=False, comment="assigned once: a merge of identities cannot change it"),
    sa.Column("assigned_at", UTC_TIME, nullable=False),
)
PROFILES = sa.Table(
    "profiles",
    METADATA,
    sa.Column("generation", sa.Integer, primary_key=True, comment="which rebuild of the profiles; one is in use"),
    sa.Column("token", sa.Text, primary_key=True, comment="user or device token"),
    sa.Column("own_id", sa.Text, nullable=False, comment="customer of the token alone, without any link"),
    sa.Column("owner", sa.Text, comment="user token that a device appeared with, if it is only one"),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="sums, times and the newest events, as MessagePack"),
    sa.Index("ix_profiles_own_id", "own_id"),
    sa.Index("ix_profiles_owner", "owner"),
)

COMMITS = "commit_count"
"""Entry of the workspace that counts the commits to an embedded store."""
COUNT_COMMIT = sa.text(
    f"update workspace set value = cast(value as integer) + 1 where key = '{COMMITS}' returning value"
)
KEPT_CONNECTIONS, MAX_CONNECTIONS = 10, 60
"""Kept open, and the most at once: 40 threads of the server answer requests, and the collector waits for none."""
AFTERWARDS = "afterwards"
DAMAGE = ("malformed", "not a database", "disk I/O error")
"""Signs of a file that does not hold what was written."""
LAKE_FILES = sa.Table(
    "lake_files",
    METADATA,
    sa.Column("lake_id", sa.Text, primary_key=True, comment="empty, or which of several that share a store"),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True, comment="within the table's folder"),
    sa.Column("sha256", sa.Text, nullable=False, comment="written before a commit names the file"),
    sa.Column("byte_count", sa.BigInteger, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
)
LAKE_COMMITS = sa.Table(
    "lake_commits",
    METADATA,
    sa.Column("lake_id", sa.Text, primary_key=True, comment="empty, or which of several that share a store"),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("log_sha256", sa.Text, nullable=False, comment="of the log file, written after the commit"),
    sa.Column("checkpoint_sha256", sa.Text, comment="of the checkpoint of this version, where there is one"),
)
MODEL_MANIFESTS = sa.Table(
    "model_manifests",
    METADATA,
    sa.Column("model_version", sa.Text, primary_key=True, comment="folder under models/"),
    sa.Column("sha256", sa.Text, primary_key=True, comment="of the manifest, which holds those of the other files"),
)
MODEL_DECISIONS = sa.Table(
    "model_decisions",
    METADATA,
    sa.Column("model_version", sa.Text, primary_key=True, comment="folder under models/"),
    sa.Column("decided_at", UTC_TIME, primary_key=True),
    sa.Column("decision", sa.Text, primary_key=True, comment="pinned, released or approved"),
    sa.Column("name", sa.Text, nullable=False, comment="who approved it, as written; empty otherwise"),
    sa.Column("note", sa.Text, nullable=False, comment="reason or note, as written"),
    sa.Column("manifest_sha256", sa.Text, nullable=False, comment="of the manifest that was approved; empty otherwise"),
)

BY_CUSTOMER = tuple(table for table in METADATA.sorted_tables if "customer_id" in table.c)
"""Tables of the store whose rows belong to customers."""


class Store:
    """One connection pool to the operational store, upgraded to the newest schema when opened."""

    def __init__(self, url: str, *, key: bytes = b"", bound: CommitBound | None = None) -> None:
        """Open the file of a URL with its key, or the server of one; commits to a file are counted in its bound."""
        self.url = url
        self.bound = bound
        is_embedded = sa.make_url(url).get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_size": KEPT_CONNECTIONS, "max_overflow": MAX_CONNECTIONS - KEPT_CONNECTIONS}
        options |= {"module": sqlcipher} if is_embedded else {}
        # why: a message or a traceback of a failed statement must not show the values of its rows
        self.engine = sa.create_engine(url, hide_parameters=True, **options)
        if is_embedded:
            event.listen(self.engine, "connect", lambda connection, _: unlock(connection, key))
            event.listen(self.engine, "connect", lambda connection, _: prepare(connection))

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open a transaction that commits at the end of the block.

        Raises NoSpace, Overloaded, WorkspaceBusy when others write for half a minute, WorkspaceError.
        """
        count, afterwards = 0, []
        with self._write_errors():
            with self.engine.begin() as connection:
                before = self._change_count(connection)
                connection.info[AFTERWARDS] = afterwards
                yield connection
                if self.bound and self._change_count(connection) > before:
                    count = int(connection.execute(COUNT_COMMIT).scalar_one())
            if self.bound and count:
                self.bound.raise_to(count)
        for act in afterwards:
            act()

    @contextmanager
    def begin_without_waiting(self) -> Iterator[sa.Connection]:
        """As `begin`, but raise WorkspaceBusy at once while another process writes to the file."""
        with self.begin() as connection:
            if not self.file:
                yield connection
                return
            connection.exec_driver_sql("pragma busy_timeout = 0")
            try:
                yield connection
            finally:
                connection.exec_driver_sql(f"pragma {WAIT_FOR_WRITERS}")

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if "disk is full" in str(error):
                raise NoSpace(DISK_FULL, where="store", todo=FREE_SPACE) from error
            if "database is locked" in str(error.orig):
                raise WorkspaceBusy(OTHERS_WRITE_STORE, where=str(self.file), todo=TRY_IN_A_MOMENT) from error
            if self.file and any(sign in str(error.orig) for sign in DAMAGE):
                raise damaged_store(self.file, error.orig or error) from error
            raise
        except PoolTimeout as error:
            raise Overloaded(TOO_MUCH_AT_ONCE, where="store", todo=TRY_IN_A_SECOND) from error

    @staticmethod
    def _change_count(connection: sa.Connection) -> int:
        """Rows that the connection has changed so far; 0 on a server."""
        return getattr(connection.connection.dbapi_connection, "total_changes", 0)

    def require_all_commits(self) -> None:
        """Raise WorkspaceError when the file lacks commits that were made: its write-ahead log was lost."""
        if self.bound:
            bound = self.bound.read()  # why: first, as others may commit meanwhile
            with self.begin() as connection:
                chosen = sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == COMMITS)
                count = int(connection.scalar(chosen) or 0)
            self.bound.require_reached(count, bound, where=str(self.file))

    @property
    def file(self) -> Path | None:
        """The file of an embedded store."""
        return Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None

    def is_current(self) -> bool:
        """Whether the schema is that of this version; changes nothing. Raises WorkspaceError when it is newer."""
        with self.translated_errors(), self.engine.connect() as connection:
            current = revision_of(connection)
        if current is not None and current not in revisions():
            raise WorkspaceError(NEWER_STORE(revision=current), where="store", todo=UPGRADE_PACKAGE)
        return current == revisions()[-1]

    def upgrade(self) -> None:
        """Bring the schema to this version of Patron. Raises WorkspaceError when the store is newer than that."""
        if self.is_current():
            return
        with self.translated_errors(), self.engine.begin() as connection:
            if self.file:  # why: otherwise the driver would commit each table by itself; a kill would leave a half
                connection.exec_driver_sql("begin immediate")
            migrate(connection)

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise what is wrong with a store that cannot be opened as WorkspaceError."""
        try:
            yield
        except DatabaseError as error:
            if self.file and any(sign in str(error.orig) for sign in DAMAGE):
                raise damaged_store(self.file, error.orig or error) from error
            raise WorkspaceError(
                CANNOT_BE_OPENED(cause=error.orig),
                where=self.engine.url.render_as_string(),
                todo=RUN_DOCTOR,
            ) from error

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the files of the store. Raises WorkspaceBusy while others read or write."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not self.file:
                connection.execute(sa.text("vacuum"))
                return
            connection.execute(sa.text("pragma temp_store = memory"))
            # why: deleted rows are overwritten, but what moved to another page before leaves its bytes behind
            with self._write_errors():
                connection.execute(sa.text("vacuum"))
            checkpoint = sa.text("pragma wal_checkpoint(truncate)")
            is_empty = empty_write_ahead_log(lambda: bool(connection.execute(checkpoint).scalar_one()))
        if not is_empty:
            raise WorkspaceBusy(OTHERS_READ_STORE, where=str(self.file), todo=TRY_IN_A_MOMENT)

    def close(self) -> None:
        """Return every connection."""
        self.engine.dispose()


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, update: Sequence[str] = ()
) -> None:
    """Insert rows; where the primary key exists, replace the `update` columns, or without any keep the stored row."""
    if not rows:
        return
    insert = insert_into(connection, table)
    if update:
        changed = {name: insert.excluded[name] for name in update}
        insert = insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)
    else:
        insert = insert.on_conflict_do_nothing(index_elements=list(table.primary_key.columns))
    connection.execute(insert, [dict(row) for row in rows])


def after_commit(connection: sa.Connection, act: Callable[[], None]) -> None:
    """Do something once the transaction of a connection is on disk."""
    connection.info[AFTERWARDS].append(act)


def sqlite_url(path: Path) -> str:
    """URL of a SQLite file."""
    return f"sqlite:///{quote(str(path))}"  # why: what follows a ? would be options
