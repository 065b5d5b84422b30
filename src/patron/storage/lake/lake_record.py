"""What the store keeps of the lake: the hash of every data file, and of every commit."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from patron.schema.tables import EVENTS
from patron.storage.store.store import LAKE_COMMITS, LAKE_FILES, Store, upsert

if TYPE_CHECKING:
    from deltalake import DeltaTable

Stamp = tuple[int, int, int]
"""Size, modification time and inode of a file: while they stay, it need not be read again."""

# why as text: they are run hundreds of times in a run, and to build them takes longer than to run them
NEWEST = sa.text("select max(version) from lake_commits where lake_id = :lake_id and table_name = :table_name")
FROM_CHECKPOINT = sa.text("""
select version, log_sha256, checkpoint_sha256 from lake_commits
where lake_id = :lake_id and table_name = :table_name and version <= :until and version >= coalesce((
    select max(version) from lake_commits
    where lake_id = :lake_id and table_name = :table_name and version <= :until and checkpoint_sha256 is not null
), 0) order by version""")


@dataclass(frozen=True)
class FileEntry:
    """A Parquet file as it was written; its path is within the folder of its table."""

    path: str
    sha256: str
    byte_count: int
    row_count: int


@dataclass(frozen=True)
class CommitEntry:
    """A commit: hashes of its log file and, where one was made, of its checkpoint; "" where there is no log file."""

    version: int
    log_sha256: str
    checkpoint_sha256: str | None = None


@dataclass
class HeldReads:
    """What was read of tables that nobody else writes meanwhile; it need not be read again."""

    recorded: dict[str, int | None] = field(default_factory=dict)
    """Version of each table's newest entry."""
    newest: dict[str, int | None] = field(default_factory=dict)
    """Newest version of each table, compared with its entry."""
    commits: dict[tuple[str, int], CommitEntry] = field(default_factory=dict)
    """Verified commits, by table and version."""
    deltas: "dict[tuple[str, int], DeltaTable]" = field(default_factory=dict)
    """Open tables at a version, by table and version."""
    entries: set[str] = field(default_factory=set)
    """Tables whose files' entries were read."""
    files: dict[str, Stamp] = field(default_factory=dict)
    """Stamps of data files that were compared with their entries, by the path that they were named by."""

    def open_table(self, table: str, version: int, open_version: "Callable[[], DeltaTable]") -> "DeltaTable":
        """A table at a version, opened once."""
        delta = self.deltas.get((table, version))
        if delta is None or delta.version() != version:  # why: a commit takes the table that it was made with along
            delta = self.deltas[table, version] = open_version()
        return delta

    def forget(self, table: str) -> None:
        """Read the versions of a table again."""
        self.recorded.pop(table, None)
        self.newest.pop(table, None)


class LakeRecord:
    """Entries of one lake's files, written before a commit names them, and of its commits, written after."""

    def __init__(self, store: Store, lake_id: str = "") -> None:
        self._store = store
        self._lake_id = lake_id
        self._files: dict[tuple[str, str], FileEntry] = {}
        self.verified: dict[Path, Stamp] = {}
        """Files that this process wrote or has verified."""
        self._held: HeldReads | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Read versions, commits and files of tables once while the block runs, and those of `events` as ever.

        The caller keeps every other writer away; events may be stored meanwhile.
        """
        self._held = HeldReads()
        try:
            yield
        finally:
            self._held = None

    def held(self, table: str) -> HeldReads | None:
        """What was read of a table that nobody else writes now; None where others may."""
        return None if table == EVENTS.name else self._held

    def newest_version(self, table: str) -> int | None:
        """Version of a table's newest commit; None before its first."""
        held = self.held(table)
        if held is not None and table in held.recorded:
            return held.recorded[table]
        with self._store.begin() as connection:
            version = connection.scalar(NEWEST, {"lake_id": self._lake_id, "table_name": table})
        return version if held is None else held.recorded.setdefault(table, version)

    def commits(self, table: str, until: int) -> list[CommitEntry]:
        """Commits up to a version, oldest first, from the last checkpoint on."""
        values = {"lake_id": self._lake_id, "table_name": table, "until": until}
        with self._store.begin() as connection:
            return [CommitEntry(*row) for row in connection.execute(FROM_CHECKPOINT, values)]

    def add_commit(self, table: str, commit: CommitEntry) -> None:
        """Write the entry of a commit, or what its checkpoint is."""
        row = {"lake_id": self._lake_id, "table_name": table, **asdict(commit)}
        with self._store.begin() as connection:
            upsert(connection, LAKE_COMMITS, [row], update=("log_sha256", "checkpoint_sha256"))
        if held := self.held(table):
            held.forget(table)
            if commit.log_sha256:
                held.recorded[table] = held.newest[table] = commit.version
                held.commits[table, commit.version] = commit

    def delete_commits(self, table: str, before: int) -> None:
        """Delete the entries of commits before a version."""
        with self._store.begin() as connection:
            connection.execute(sa.delete(LAKE_COMMITS).where(self._commits_of(table), LAKE_COMMITS.c.version < before))
        if held := self.held(table):
            held.forget(table)

    def files(self, table: str, paths: Collection[str]) -> dict[str, FileEntry]:
        """Entries of some files; a file without one was not written by this workspace."""
        held = self.held(table)
        has_read = held is not None and table in held.entries
        if not has_read and any((table, path) not in self._files for path in paths):
            if held is not None:
                held.entries.add(table)
            self._files |= {(table, entry.path): entry for entry in self.all_files(table)}
        return {path: self._files[table, path] for path in paths if (table, path) in self._files}

    def reload(self, table: str) -> None:
        """Take the entries of a table's files from the store again."""
        self._files = {key: entry for key, entry in self._files.items() if key[0] != table}
        if held := self.held(table):
            held.entries.discard(table)

    def all_files(self, table: str) -> list[FileEntry]:
        """Entries of all files of a table."""
        file = LAKE_FILES.c
        chosen = sa.select(file.path, file.sha256, file.byte_count, file.row_count).where(self._files_of(table))
        with self._store.begin() as connection:
            return [FileEntry(*row) for row in connection.execute(chosen.order_by(file.path))]

    def add_files(self, table: str, entries: Iterable[FileEntry]) -> None:
        """Write entries of new files; the entry of a file that has one stays as it is."""
        known = list(entries)
        if known:
            with self._store.begin() as connection:
                upsert(
                    connection,
                    LAKE_FILES,
                    [{"lake_id": self._lake_id, "table_name": table, **asdict(entry)} for entry in known],
                )
        self._files |= {(table, entry.path): entry for entry in known}

    def delete_files(self, table: str, paths: Iterable[str]) -> None:
        """Delete the entries of files that are about to be deleted."""
        rows = [{"p": path} for path in paths]
        if rows:
            this = self._files_of(table) & (LAKE_FILES.c.path == sa.bindparam("p"))
            with self._store.begin() as connection:
                connection.execute(sa.delete(LAKE_FILES).where(this), rows)
        for row in rows:
            self._files.pop((table, row["p"]), None)

    def _commits_of(self, table: str) -> sa.ColumnElement[bool]:
        return (LAKE_COMMITS.c.lake_id == self._lake_id) & (LAKE_COMMITS.c.table_name == table)

    def _files_of(self, table: str) -> sa.ColumnElement[bool]:
        return (LAKE_FILES.c.lake_id == self._lake_id) & (LAKE_FILES.c.table_name == table)
