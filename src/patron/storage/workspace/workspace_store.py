"""Make, open and upgrade the store of a workspace, and compare it with what the workspace says that it is."""

import secrets
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from patron.schema.common_sentences import IS_MISSING
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.access.audit_head import BEFORE_THE_FIRST, AuditHead, AuditHeadFile
from patron.storage.durable_files import make_all_private, sync
from patron.storage.lake.lake_record import LakeRecord
from patron.storage.master_key import MasterKeyPlace, key_check
from patron.storage.models.model_registry import record_models
from patron.storage.settings import Settings, load_settings
from patron.storage.store.commit_bound import CommitBound
from patron.storage.store.embedded_store import commit_count, encrypt_store, is_plain, plain_entries, store_key
from patron.storage.store.store import AUDIT, COMMITS, WORKSPACE, Store, sqlite_url, upsert
from patron.storage.workspace.layout import (
    HASHED_LATER,
    INBOX,
    KEY_CHECK,
    LAYOUT,
    LAYOUT_VERSION,
    WORKSPACE_ID,
    known_layout,
)
from patron.storage.workspace.workspace_files import (
    COMMIT_LOCK_FILE,
    INBOX_FILE,
    RUN_LOCK_FILE,
    SETTINGS_FILE,
    STORE_BOUND_FILE,
    STORE_FILE,
)
from patron.storage.workspace.workspace_identity import (
    IDENTITY_FILE,
    RESTORE,
    UNFINISHED,
    WorkspaceIdentity,
    new_instance,
    read_identity,
    write_identity,
)
from patron.storage.workspace.workspace_lock import WorkspaceLock

WITHOUT_IDENTITY = Sentence("without_identity", "is there, but {name} is missing")
STORE_NOT_ENCRYPTED = Sentence(
    "store_not_encrypted", "is not encrypted: it is not the store that this workspace was made with"
)
STORE_OF_OLDER = Sentence(
    "store_of_older", "the store holds a workspace of an older Patron, whose lake is in another folder"
)
STORE_EMPTY = Sentence("store_empty", "is empty: it holds no workspace")
STORE_OF_OTHER = Sentence("store_of_other", "is the store of workspace {stored}, and this is {own}")
STORE_NO_WORKSPACE = Sentence("store_no_workspace", "the store holds no workspace")
NAME_STORE = Sentence("name_store", "Name the store of this workspace, or restore its newest backup.")
OPEN_OTHER_FOLDER = Sentence("open_other_folder", "Open that folder with this Patron first.")

NEW_STORE = ".store.db.new"


def store_bound(folder: Path) -> CommitBound:
    """The bound of the embedded store's commits."""
    return CommitBound(folder / STORE_BOUND_FILE)


def key_place(folder: Path, settings: Settings, workspace_id: str) -> MasterKeyPlace:
    """Where the master key of a workspace is."""
    return MasterKeyPlace(folder, workspace_id, settings.master_key_file)


def lake_id(identity: WorkspaceIdentity, settings: Settings) -> str:
    """Which of the lakes that share a store on a server is this folder's; empty where the store has one lake only."""
    return identity.instance if settings.store_url else ""


def make_store(folder: Path, settings: Settings) -> None:
    """Make the store and the key of a new workspace; what an earlier call that was cut off left is made again.

    A server's store that holds a workspace already is joined: this folder is one more machine of it.
    Raises MasterKeyError, WorkspaceError.
    """
    entries = _server_entries(settings)
    identity = read_identity(folder, UNFINISHED)
    workspace_id = entries.get(WORKSPACE_ID) or (identity.workspace_id if identity else secrets.token_hex(8))
    place = key_place(folder, settings, workspace_id)
    master = place.read() if KEY_CHECK in entries else place.read_or_create()
    instance = identity.instance if identity else new_instance()
    identity = WorkspaceIdentity(workspace_id, LAYOUT_VERSION, key_check(master, workspace_id), instance)
    if entries:
        if known_layout(entries, folder) < LAYOUT_VERSION:
            what = STORE_OF_OLDER
            raise WorkspaceError(what, where="store_url", todo=OPEN_OTHER_FOLDER)
        place.require_fit(master, entries.get(KEY_CHECK, identity.key_check))
    write_identity(folder, identity, UNFINISHED)
    if not settings.store_url:
        for path in folder.glob(f"{STORE_FILE}*"):  # why: nothing was ever kept in it
            path.unlink()
        (folder / STORE_FILE).touch(mode=0o600)
    with closing(Store(_url(folder, settings), key=store_key(master, workspace_id))) as store:
        store.upgrade()
        _write_entries(store, identity)
    if not settings.store_url:
        store_bound(folder).create(0)
    if not entries:
        AuditHeadFile(place, master, instance).write(AuditHead())


def open_store(folder: Path, settings: Settings, identity: WorkspaceIdentity, master: bytes) -> Store:
    """Open the store of a workspace as it is. Raises WorkspaceError when it is damaged or another's."""
    if not settings.store_url and is_plain(folder / STORE_FILE):
        what = STORE_NOT_ENCRYPTED
        raise WorkspaceError(what, where=str(folder / STORE_FILE), todo=RESTORE)
    bound = None if settings.store_url else store_bound(folder)
    store = Store(_url(folder, settings), key=store_key(master, identity.workspace_id), bound=bound)
    try:
        entries = read_entries(store)
        require_same_workspace(
            entries, identity, where=store.engine.url.render_as_string() if bound is None else str(store.file)
        )
        known_layout(entries, folder)
        store.require_all_commits()
    except BaseException:
        store.close()
        raise
    return store


def renew_store_bound(folder: Path) -> None:
    """Take the commits that the embedded store has as all there were. Raises as opening does."""
    identity = read_identity(folder)
    settings = load_settings(folder / SETTINGS_FILE)
    if identity is None or settings.store_url:
        return
    master = key_place(folder, settings, identity.workspace_id).read()
    path = folder / STORE_FILE
    if path.exists():
        store_bound(folder).create(commit_count(path, store_key(master, identity.workspace_id)))


def read_entries(store: Store) -> dict[str, str]:
    """The workspace's entries in a store; none in an empty one. Raises WorkspaceError when it cannot be read."""
    with store.translated_errors():
        if not sa.inspect(store.engine).has_table(WORKSPACE.name):
            return {}
        with store.begin() as connection:
            return {row.key: row.value for row in connection.execute(sa.select(WORKSPACE))}


def require_same_workspace(entries: Mapping[str, str], identity: WorkspaceIdentity, *, where: str) -> None:
    """Raise WorkspaceError unless a store's entries are this workspace's."""
    stored_id = entries.get(WORKSPACE_ID)
    if stored_id is None:
        raise WorkspaceError(STORE_EMPTY, where=where, todo=RESTORE)
    if stored_id != identity.workspace_id:
        raise WorkspaceError(
            STORE_OF_OTHER(stored=stored_id, own=identity.workspace_id),
            where=where,
            todo=NAME_STORE,
        )


def upgrade_layout(folder: Path, settings: Settings, *, wait_seconds: float) -> WorkspaceIdentity:
    """Bring a workspace of layout 1 to this one; a call that was cut off is repeated.

    Raises WorkspaceError for what cannot be upgraded, WorkspaceBusy, MasterKeyError, NoSpace.
    """
    with ExitStack() as locks:
        for name in (RUN_LOCK_FILE, COMMIT_LOCK_FILE):
            locks.enter_context(WorkspaceLock(folder / name).hold(timeout_seconds=wait_seconds))
        identity = read_identity(folder)
        if identity and identity.layout >= LAYOUT_VERSION:  # why: another process was faster
            return identity
        if identity is None or settings.store_url or is_plain(folder / STORE_FILE):
            identity = _upgrade_store(folder, settings)
        make_all_private(folder)
        done = replace(identity, layout=LAYOUT_VERSION)
        write_identity(folder, done)
        return done


def require_layout_1(folder: Path, settings: Settings) -> Mapping[str, str]:
    """Entries of a workspace without an identity; raises WorkspaceError unless it was made before there was one."""
    if not settings.store_url:
        path = folder / STORE_FILE
        if not path.exists() or not is_plain(path):
            what = WITHOUT_IDENTITY(name=IDENTITY_FILE) if path.exists() else IS_MISSING
            raise WorkspaceError(what, where=str(path), todo=RESTORE)
    entries = _server_entries(settings) if settings.store_url else plain_entries(folder / STORE_FILE)
    if WORKSPACE_ID not in entries:
        raise WorkspaceError(STORE_NO_WORKSPACE, where=str(folder), todo=RESTORE)
    if known_layout(entries, folder) >= LAYOUT_VERSION and read_identity(folder) is None:
        raise WorkspaceError(IS_MISSING, where=str(folder / IDENTITY_FILE), todo=RESTORE)
    return entries


def _upgrade_store(folder: Path, settings: Settings) -> WorkspaceIdentity:
    entries = require_layout_1(folder, settings)
    workspace_id = entries[WORKSPACE_ID]
    place = key_place(folder, settings, workspace_id)
    master = place.read() if KEY_CHECK in entries else place.read_or_create()
    earlier = read_identity(folder)
    instance = earlier.instance if earlier else new_instance()
    identity = WorkspaceIdentity(workspace_id, 1, key_check(master, workspace_id), instance)
    place.require_fit(master, entries.get(KEY_CHECK, identity.key_check))
    write_identity(folder, identity)  # why: before the store is replaced; after it nothing else says whose it is
    fresh = folder / NEW_STORE
    key = store_key(master, workspace_id)
    if not settings.store_url:
        encrypt_store(folder / STORE_FILE, fresh, key)
    with closing(Store(settings.store_url or sqlite_url(fresh), key=key)) as store:
        store.upgrade()
        _record_hashes(folder, settings, identity, store)
        _write_entries(store, identity)
        AuditHeadFile(place, master, instance).write(_head_of_layout_1(store))
        if (folder / INBOX_FILE).exists():
            with store.begin() as connection:
                upsert(connection, WORKSPACE, [{"key": INBOX, "value": ""}])
    if not settings.store_url:
        store_bound(folder).create(0)
        sync(fresh)
        fresh.replace(folder / STORE_FILE)
        sync(folder)
    return identity


def _record_hashes(folder: Path, settings: Settings, identity: WorkspaceIdentity, store: Store) -> None:
    """Take the lake and the models of layout 1, which kept no hashes, as they are; may be repeated."""
    # why here: once in the life of a workspace that an old Patron made, and every command opens one
    from patron.storage.lake.lake_verification import record_lake  # noqa: PLC0415

    record_lake(folder / "lake", LakeRecord(store, lake_id(identity, settings)))
    record_models(folder / "models", store)
    with store.begin() as connection:
        upsert(connection, WORKSPACE, [{"key": HASHED_LATER, "value": "at the upgrade to layout 2"}])


def _write_entries(store: Store, identity: WorkspaceIdentity) -> None:
    entries = {WORKSPACE_ID: identity.workspace_id, LAYOUT: str(LAYOUT_VERSION), KEY_CHECK: identity.key_check}
    with store.begin() as connection:
        rows = [{"key": key, "value": value} for key, value in entries.items()]
        upsert(connection, WORKSPACE, rows, update=("value",))
        upsert(connection, WORKSPACE, [{"key": COMMITS, "value": "0"}])


def _head_of_layout_1(store: Store) -> AuditHead:
    newest = sa.select(AUDIT.c.entry, AUDIT.c.hash).order_by(AUDIT.c.entry.desc()).limit(1)
    with store.begin() as connection:
        number, entry_hash = connection.execute(newest).first() or (0, BEFORE_THE_FIRST)
    return AuditHead(number, entry_hash, keyed_from=number + 1)


def _server_entries(settings: Settings) -> dict[str, str]:
    """The workspace's entries in a store on a server; none in an empty one, or in a file."""
    if not settings.store_url:
        return {}
    with closing(Store(settings.store_url)) as store:
        return read_entries(store)


def _url(folder: Path, settings: Settings) -> str:
    return settings.store_url or sqlite_url(folder / STORE_FILE)
