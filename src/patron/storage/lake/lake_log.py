"""The log of a Delta table: where its commits and checkpoints are, and what a commit says."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from patron.schema.common_sentences import DISK_FULL, FREE_AND_RUN_AGAIN, RUN_DOCTOR
from patron.schema.errors import NoSpace, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.durable_files import disk_errors, is_disk_full, make_private, sync
from patron.storage.lake.lake_record import CommitEntry

VERSION_UNREADABLE = Sentence("version_unreadable", "version {version} of {name} cannot be read")
NOT_WRITABLE = Sentence("not_writable", "cannot be written")

LOG = "_delta_log"


def log_path(folder: Path, version: int) -> Path:
    """Log file of a commit."""
    return folder.joinpath(LOG, f"{version:020}.json")


def checkpoint_path(folder: Path, version: int) -> Path:
    """Checkpoint of a version; few have one."""
    return folder.joinpath(LOG, f"{version:020}.checkpoint.parquet")


def read_actions(log: Path) -> list[dict[str, Any]]:
    """Actions of a commit. Raises ValueError, TypeError for a torn one."""
    return [dict(json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


def sync_commit(folder: Path) -> int:
    """Make the newest commit of a table durable, its checkpoint too, and return its version."""
    log = folder / LOG
    newest = max(log.glob("*.json"))
    for path in (log, *log.glob("*checkpoint*")):  # why: delta-rs writes them by the process's umask
        make_private(path)
    for path in (*log.glob(f"{newest.stem}*"), log, folder, folder.parent):
        sync(path)
    return int(newest.stem)


def paths_added(folder: Path, since: int, until: int) -> list[Path] | None:
    """Files of the rows that commits added; None when one removed rows, or its log is gone."""
    paths: list[Path] = []
    for version in range(since + 1, until + 1):
        log = log_path(folder, version)
        if not log.exists():
            return None
        for action in read_actions(log):
            if action.get("remove", {}).get("dataChange"):
                return None
            if action.get("add", {}).get("dataChange"):
                paths.append(folder / unquote(action["add"]["path"]))
    return paths


@contextmanager
def table_errors(folder: Path) -> Iterator[None]:
    """Raise NoSpace for a full disk, whichever library met it; WorkspaceError for a table that cannot be written."""
    try:
        with disk_errors(folder):
            yield
    except DeltaError as error:
        if is_disk_full(error):
            raise NoSpace(DISK_FULL, where=str(folder), todo=FREE_AND_RUN_AGAIN) from error
        raise WorkspaceError(NOT_WRITABLE, where=str(folder), todo=RUN_DOCTOR) from error


def open_version(folder: Path, version: int) -> DeltaTable:
    """Open a version of a table. Raises WorkspaceError when it is gone."""
    try:
        return DeltaTable(str(folder), version=version)
    except DeltaError as error:
        what = VERSION_UNREADABLE(version=version, name=folder.name)
        raise WorkspaceError(what, where=str(folder), todo=RUN_DOCTOR) from error


def paths_of(folder: Path, delta: DeltaTable) -> list[Path]:
    """Files of a version. Delta's own URIs escape some of a folder's letters, as of one with a blank in its name."""
    return [folder / unquote(path) for path in pa.table(delta.get_add_actions())["path"].to_pylist()]


def files_of(folder: Path, commit: CommitEntry) -> Sequence[str]:
    """Files of a verified commit; the list of one without a hash is not kept, as it may be torn."""
    return _kept_files_of(folder, commit) if commit.log_sha256 else _files_of(folder, commit)


def _files_of(folder: Path, commit: CommitEntry) -> Sequence[str]:
    return tuple(sorted(str(path) for path in paths_of(folder, open_version(folder, commit.version))))


_kept_files_of = lru_cache(maxsize=256)(_files_of)
