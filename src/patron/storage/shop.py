"""The shop: settings, policy, lake and store of one workspace, and the snapshots that readers get of it."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from patron.schema.errors import WorkspaceError
from patron.schema.tables import BY_NAME
from patron.storage.engine import DuckEngine
from patron.storage.lake import Lake
from patron.storage.lake_record import LakeRecord, lake_id
from patron.storage.lake_verification import record_lake
from patron.storage.layout import (
    HASHED_LATER,
    LAYOUT,
    LAYOUT_VERSION,
    WORKSPACE_ID,
    require_known_layout,
    stored_layout,
)
from patron.storage.model_registry import record_models
from patron.storage.pinned_tables import PinnedTables, select_sql
from patron.storage.policy import Policy
from patron.storage.runs import CompletedRun, FactsOrigin, Run
from patron.storage.settings import Settings, load_settings
from patron.storage.stage_view import StageView, WorkspaceParts
from patron.storage.store import RUNS, WORKSPACE, Store, sqlite_url, upsert
from patron.storage.workspace_lock import WorkspaceLock

SETTINGS_FILE = "patron.toml"
POLICY_FILE = "policy.toml"
PRIVATE = 0o700
RUN_LOCK_FILE, COMMIT_LOCK_FILE = "run.lock", "workspace.lock"
LOCK_TIMEOUT_SECONDS = 10.0
"""How long a process waits for a lock of the workspace, unless it is told otherwise."""
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
PATIENCE_SECONDS = 600.0
"""How long a run or an import that has begun waits for its turn to store."""


@dataclass(frozen=True)
class Snapshot:
    """Every table as one completed run left it, to read only: what answers and commands read."""

    shop: "Shop"
    run: Run
    pinned: Mapping[str, int | None]
    """Versions to read, None for a table that had not been written; one that is not named is read at its newest."""

    @property
    def settings(self) -> Settings:
        """Where we run."""
        return self.shop.settings

    @property
    def policy(self) -> Policy:
        """What we promise."""
        return self.shop.policy

    @property
    def store(self) -> Store:
        """The operational store."""
        return self.shop.store

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self.shop.folder

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Run a portable SELECT over the run's tables and the Arrow tables given by name."""
        return self._tables.query(sql, tables)

    def read(self, name: str, columns: Iterable[str] | None = None) -> pa.Table:
        """Read a table, whole or some columns."""
        return self.query(select_sql(name, columns))

    def table_version(self, name: str) -> int | None:
        """Version of a table as the run left it; None when it had not been written."""
        return self._tables.version(name)

    @property
    def _tables(self) -> PinnedTables:
        return PinnedTables(self.shop.lake, self.shop.engine, frozenset(BY_NAME), self.pinned)


class Shop:
    """One open workspace; passed to every command and answer."""

    def __init__(self, folder: Path, settings: Settings, policy: Policy, store: Store, lake_id: str) -> None:
        self.folder = folder
        self.settings = settings
        self.policy = policy
        self.store = store
        self.lake = Lake(folder / "lake", LakeRecord(store, lake_id))
        self.engine = DuckEngine(settings.engine, spill=folder / "tmp")
        self.wait_seconds = LOCK_TIMEOUT_SECONDS
        """How long to wait for another process that is at work here."""
        self._run_lock = WorkspaceLock(folder / RUN_LOCK_FILE)
        self._commit_lock = WorkspaceLock(folder / COMMIT_LOCK_FILE)
        self._stamps = _stamps(folder)

    @classmethod
    def create(cls, folder: Path) -> "Shop":
        """Make a workspace. Raises WorkspaceError when the folder already holds one."""
        folder = folder.resolve()
        if (folder / SETTINGS_FILE).exists():
            raise WorkspaceError("is a workspace already", where=str(folder), todo="Use it, or choose another folder.")
        for path in (folder, folder / "lake", folder / "models", folder / "outbox", folder / "tmp"):
            path.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        for name in (POLICY_FILE, SETTINGS_FILE):  # settings last: they make the folder a workspace
            content = (resources.files("patron.storage") / "defaults" / name).read_text(encoding="utf-8")
            (folder / name).write_text(content, encoding="utf-8")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, upgrade: bool = True, wait_seconds: float | None = None) -> "Shop":
        """Open a workspace, upgrading an older one (or only to look at it). Raises WorkspaceError, SettingsError.

        `wait_seconds` is how long to wait for another process that is at work here.
        """
        folder = Path(folder).resolve()
        if not (folder / SETTINGS_FILE).exists():
            raise WorkspaceError(
                "is not a workspace",
                where=str(folder),
                todo=f"Run `patron init {folder}`, or name one with --workspace.",
            )
        settings = load_settings(folder / SETTINGS_FILE)
        policy = Policy.load(folder / POLICY_FILE)
        (folder / "tmp").mkdir(exist_ok=True, mode=PRIVATE)
        store = Store(settings.store_url or sqlite_url(folder / "store.db"))
        require_known_layout(store, folder)
        if upgrade:
            store.upgrade()
        shop = cls(folder, settings, policy, store, lake_id(folder / "lake", store, may_write=upgrade))
        if wait_seconds is not None:
            shop.wait_seconds = wait_seconds
        if upgrade and stored_layout(store) == "1":
            shop._record_hashes()
        if upgrade or store.is_current():
            shop._name_workspace()
        return shop

    def _record_hashes(self) -> None:
        """Take the lake and the models of layout 1, which kept no hashes, as they are; may be repeated."""
        record_lake(self.lake.folder, self.lake.record)
        record_models(self.folder / "models", self.store)
        with self.store.begin() as connection:
            upsert(connection, WORKSPACE, [{"key": HASHED_LATER, "value": "at the upgrade to layout 2"}])

    def _name_workspace(self) -> None:
        """Give a new workspace its id, and every one that was upgraded the layout that it has now."""
        with self.store.begin() as connection:
            entries: dict[str, str] = {row.key: row.value for row in connection.execute(sa.select(WORKSPACE))}
            if WORKSPACE_ID not in entries:
                entries[WORKSPACE_ID] = secrets.token_hex(8)
                connection.execute(sa.insert(WORKSPACE).values(key=WORKSPACE_ID, value=entries[WORKSPACE_ID]))
            if entries.get(LAYOUT) != str(LAYOUT_VERSION):
                upsert(connection, WORKSPACE, [{"key": LAYOUT, "value": str(LAYOUT_VERSION)}], update=("value",))
        self.workspace_id: str = entries[WORKSPACE_ID]

    def reload_settings(self) -> None:
        """Load settings and policy again if their files have changed; store, inbox and engine stay open.

        Raises SettingsError for a file that is not valid; settings and policy then stay as they are.
        """
        stamps = _stamps(self.folder)
        if stamps != self._stamps:
            settings, policy = load_settings(self.folder / SETTINGS_FILE), Policy.load(self.folder / POLICY_FILE)
            self.settings, self.policy, self._stamps = settings, policy, stamps

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """Run SQL on the embedded engine."""
        return self.engine.query(sql, tables)

    def view(
        self,
        reads: Iterable[str],
        writes: Iterable[str],
        *,
        run: Run,
        pinned: Mapping[str, int | None] | None = None,
        capabilities: Mapping[str, object] | None = None,
        last: CompletedRun | None = None,
    ) -> StageView:
        """Give a stage the tables it declares; unpinned tables are read at their newest version."""
        parts = WorkspaceParts(self.folder, self.settings, self.policy, self.lake, self.engine, self.store, last)
        return StageView(parts, reads, writes, run=run, versions=pinned or {}, capabilities=capabilities or {})

    def last_completed(self) -> CompletedRun | None:
        """The completed run of the latest cutoff; None before any run."""
        row = self._last_row()
        if row is None:
            return None
        facts = row["summary"].get("facts")
        return CompletedRun(_run_of(row), row["table_versions"], FactsOrigin(**facts) if facts else None)

    def snapshot(self) -> Snapshot | None:
        """Every table as the last completed run left it; None before any run."""
        row = self._last_row()
        if row is None:
            return None
        # why: collect commits events on its own; everything derived is read as the run left it
        versions = {name: row["table_versions"].get(name) for name in BY_NAME if name != "events"}
        return Snapshot(self, _run_of(row), versions)

    def _last_row(self) -> sa.RowMapping | None:
        with self.store.begin() as connection:
            return connection.execute(sa.select(RUNS).order_by(RUNS.c.as_of.desc()).limit(1)).mappings().first()

    def snapshot_of(self, as_of: datetime) -> Snapshot | None:
        """The completed run of a cutoff, every table at its newest version: tables of runs keep all runs."""
        with self.store.begin() as connection:
            row = connection.execute(sa.select(RUNS).where(RUNS.c.as_of == as_of.astimezone(UTC))).mappings().first()
        return None if row is None else Snapshot(self, _run_of(row), {})

    def newest_snapshot(self) -> Snapshot:
        """Every table at its newest version, for what is read before any run."""
        return Snapshot(self, Run.at(END_OF_TIME), {})

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
    def commit_lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Be the only process that stores events; held briefly. Raises WorkspaceBusy."""
        wait = self.wait_seconds if timeout_seconds is None else timeout_seconds
        with self._commit_lock.hold(timeout_seconds=wait):
            yield

    def close(self) -> None:
        """Return all connections."""
        self.store.close()
        self.engine.close()


def _run_of(row: sa.RowMapping) -> Run:
    as_of = row["as_of"].replace(tzinfo=UTC) if row["as_of"].tzinfo is None else row["as_of"]
    return Run(row["run_id"], as_of, row["seed"])


def _stamps(folder: Path) -> tuple[tuple[int, int], ...]:
    """When settings and policy were written, and how long they are; nothing for a file that is not there."""
    stamps = []
    for name in (SETTINGS_FILE, POLICY_FILE):
        with suppress(FileNotFoundError):
            stat = (folder / name).stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
    return tuple(stamps)
