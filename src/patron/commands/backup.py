"""Back up and restore a workspace: one archive, consistent across its stores, without the master key."""

import hashlib
import json
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from patron import __version__
from patron.collect.workspace_inbox import INBOX_FILE
from patron.run import drain_inbox
from patron.schema.errors import PatronError, WorkspaceError
from patron.storage.durable_files import disk_errors, make_durable, make_private_folder, replace_durably, sync
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop

MANIFEST = "patron-backup.json"
PRIVATE_FILE = 0o600
PLAIN = (SETTINGS_FILE, POLICY_FILE, "models")
"""The outbox stays out: it holds ids in clear, and running its run again writes it again."""


@dataclass(frozen=True)
class Backup:
    """What went into or came out of an archive."""

    path: Path
    table_count: int
    file_count: int
    byte_count: int


def backup(shop: Shop, path: Path) -> Backup:
    """Write one archive of the workspace while nobody else changes it. The master key is not in it.

    What was acknowledged is in it: the inbox is emptied into the lake, and goes in too.

    Raises WorkspaceError when the archive exists or the store is not SQLite, WorkspaceBusy, InboxDamaged, NoSpace.
    """
    if path.exists():
        raise WorkspaceError("the archive exists already", where=str(path), todo="Name another file.")
    if shop.store.engine.dialect.name != "sqlite":
        raise WorkspaceError(
            "the store is a server", where="store_url", todo="Back it up with pg_dump at the time of this backup."
        )
    partial = path.with_name(path.name + ".partial")
    with shop.lock(), disk_errors(path):
        try:
            drain_inbox(shop)
            partial.touch(mode=PRIVATE_FILE)
            with tempfile.TemporaryDirectory(dir=shop.folder / "tmp") as scratch, tarfile.open(partial, "w:gz") as tar:
                written = _fill(shop, tar, Path(scratch), path)
            replace_durably(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return written


def _fill(shop: Shop, tar: tarfile.TarFile, scratch: Path, path: Path) -> Backup:
    tables = sorted(p for p in shop.lake.folder.glob("*") if DeltaTable.is_deltatable(str(p)))
    manifest = {"patron": __version__, "workspace_id": shop.workspace_id, "tables": {}, "sha256": {}}
    files: list[Path] = []
    for table in tables:
        delta = DeltaTable(str(table))
        manifest["tables"][table.name] = delta.version()
        # The whole table goes in, older versions too: the last finished run may be pinned to one of them.
        files += sorted(p for p in table.rglob("*") if p.is_file())
    for name in PLAIN:
        place = shop.folder / name
        files += sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    # why: the store first; profiles in it may be behind the requests of the inbox, never ahead of them
    copies = [name for name in ("store.db", INBOX_FILE) if (shop.folder / name).exists()]
    for name in copies:
        _copy_sqlite(shop.folder / name, scratch / name)
    named = {name: scratch / name for name in copies}
    named |= {str(file.relative_to(shop.folder)): file for file in files}
    for name, file in named.items():
        tar.add(file, name)
        manifest["sha256"][name] = _digest(file)
    (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1))
    tar.add(scratch / MANIFEST, MANIFEST)
    total = sum(file.stat().st_size for file in named.values())
    return Backup(path, len(tables), len(named) + 1, total)


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a live SQLite file as one transaction sees it."""
    target.touch(mode=PRIVATE_FILE)
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)
    one.close()
    other.close()


def restore(path: Path, folder: Path) -> Backup:
    """Make a workspace from an archive. Raises WorkspaceError when the folder is in use or the archive is damaged."""
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise WorkspaceError("the folder is not empty", where=str(folder), todo="Name a new one.")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # what an earlier restore that was cut off left
    try:
        with disk_errors(folder), tarfile.open(path, "r:gz") as tar:
            make_private_folder(partial)
            tar.extractall(partial, filter="data")
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise WorkspaceError(
            f"the archive cannot be read ({error})", where=str(path), todo="Use another backup."
        ) from error
    try:
        return _verify(path, partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _verify(path: Path, partial: Path, folder: Path) -> Backup:
    try:
        manifest = json.loads((partial / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise PatronError(
            "is not a Patron backup", where=str(path), todo="Name a file written by `patron backup`."
        ) from error
    whole = manifest["sha256"]
    damaged = [
        name for name, digest in whole.items() if not (partial / name).is_file() or _digest(partial / name) != digest
    ]
    if damaged:
        raise WorkspaceError(
            f"{len(damaged)} files are damaged, such as {damaged[0]}", where=str(path), todo="Use another backup."
        )
    (partial / MANIFEST).unlink()
    if folder.exists():
        folder.rmdir()
    make_durable(partial)
    partial.rename(folder)
    sync(folder.parent)
    Shop.open(folder).close()
    files = [p for p in folder.rglob("*") if p.is_file()]
    return Backup(path, len(manifest["tables"]), len(files), sum(p.stat().st_size for p in files))
