"""The shop: settings, policy, lake and store of one workspace, and the snapshots that readers get of it."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import sqlalchemy as sa

from patron.schema.common_sentences import IS_MISSING
from patron.schema.errors import OlderWorkspace, WorkspaceBusy, WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.spelling import both
from patron.schema.tables import BY_NAME, EVENTS
from patron.storage.access.audit_head import AuditHeadFile
from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.lake.lake_record import LakeRecord
from patron.storage.models.model_decisions import active_pins
from patron.storage.offers.deliveries import read_deliveries
from patron.storage.offers.policy import Consent, Policy
from patron.storage.runs.pinned_tables import TableCopies
from patron.storage.runs.runs import CompletedRun, FactsOrigin, Run, run_of
from patron.storage.runs.snapshot import Snapshot
from patron.storage.settings import Settings, load_settings
from patron.storage.store.store import RUNS, Store
from patron.storage.workspace.layout import LAYOUT_VERSION
from patron.storage.workspace.workspace_currency import fix_currency, require_same_currency
from patron.storage.workspace.workspace_files import (
    COMMIT_LOCK_FILE,
    DATA_FOLDERS,
    INBOX_FILE,
    OFFER_RULES_FILE,
    POLICY_FILE,
    PREVIEW_PREFIX,
    RUN_LOCK_FILE,
    SCRATCH_FOLDER,
    SETTINGS_FILE,
    STORE_FILE,
    require_parts,
    require_usable_path,
)
from patron.storage.workspace.workspace_identity import (
    IDENTITY_FILE,
    RESTORE,
    UNFINISHED,
    WorkspaceIdentity,
    finish_identity,
    read_identity,
)
from patron.storage.workspace.workspace_lock import WorkspaceLock
from patron.storage.workspace.workspace_store import (
    key_place,
    lake_id,
    make_store,
    open_store,
    require_layout_1,
    upgrade_layout,
)

if TYPE_CHECKING:
    from patron.segments.segment_rules import Rule
    from patron.storage.duck_engine import DuckEngine
    from patron.storage.lake.lake import Lake
    from patron.storage.runs.stage_view import StageView

WORKSPACE_REMAINS = Sentence("workspace_remains", "holds what is left of a workspace ({names})")
OR_OTHER_FOLDER = Sentence("or_other_folder", "Or choose another folder.")
WORKSPACE_ALREADY = Sentence("workspace_already", "is a workspace already")
RESTORE_SETTINGS = Sentence(
    "restore_settings", "Restore it from the newest backup, or copy that of a new workspace and set it again."
)
MAKING_CUT_OFF = Sentence("making_cut_off", "is a workspace whose creation was interrupted")
WORKSPACE_PARTS_MISSING = Sentence(
    "workspace_parts_missing", "holds {parts}, but {identity} and {settings} are missing"
)
NOT_A_WORKSPACE = Sentence("not_a_workspace", "is not a workspace")
USE_OR_CHOOSE = Sentence("use_or_choose", "Use it, or choose another folder.")
INIT_AGAIN = Sentence("init_again", "Run `patron init {folder}` again.")
INIT_OR_NAME = Sentence("init_or_name", "Run `patron init {folder}`, or name one with --workspace.")
LEFT_BY_OLDER = Sentence("left_by_older", "was last used by an older Patron")
UPGRADE_THEN_LOOK = Sentence(
    "upgrade_then_look", "Any other command upgrades it, such as `patron report`; then check again."
)

PRIVATE = 0o700
LOCK_TIMEOUT_SECONDS = 10.0
"""How long a process waits for a lock of the workspace, unless it is told otherwise."""
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
SMALL_SHOP_BYTES = 8_000_000
"""Files of events of a shop whose queries take so little that threads only get in each other's way, bytes."""
PATIENCE_SECONDS = 600.0
"""How long a run or an import that has begun waits for its turn to store."""


class Shop:
    """One open workspace; passed to every command and answer."""

    cutoff: datetime | None = None
    """Cutoff of the past run that somebody looks back at; nothing that became known later is read."""
    segment_rules: Mapping[str, "Rule"] | None = None
    """Rules of segments as they were approved (`approved_terms.shop_as_approved`); None: the newest ones."""
    consent_of_today: Consent | None = None
    """What needs consent now, next to a policy as it was approved: a refusal by either counts; None: the policy's."""

    def __init__(
        self, identity: WorkspaceIdentity, settings: Settings, policy: Policy, store: Store, audit_head: AuditHeadFile
    ) -> None:
        self.identity = identity
        self.audit_head = audit_head
        """The head of the audit log, next to the master key."""
        self.master_key_place = audit_head.place
        self.folder = folder = audit_head.place.folder
        self.settings = settings
        self.policy = policy
        self.store = store
        self.wait_seconds = LOCK_TIMEOUT_SECONDS
        """How long to wait for another process that is at work here."""
        self.is_current = True
        """Whether the store's tables are those of this version; only who looks at an older store sees it otherwise."""
        self._run_lock = WorkspaceLock(folder / RUN_LOCK_FILE)
        self._commit_lock = WorkspaceLock(folder / COMMIT_LOCK_FILE)
        self._stamps = _stamps(folder)
        self._has_currency = False
        self._copies: TableCopies | None = None

    @classmethod
    def create(cls, folder: Path) -> "Shop":
        """Make a workspace and its master key. Raises WorkspaceError when the folder already holds one."""
        folder = require_usable_path(folder.resolve())
        _require_new(folder)
        for path in (folder, *(folder / name for name in (*DATA_FOLDERS, SCRATCH_FOLDER))):
            make_private_folder(path)
        make_store(folder, Settings())
        for name in (POLICY_FILE, OFFER_RULES_FILE, SETTINGS_FILE):
            content = (resources.files("patron.storage") / "defaults" / name).read_bytes()
            write_durably(folder / name, content)
        finish_identity(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, upgrade: bool = True, wait_seconds: float | None = None) -> "Shop":
        """Open a workspace, upgrading an older one (or only to look at it). Nothing that is missing is made anew.

        `wait_seconds` is how long to wait for another process that is at work here.
        Raises WorkspaceError, SettingsError, MasterKeyError.
        """
        folder = Path(folder).resolve()
        wait = LOCK_TIMEOUT_SECONDS if wait_seconds is None else wait_seconds
        identity = read_identity(folder)
        _require_workspace(folder, identity)
        settings = load_settings(folder / SETTINGS_FILE)
        if identity is None:
            require_layout_1(folder, settings)
        if identity is None or identity.layout < LAYOUT_VERSION:
            if not upgrade:
                raise OlderWorkspace(LEFT_BY_OLDER, where=str(folder), todo=UPGRADE_THEN_LOOK)
            identity = upgrade_layout(folder, settings, wait_seconds=wait)
        require_parts(folder, settings)
        policy = Policy.load(folder / POLICY_FILE)
        place = key_place(folder, settings, identity.workspace_id)
        master = place.read()
        place.require_fit(master, identity.key_check)
        (folder / SCRATCH_FOLDER).mkdir(exist_ok=True, mode=PRIVATE)
        store = open_store(folder, settings, identity, master)
        is_current = _upgrade(store, is_allowed=upgrade)
        shop = cls(identity, settings, policy, store, AuditHeadFile(place, master, identity.instance))
        shop.wait_seconds, shop.is_current = wait, is_current
        shop._has_currency = require_same_currency(store, settings.shop.currency)
        if upgrade and not shop._has_currency and (folder / "lake" / EVENTS.name).exists() and shop.lake.exists(EVENTS):
            shop.fix_currency()
        if upgrade:
            shop._clear_previews()
        return shop

    def _clear_previews(self) -> None:
        """Delete copies of the workspace that a preview left behind when it was killed."""
        left = list((self.folder / SCRATCH_FOLDER).glob(f"{PREVIEW_PREFIX}*"))
        if left:
            with suppress(WorkspaceBusy), self.run_lock(timeout_seconds=0):
                for folder in left:
                    shutil.rmtree(folder, ignore_errors=True)

    # why inside: most commands read the store only, and engine, lake and views take 60 MB to import

    @cached_property
    def engine(self) -> "DuckEngine":
        """What runs queries."""
        from patron.storage.duck_engine import DuckEngine  # noqa: PLC0415

        return DuckEngine(self.settings.engine, spill=self.folder / "tmp")

    @cached_property
    def lake(self) -> "Lake":
        """Tables of events, and of what runs make of them."""
        from patron.storage.lake.lake import Lake  # noqa: PLC0415

        return Lake(self.folder / "lake", LakeRecord(self.store, lake_id(self.identity, self.settings)), self.engine)

    @property
    def workspace_id(self) -> str:
        """Which workspace it is."""
        return self.identity.workspace_id

    def fix_currency(self) -> None:
        """Fix the currency once events are stored: amounts would otherwise change their meaning."""
        if not self._has_currency:
            fix_currency(self.store, self.settings.shop.currency)
            self._has_currency = True

    def master_key(self) -> bytes:
        """Read the master key again. Raises MasterKeyError when it is missing or another workspace's."""
        key = self.master_key_place.read()
        self.master_key_place.require_fit(key, self.identity.key_check)
        return key

    def reload_settings(self) -> None:
        """Load settings and policy again if their files have changed; store, inbox and engine stay open.

        Raises SettingsError for a file that is not valid; settings and policy then stay as they are.
        """
        stamps = _stamps(self.folder)
        if stamps != self._stamps:
            settings, policy = load_settings(self.folder / SETTINGS_FILE), Policy.load(self.folder / POLICY_FILE)
            require_same_currency(self.store, settings.shop.currency)
            self.settings = settings
            self.policy = policy
            self._stamps = stamps

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """Run SQL on the embedded engine."""
        return self.engine.query(sql, tables)

    def view(  # noqa: PLR0913 - what the kinds of views differ in
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        *,
        run: Run,
        pinned: Mapping[str, int | None] | None = None,
        capabilities: Mapping[str, object] | None = None,
        last: CompletedRun | None = None,
        is_retraining: bool = False,
    ) -> "StageView":
        """Give a stage the tables it declares; unpinned tables are read at their newest version."""
        from patron.storage.runs.stage_view import StageView, WorkspaceParts  # noqa: PLC0415

        parts = WorkspaceParts(
            self.folder,
            self.settings,
            policy=self.policy,
            lake=self.lake,
            engine=self.engine,
            store=self.store,
            last=last,
            pinned_models=active_pins(self.store),
            run_before=self._run_before(run.as_of),
            is_retraining=is_retraining,
            deliveries=read_deliveries(self.store),
            copies=self._copies,
        )
        return StageView(parts, reads, writes, run=run, versions=pinned or {}, capabilities=capabilities or {})

    def last_completed(self) -> CompletedRun | None:
        """The completed run of the latest cutoff; None before any run."""
        row = self._last_row()
        if row is None:
            return None
        facts = row["summary"].get("facts")
        return CompletedRun(run_of(row), row["table_versions"], FactsOrigin(**facts) if facts else None)

    def snapshot(self) -> Snapshot | None:
        """Every table as the last completed run left it; None before any run."""
        row = self._last_row()
        if row is None:
            return None
        # why: collect commits events on its own; everything derived is read as the run left it
        versions = {name: row["table_versions"].get(name) for name in BY_NAME if name != "events"}
        return Snapshot(self, run_of(row), versions, read_deliveries(self.store))

    def _last_row(self) -> sa.RowMapping | None:
        with self.store.begin() as connection:
            return connection.execute(sa.select(RUNS).order_by(RUNS.c.as_of.desc()).limit(1)).mappings().first()

    def _run_before(self, as_of: datetime) -> Run | None:
        earlier = sa.select(RUNS).where(RUNS.c.as_of < as_of).order_by(RUNS.c.as_of.desc()).limit(1)
        with self.store.begin() as connection:
            row = connection.execute(earlier).mappings().first()
        return run_of(row) if row else None

    def snapshot_of(self, as_of: datetime) -> Snapshot | None:
        """The completed run of a cutoff, every table at its newest version: tables of runs keep all runs."""
        with self.store.begin() as connection:
            row = connection.execute(sa.select(RUNS).where(RUNS.c.as_of == as_of.astimezone(UTC))).mappings().first()
        return None if row is None else Snapshot(self, run_of(row), {}, read_deliveries(self.store))

    def newest_snapshot(self) -> Snapshot:
        """Every table at its newest version, for what is read before any run."""
        return Snapshot(self, Run.at(END_OF_TIME), {}, read_deliveries(self.store))

    @contextmanager
    def lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Be the only process at work: no run, and nothing is stored. Raises WorkspaceBusy."""
        with self.run_lock(timeout_seconds=timeout_seconds), self.commit_lock(timeout_seconds=timeout_seconds):
            yield

    @contextmanager
    def run_lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Keep other runs, erasures and backups away; events are still stored meanwhile. Raises WorkspaceBusy."""
        wait = self.wait_seconds if timeout_seconds is None else timeout_seconds
        with self._run_lock.hold(timeout_seconds=wait):
            yield

    @contextmanager
    def read_once(self) -> Iterator[None]:
        """Read the versions of tables and small tables themselves once; the caller holds the run's lock and writes."""
        # why not from the files themselves: others may store events now, and delete those of a failed import
        byte_count = sum(file.byte_count for file in self.lake.record.all_files(EVENTS.name))
        is_small, copies = byte_count <= SMALL_SHOP_BYTES, TableCopies(self.lake, self.engine)
        self._copies = copies
        try:
            with self.lake.record.hold(), self.engine.single_threaded() if is_small else nullcontext():
                yield
        finally:
            self._copies = None
            copies.close()

    @contextmanager
    def commit_lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Be the only process that stores events; held briefly. Raises WorkspaceBusy."""
        wait = self.wait_seconds if timeout_seconds is None else timeout_seconds
        with self._commit_lock.hold(timeout_seconds=wait):
            yield

    def close(self) -> None:
        """Return all connections."""
        self.store.close()
        if "engine" in vars(self):  # why: it opens at its first use
            self.engine.close()


def _require_new(folder: Path) -> None:
    """Raise WorkspaceError for a folder that holds a workspace, or what is left of one."""
    if (folder / UNFINISHED).exists() and not (folder / IDENTITY_FILE).exists():
        return  # why: its making was cut off before anything could be kept in it
    if (folder / IDENTITY_FILE).exists() or (folder / SETTINGS_FILE).exists():
        raise WorkspaceError(WORKSPACE_ALREADY, where=str(folder), todo=USE_OR_CHOOSE)
    left = [name for name in (STORE_FILE, INBOX_FILE, "lake") if _has_content(folder / name)]
    if left:
        what = WORKSPACE_REMAINS(names=", ".join(left))
        raise WorkspaceError(what, where=str(folder), todo=both(RESTORE, OR_OTHER_FOLDER))


def _has_content(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _upgrade(store: Store, *, is_allowed: bool) -> bool:
    """Bring the store's tables to this version where that is allowed; return whether they are."""
    try:
        if is_allowed:
            store.upgrade()
        return is_allowed or store.is_current()
    except BaseException:
        store.close()
        raise


def _require_workspace(folder: Path, identity: WorkspaceIdentity | None) -> None:
    """Raise WorkspaceError for a folder that is no workspace, and for one without settings or an identity."""
    if identity is not None:
        if not (folder / SETTINGS_FILE).exists():
            raise WorkspaceError(IS_MISSING, where=str(folder / SETTINGS_FILE), todo=RESTORE_SETTINGS)
        return
    if (folder / UNFINISHED).exists():
        raise WorkspaceError(MAKING_CUT_OFF, where=str(folder), todo=INIT_AGAIN(folder=folder))
    if not (folder / SETTINGS_FILE).exists():
        left = [name for name in (STORE_FILE, "lake") if _has_content(folder / name)]
        if left:
            what = WORKSPACE_PARTS_MISSING(parts=" and ".join(left), identity=IDENTITY_FILE, settings=SETTINGS_FILE)
            raise WorkspaceError(what, where=str(folder), todo=RESTORE)
        raise WorkspaceError(
            NOT_A_WORKSPACE,
            where=str(folder),
            todo=INIT_OR_NAME(folder=folder),
        )


def _stamps(folder: Path) -> tuple[tuple[int, int], ...]:
    """When settings and policy were written, and how long they are; nothing for a file that is not there."""
    stamps = []
    for name in (SETTINGS_FILE, POLICY_FILE):
        with suppress(FileNotFoundError):
            stat = (folder / name).stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
    return tuple(stamps)
