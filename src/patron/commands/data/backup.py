"""Back up and restore a workspace: one archive, consistent across its stores, without the master key."""

import json
import os
import shutil
import tarfile
import tempfile
import zlib
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from patron import __version__
from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.inbox_sqlite import copy_inbox
from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NOT_A_FILE, OTHER_FILE, OTHER_FOLDER
from patron.schema.errors import PatronError, WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.tables import BY_NAME, TABLES
from patron.storage.durable_files import (
    PRIVATE_FILE,
    disk_errors,
    is_disk_full,
    make_all_private,
    make_durable,
    make_private_folder,
    replace_durably,
    sha256_of,
    sync,
)
from patron.storage.insight.digests import newest_run, settle_digests
from patron.storage.models import model_registry
from patron.storage.outreach.sending_hold import SendingHold, write_hold
from patron.storage.shop import Shop
from patron.storage.store.commit_bound import CommitBound
from patron.storage.store.embedded_store import commit_count, copy_store, store_key
from patron.storage.workspace.run_files import drop_outbox_files
from patron.storage.workspace.workspace_files import (
    DATA_FOLDERS,
    IMAGE_VECTORS_FILE,
    INBOX_BOUND_FILE,
    INBOX_FILE,
    MAPPINGS_FOLDER,
    OFFER_RULES_FILE,
    POLICY_FILE,
    PRODUCT_EDGES_FILE,
    SCRATCH_FOLDER,
    SETTINGS_FILE,
    STORE_BOUND_FILE,
    STORE_FILE,
    TRACKING_FOLDER,
)
from patron.storage.workspace.workspace_identity import IDENTITY_FILE, new_instance, read_identity, write_identity

ARCHIVE_EXISTS = Sentence("archive_exists", "the archive exists already")
STORE_IS_SERVER = Sentence("store_is_server", "the store is on a database server")
FOLDER_NOT_EMPTY = Sentence("folder_not_empty", "the folder is not empty")
BACKUP_DAMAGED = Sentence("backup_damaged", "{count} files are damaged, such as {name}")
BACKUP_WITH_PG_DUMP = Sentence(
    "backup_with_pg_dump", "Stop every process, copy this folder, and back the store up with pg_dump."
)
ARCHIVE_UNREADABLE = Sentence("archive_unreadable", "the archive cannot be read ({cause})")
PUT_FILE_THERE = Sentence("put_file_there", "Put the file itself there, or remove what is there.")
NOT_A_BACKUP = Sentence("not_a_backup", "is not a Patron backup")
OTHER_BACKUP = Sentence("other_backup", "Use another backup.")
NAME_BACKUP = Sentence("name_backup", "Name a file written by `patron backup`.")

MANIFEST = "patron-backup.json"
FOLDERS = ("models", TRACKING_FOLDER, MAPPINGS_FOLDER)
PLAIN = (
    *(IDENTITY_FILE, SETTINGS_FILE, POLICY_FILE, OFFER_RULES_FILE, PRODUCT_EDGES_FILE, IMAGE_VECTORS_FILE),
    *FOLDERS,
)
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
        raise WorkspaceError(ARCHIVE_EXISTS, where=str(path), todo=OTHER_FILE)
    if shop.store.engine.dialect.name != "sqlite":
        raise WorkspaceError(
            STORE_IS_SERVER,
            where="store_url",
            todo=BACKUP_WITH_PG_DUMP,
        )
    partial = path.with_name(path.name + ".partial")
    with shop.lock(), disk_errors(path):
        try:
            drain_inbox(shop)
            partial.touch(mode=PRIVATE_FILE)
            with (
                tempfile.TemporaryDirectory(dir=shop.folder / "tmp") as scratch,
                tarfile.open(partial, "w:gz", dereference=True) as tar,
            ):
                written = _fill(shop, tar, Path(scratch), path)
            replace_durably(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return written


def _fill(shop: Shop, tar: tarfile.TarFile, scratch: Path, path: Path) -> Backup:
    _require_sound(shop)
    tables = [shop.lake.path(table) for table in sorted(TABLES, key=lambda one: one.name) if shop.lake.exists(table)]
    manifest = {"patron": __version__, "workspace_id": shop.workspace_id, "tables": {}, "sha256": {}}
    files: list[Path] = []
    for table in tables:
        manifest["tables"][table.name] = shop.lake.version(BY_NAME[table.name])
        # The whole table goes in, older versions too: the last finished run may be pinned to one of them.
        files += sorted(p for p in table.rglob("*") if p.is_file())
    for name in PLAIN:
        place = shop.folder / name
        if name in FOLDERS:
            files += sorted(p for p in place.rglob("*") if p.is_file())
        elif place.is_file():
            files.append(place)
        elif os.path.lexists(place):
            raise WorkspaceError(NOT_A_FILE, where=str(place), todo=PUT_FILE_THERE)
    # why: the store first; profiles in it may be behind the requests of the inbox, never ahead of them
    named = {name: scratch / name for name in copy_databases(shop, scratch)}
    named |= {str(file.relative_to(shop.folder)): file for file in files}
    for name, file in named.items():
        tar.add(file, name)
        manifest["sha256"][name] = sha256_of(file)
    (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1))
    tar.add(scratch / MANIFEST, MANIFEST)
    total = sum(file.stat().st_size for file in named.values())
    return Backup(path, len(tables), len(named) + 1, total)


def _require_sound(shop: Shop) -> None:
    """Verify the lake and the models: what is damaged must not become the newest backup. Raises LakeDamaged."""
    last = shop.snapshot()
    pinned = last.pinned if last else {}
    for table in TABLES:
        for version in {None, pinned.get(table.name)}:
            shop.lake.files(table, version)
    for version in model_registry.model_versions(shop.store):
        model_registry.require_sound(shop.folder / "models", shop.store, version)


def copy_databases(shop: Shop, scratch: Path) -> list[str]:
    """Copy the store, encrypted as it is, and the inbox, each as one transaction sees it, with their bounds."""
    key = store_key(shop.master_key(), shop.workspace_id)
    began = scratch.stat()
    copy_store(shop.folder / STORE_FILE, scratch / STORE_FILE, key)
    CommitBound(scratch / STORE_BOUND_FILE).create(commit_count(scratch / STORE_FILE, key))
    # why: what is committed while it is copied is not in it
    os.utime(scratch / STORE_FILE, ns=(began.st_atime_ns, began.st_mtime_ns))
    if not (shop.folder / INBOX_FILE).exists():
        return [STORE_FILE, STORE_BOUND_FILE]
    copy_inbox(shop.folder / INBOX_FILE, scratch / INBOX_FILE)
    return [STORE_FILE, STORE_BOUND_FILE, INBOX_FILE, INBOX_BOUND_FILE]


def restore(path: Path, folder: Path, *, now: datetime) -> Backup:
    """Make a workspace from an archive; its master key must be in its place, and its audit log records the restore.

    It sends nothing before a person says what was sent since the backup.
    Raises WorkspaceError when the folder is in use or the archive is damaged, MasterKeyError, NoSpace; then nothing of
    the workspace is left.
    """
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise WorkspaceError(FOLDER_NOT_EMPTY, where=str(folder), todo=OTHER_FOLDER)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # what an earlier restore that was cut off left
    try:
        with disk_errors(folder):
            _unpack(path, partial)
            table_count, written_at = _verify(path, partial)
            _complete(partial, min(written_at, now), now)
            files = [p for p in partial.rglob("*") if p.is_file()]
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    Shop.open(folder).close()
    return Backup(path, table_count, len(files), sum((folder / p.relative_to(partial)).stat().st_size for p in files))


def _unpack(path: Path, partial: Path) -> None:
    make_private_folder(partial)
    try:
        with tarfile.open(path, "r:gz") as tar:
            tar.extractall(partial, filter="data")
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        if is_disk_full(error):
            raise
        raise WorkspaceError(ARCHIVE_UNREADABLE(cause=error), where=str(path), todo=OTHER_BACKUP) from error


def _verify(path: Path, partial: Path) -> tuple[int, datetime]:
    """Compare what was unpacked with the archive's list, file by file; return how many tables it holds, and when."""
    try:
        manifest = json.loads((partial / MANIFEST).read_text())
        digests, table_count = dict(manifest["sha256"]), len(manifest["tables"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PatronError(NOT_A_BACKUP, where=str(path), todo=NAME_BACKUP) from error
    # why the store's own time: archives of every version have it, and what is sent while the lake is packed is later
    written_at = _written_at(partial / STORE_FILE)
    (partial / MANIFEST).unlink()
    unpacked = {str(p.relative_to(partial)) for p in partial.rglob("*") if not p.is_dir()}
    damaged = [
        name
        for name in sorted(unpacked | digests.keys())
        if name not in unpacked or sha256_of(partial / name) != digests.get(name)
    ]
    if damaged:
        raise WorkspaceError(BACKUP_DAMAGED(count=len(damaged), name=damaged[0]), where=str(path), todo=OTHER_BACKUP)
    return table_count, written_at


def _written_at(store: Path) -> datetime:
    """When a store was copied; the earliest time for an archive without one, which names it as missing."""
    return datetime.fromtimestamp(store.stat().st_mtime if store.exists() else 0, UTC)


def _complete(partial: Path, since: datetime, now: datetime) -> None:
    """Make what was unpacked a workspace of its own that opens, sends nothing yet, and is durable."""
    for name in (*DATA_FOLDERS, SCRATCH_FOLDER):  # why: an archive holds no empty folders
        (partial / name).mkdir(exist_ok=True)
    make_all_private(partial)
    identity = read_identity(partial)
    if identity is not None:  # why: a backup of an older Patron has none, and is upgraded when it is opened
        write_identity(partial, replace(identity, instance=new_instance()))
    with closing(Shop.open(partial)) as shop:
        _require_sound(shop)
        with shop.store.begin() as connection:  # in a restored workspace there are none, as no archive holds them
            drop_outbox_files(connection)
            settle_digests(connection, newest_run(shop.store))
            write_hold(connection, SendingHold(since, now, is_restored=True))
        audit_log.renew_head(shop)
        with shop.store.begin() as connection:
            audit_log.append(shop, connection, AuditAction.RESTORED, {"instance": shop.identity.instance}, at=now)
    make_durable(partial)
