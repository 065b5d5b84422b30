"""Whether a table of the lake is as the store says that it was written: every read and every write asks here first.

A commit is recorded after it is durable, so that a process that was killed in between leaves the lake one commit ahead
of the store. That commit counts when it is whole and names known files only; a torn one does not, and goes.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from patron.schema.common_sentences import IS_MISSING, RUN_FIRST
from patron.schema.errors import LakeDamaged, VersionGone, WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.table_definition import Table
from patron.schema.tables import EVENTS, TABLES
from patron.storage.durable_files import sha256_of, sync
from patron.storage.lake.lake_log import LOG, checkpoint_path, log_path, read_actions, sync_commit
from patron.storage.lake.lake_record import CommitEntry, FileEntry, LakeRecord, Stamp
from patron.storage.workspace.workspace_identity import RESTORE

RUN_HINT = Sentence(
    "lake_run_hint",
    "Run the last run again, which writes this table anew; or restore the newest backup: `patron restore`.",
)
FOREIGN = Sentence("file_foreign", "was not written by this workspace")
GONE = Sentence("file_deleted", "was deleted")
BYTES_DIFFER = Sentence("bytes_differ", "has {actual:,} bytes instead of {expected:,}")
FILE_CHANGED = Sentence("file_changed", "has changed since it was written")
NOTHING_READ = Sentence("nothing_read", "{problem}; nothing is read from {name}")
NOTHING_READ_OF = Sentence("nothing_read_of", "{problem}, one of {count} damaged files; nothing is read from {name}")
LOG_ENDS = Sentence("log_ends", "the log of {name} ends before version {version}, which this workspace has written")
COMMITS_UNKNOWN = Sentence(
    "commits_unknown", "{name} has commits that the store does not know: one of them is not its own"
)
FILES_FOREIGN = Sentence("files_foreign", "version {version} of {name} names files that this workspace did not write")
VERSION_GONE = Sentence("version_gone", "version {version} of {name} cannot be read any more")
NEWER_VERSION = Sentence("newer_version", "Read a newer version.")
IMPORT_EVENTS = Sentence("import_events", "Import a file: `patron import FILE`.")
TABLE_NO_ROWS = Sentence("table_no_rows", "has no rows yet")
AHEAD = 2
"""Commits without an entry that are looked for: one may have been cut off, two cannot."""
THREADS = 4


class LakeVerifier:
    """Compares tables with their entries in the store; a file is read once a process, and again when it changes."""

    def __init__(self, folder: Path, record: LakeRecord) -> None:
        self._folder = folder
        self._record = record

    def newest_version(self, table: Table) -> int | None:
        """Newest version of a table; None before its first. Raises LakeDamaged when commits are missing or foreign."""
        held = self._record.held(table.name)
        if held is not None and table.name in held.newest:
            return held.newest[table.name]
        recorded = self._record.newest_version(table.name)
        while True:
            try:
                newest = self._newest(table, recorded)
                return newest if held is None else held.newest.setdefault(table.name, newest)
            except LakeDamaged:
                before, recorded = recorded, self._record.newest_version(table.name)
                if recorded == before:
                    raise
                # why: another process has committed or erased meanwhile; it is compared again

    def verified_commit(self, table: Table, version: int | None = None) -> CommitEntry | None:
        """Verify the log of a version, by default the newest, and return its commit; None before a table's first.

        A commit that the store does not know yet has "" for a hash. Raises LakeDamaged, and WorkspaceError for a
        version that is gone.
        """
        while True:
            newest = self.newest_version(table)
            if newest is None:
                return None
            if version is not None and version > newest:
                raise _gone(table, version, self._folder)
            number = newest if version is None else version
            held = self._record.held(table.name)
            if held is not None and (table.name, number) in held.commits:
                return held.commits[table.name, number]
            try:
                commit = self._verify_log(table, number, newest)
            except LakeDamaged:
                if newest == self.newest_version(table):
                    raise
            else:
                if held is not None and commit.log_sha256:
                    held.commits[table.name, number] = commit
                return commit

    def verified_version(self, table: Table, version: int | None = None) -> int:
        """Verify the log of a version, by default the newest, and return its number.

        Raises LakeDamaged, and WorkspaceError for a version that is gone or a table without any.
        """
        commit = self.verified_commit(table, version)
        if commit is None:
            raise _gone(table, version, self._folder)
        return commit.version

    def adopt_newest(self, table: Table) -> None:
        """Write the entry that a process that was killed did not write, or delete its torn commit. For writers."""
        held = self._record.held(table.name)
        if held is not None and self._next_log(table).exists():
            held.forget(table.name)  # why: it may be whole, or somebody else's; then it must not go as a torn one
        recorded, newest = self._record.newest_version(table.name), self.newest_version(table)
        torn = self._next_log(table)
        if newest != recorded:
            sync_commit(self._folder / table.name)
            self.record_commit(table, -1 if newest is None else newest)
        elif torn.exists():
            torn.unlink()
            sync(torn.parent)

    def record_commit(self, table: Table, version: int) -> None:
        """Write the entry of a durable commit and of its checkpoint."""
        log, checkpoint = self._log(table, version), self._checkpoint(table, version)
        of_log = self._trusted_digest(log) if log.exists() else ""
        of_checkpoint = self._trusted_digest(checkpoint) if checkpoint.exists() else None
        self._record.add_commit(table.name, CommitEntry(version, of_log, of_checkpoint))

    def record_files(self, table: Table, row_counts: Mapping[str, int]) -> None:
        """Write entries of durable files before a commit names them."""
        folder = self._folder / table.name
        new = sorted(row_counts.keys() - self._record.files(table.name, row_counts.keys()).keys())
        digests = _map(self._trusted_digest, [folder / path for path in new])
        entries = [
            FileEntry(path, sha256, (folder / path).stat().st_size, row_counts[path])
            for path, sha256 in zip(new, digests, strict=True)
        ]
        self._record.add_files(table.name, entries)

    def verify_files(self, table: Table, paths: Iterable[str | Path], version: int | None = None) -> None:
        """Verify files of a table. Raises LakeDamaged that names the first damaged one.

        Files of an older `version` may have been deleted on purpose since. Raises WorkspaceError then.
        """
        held = self._record.held(table.name)
        if held is not None:
            paths = [path for path in paths if not _is_unchanged(str(path), held.files)]
        damaged = self.damaged_files(table, paths)
        if held is not None and not damaged:
            known = self._record.verified
            held.files |= {str(p): known[path] for p in paths if (path := self._folder / table.name / p) in known}
        is_gone = {GONE} == set(damaged.values())
        if is_gone and version is not None and version != self.newest_version(table):
            raise _gone(table, version, self._folder)
        for path, problem in damaged.items():
            what = NOTHING_READ(problem=problem, name=table.name)
            if len(damaged) > 1:
                what = NOTHING_READ_OF(problem=problem, count=len(damaged), name=table.name)
            raise LakeDamaged(what, where=str(self._folder / table.name / path), todo=files_remedy(table))

    def damaged_files(self, table: Table, paths: Iterable[str | Path]) -> dict[str, str]:
        """Files of a table that are missing or not as they were written, each with what is wrong with it."""
        folder = self._folder / table.name
        names = [os.path.relpath(path, folder) if Path(path).is_absolute() else str(path) for path in paths]
        damaged = self._compared(table, names)
        if damaged:  # why: another process may have erased or vacuumed files whose entries are cached here
            self._record.reload(table.name)
            damaged = self._compared(table, names)
        return damaged

    def _compared(self, table: Table, names: Sequence[str]) -> dict[str, str]:
        folder = self._folder / table.name
        entries = self._record.files(table.name, names)
        foreign = {name for name in names if name not in entries}
        problems = {name: FOREIGN if (folder / name).exists() else GONE for name in foreign}
        # why: mostly all are verified already, and threads to hash the others take longer to start than to ask that
        known = [entry for entry in entries.values() if not self._is_verified(folder / entry.path, entry.byte_count)]
        checked = _map(lambda one: self._problem(folder / one.path, one.sha256, one.byte_count), known)
        return problems | {one.path: what for one, what in zip(known, checked, strict=True) if what}

    def _newest(self, table: Table, recorded: int | None) -> int | None:
        first, has_log = 0 if recorded is None else recorded + 1, recorded is None and self._has_log(table)
        ahead = [number for number in range(first, first + AHEAD) if self._log(table, number).exists()]
        is_there = recorded is not None and (
            self._log(table, recorded).exists() or self._checkpoint(table, recorded).exists()
        )
        if recorded is not None and not is_there:
            raise self._damaged(table, LOG_ENDS(name=table.name, version=recorded))
        if ahead not in ([], [first]) or (not ahead and has_log):
            raise self._damaged(table, COMMITS_UNKNOWN(name=table.name))
        if not ahead or not self._is_whole(table, first):
            return recorded
        return first

    def _verify_log(self, table: Table, version: int, newest: int) -> CommitEntry:
        """Verify the checkpoint and the commits after it that a version is made of; return its own."""
        commits = self._record.commits(table.name, version)
        last = commits[-1] if commits and commits[-1].version == version else None
        if version != newest and last is None:
            raise _gone(table, version, self._folder)
        files: list[tuple[Path, str]] = []
        if commits and commits[0].checkpoint_sha256:
            files = [(self._checkpoint(table, commits[0].version), commits[0].checkpoint_sha256)]
            commits = commits[1:]
        files += [(self._log(table, commit.version), commit.log_sha256) for commit in commits]
        for path, sha256 in files:
            problem = self._problem(path, sha256)
            if problem and version != newest and not path.exists():
                raise _gone(table, version, self._folder)
            if problem:
                what = NOTHING_READ(problem=problem, name=table.name)
                raise LakeDamaged(what, where=str(path), todo=RESTORE)
        return last or CommitEntry(version, log_sha256="")

    def _is_whole(self, table: Table, version: int) -> bool:
        """Whether a commit without an entry can be read; False for a torn one. Raises LakeDamaged for a foreign one."""
        try:
            actions = read_actions(self._log(table, version))
        except (ValueError, TypeError, FileNotFoundError):
            return False
        added = {unquote(action["add"]["path"]) for action in actions if "add" in action}
        if not added <= self._record.files(table.name, added).keys():
            raise self._damaged(table, FILES_FOREIGN(version=version, name=table.name))
        return bool(actions)

    def _problem(self, path: Path, sha256: str, byte_count: int | None = None) -> str:
        """What is wrong with a file, or nothing."""
        try:
            stamp = _stamp(path)
            if byte_count is not None and stamp[0] != byte_count:
                return BYTES_DIFFER(actual=stamp[0], expected=byte_count)
            if self._record.verified.get(path) != stamp:
                if sha256_of(path) != sha256:
                    return FILE_CHANGED
                self._record.verified[path] = stamp
        except FileNotFoundError:
            return IS_MISSING
        return ""

    def _is_verified(self, path: Path, byte_count: int) -> bool:
        """Whether a file is as it was when its hash was last compared."""
        try:
            stamp = _stamp(path)
        except FileNotFoundError:
            return False
        return stamp[0] == byte_count and self._record.verified.get(path) == stamp

    def _trusted_digest(self, path: Path) -> str:
        """SHA-256 of a file that this process has just written."""
        stamp = _stamp(path)
        digest = sha256_of(path)
        self._record.verified[path] = stamp
        return digest

    def _has_log(self, table: Table) -> bool:
        log = self._folder / table.name / LOG  # why: a process that was killed may have left NUMBER.json#1 there
        return any(log.glob("[0-9]*.json")) or any(log.glob("[0-9]*.parquet"))

    def _next_log(self, table: Table) -> Path:
        """Path of the log file that the table's next commit will write."""
        newest = self.newest_version(table)
        return self._log(table, 0 if newest is None else newest + 1)

    def _log(self, table: Table, version: int) -> Path:
        return log_path(self._folder / table.name, version)

    def _checkpoint(self, table: Table, version: int) -> Path:
        return checkpoint_path(self._folder / table.name, version)

    def _damaged(self, table: Table, what: str) -> LakeDamaged:
        return LakeDamaged(what, where=str(self._folder / table.name), todo=RESTORE)


def files_remedy(table: Table) -> str:
    """What to do about damaged files of a table: one that runs replace whole can be written again."""
    return RUN_HINT if table.partition_by is None and table is not EVENTS else RESTORE


def record_lake(folder: Path, record: LakeRecord) -> None:
    """Take the lake of a workspace that has no entries yet as it is; may be repeated."""
    verifier = LakeVerifier(folder, record)
    for table in TABLES:
        place = folder / table.name
        versions = {path.name.partition(".")[0] for path in (place / LOG).glob("[0-9]*")}
        row_counts: dict[str, int] = {}
        for path in place.rglob("*.parquet"):
            if path.parent != place / LOG and (row_count := _row_count(path)) is not None:
                row_counts[str(path.relative_to(place))] = row_count
        verifier.record_files(table, row_counts)
        for version in sorted(int(name) for name in versions if name.isdecimal()):
            verifier.record_commit(table, version)


def _row_count(path: Path) -> int | None:
    """Rows of a Parquet file; None for one that cannot be read, which is damaged already."""
    try:
        return pq.read_metadata(path).num_rows
    except (OSError, ValueError):
        return None


def _gone(table: Table, version: int | None, folder: Path) -> WorkspaceError:
    where = str(folder / table.name)
    if version is None:
        return WorkspaceError(TABLE_NO_ROWS, where=where, todo=IMPORT_EVENTS if table == EVENTS else RUN_FIRST)
    return VersionGone(VERSION_GONE(version=version, name=table.name), where=where, todo=NEWER_VERSION)


def _stamp(path: Path | str) -> Stamp:
    stat = os.stat(path)  # noqa: PTH116 - of thousands of names in a run, which take longer to become paths
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _is_unchanged(path: str, stamps: Mapping[str, Stamp]) -> bool:
    """Whether a file has the stamp that it had; one without any is not known."""
    try:
        return path in stamps and _stamp(path) == stamps[path]
    except FileNotFoundError:
        return False


def _map(function: Callable[[Any], str], items: Sequence[Any]) -> list[str]:
    """Results in order, of several files at once: hashing lets go of the interpreter."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(THREADS, "hash") as pool:
        return list(pool.map(function, items))
