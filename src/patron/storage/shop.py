"""The shop: settings, policy, lake and store of one workspace, and the limited views that stages get of it."""

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from sqlglot import exp, parse_one

from patron.schema.errors import WorkspaceBusy, WorkspaceError
from patron.schema.table_definition import Table, validated
from patron.schema.tables import BY_NAME
from patron.storage.engine import DuckEngine
from patron.storage.lake import Lake
from patron.storage.policy import Policy
from patron.storage.settings import Settings, load_settings
from patron.storage.store import RUNS, WORKSPACE, Store, sqlite_url

SETTINGS_FILE = "patron.toml"
POLICY_FILE = "policy.toml"
PRIVATE = 0o700
SEED = 20170701
PATIENCE_SECONDS = 10.0
"""How long a process waits for another to leave the workspace: the collector is at work a moment at a time."""
LOOK_AGAIN_SECONDS = 0.05
BLANK = r"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*"
BEFORE_ITS_OWN = re.compile(rf"{BLANK}with\b({BLANK}recursive\b)?", re.IGNORECASE)
"""How a query with relations of its own begins: comments, WITH, and maybe RECURSIVE."""


@dataclass(frozen=True)
class Run:
    """One run of the loop: everything in it depends on the moment and the seed only."""

    run_id: str
    as_of: datetime
    seed: int

    @classmethod
    def at(cls, as_of: datetime, *, zone: str = "UTC", seed: int = SEED) -> Self:
        """Name the run of a moment by the shop's calendar: the same moment is the same run."""
        local = as_of.astimezone(ZoneInfo(zone))
        name = local.strftime("%Y-%m-%d" if local.time() == datetime.min.time() else "%Y-%m-%dT%H%M%S")
        return cls(name, as_of.astimezone(UTC), seed)

    def child_seed(self, purpose: str) -> int:
        """Derive a seed for one purpose, so that stages do not share random numbers."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{self.run_id}/{purpose}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class View:
    """What one stage sees of the shop: the tables it declared, at pinned versions, and nothing to write but its own."""

    shop: "Shop"
    reads: frozenset[str]
    writes: frozenset[str]
    run: Run
    pinned: Mapping[str, int | None] = field(default_factory=dict)
    """Versions to read; a table that is not named is read at its newest version."""

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
        """Run a portable SELECT over the stage's tables and the Arrow tables given by name."""
        return self.shop.query(self._with_snapshots(sql, set(tables)), tables)

    def read(self, name: str, columns: Iterable[str] | None = None) -> pa.Table:
        """Read a table of the stage, whole or some columns."""
        chosen = ", ".join(f'"{column}"' for column in columns) if columns is not None else "*"
        return self.query(f"select {chosen} from {name}")

    def write(self, name: str, rows: pa.Table) -> None:
        """Validate rows and put them in the place of this run's (or, without runs, of the whole table)."""
        table, part = self._own(name)
        self.shop.lake.replace(table, validated(table, rows), part=part)

    def write_query(self, name: str, sql: str, **tables: pa.Table) -> None:
        """Write the result of a query as `write` would, without ever holding it in memory whole."""
        table, part = self._own(name)
        snapshots = self._with_snapshots(sql, set(tables))
        self.shop.lake.replace_by_query(table, self.shop.engine, snapshots, tables, part=part)

    def _own(self, name: str) -> tuple[Table, str | None]:
        """The table, and the part of it that belongs to this run. Raises WorkspaceError for another stage's."""
        if name not in self.writes:
            raise WorkspaceError(
                f"a stage that writes {sorted(self.writes)} may not write {name}", todo="Declare it in WRITES."
            )
        table = BY_NAME[name]
        return table, self.run.run_id if table.partition_by == "run_id" else None

    def _with_snapshots(self, sql: str, given: set[str]) -> str:
        """Put the snapshots that the query names in front of it, as one CTE each."""
        named = {table.name for table in parse_one(sql, read="duckdb").find_all(exp.Table)} - given
        visible = self.reads | self.writes
        snapshots = []
        for name in sorted(named & BY_NAME.keys()):
            if name not in visible:
                raise WorkspaceError(
                    f"a stage that reads {sorted(visible)} may not read {name}", todo="Declare it in READS."
                )
            snapshots.append((name, self.shop.lake.relation(BY_NAME[name], self._version(BY_NAME[name]))))
        return with_ctes(sql, snapshots)

    def _version(self, table: Table) -> int | None:
        return self.pinned[table.name] if table.name in self.pinned else self.shop.lake.version(table)


def with_ctes(sql: str, relations: Iterable[tuple[str, str]]) -> str:
    """Give a query named relations in front, before any of its own; each use reads only what it needs of them."""
    listed = ", ".join(f"{name} as not materialized ({relation})" for name, relation in relations)
    if not listed:
        return sql
    own = BEFORE_ITS_OWN.match(sql)
    if own is None:
        return f"with {listed} {sql}"
    return f"with {'recursive ' if own[1] else ''}{listed}, {sql[own.end() :]}"


class Shop:
    """One open workspace; passed to every action."""

    def __init__(self, folder: Path, settings: Settings, policy: Policy, store: Store) -> None:
        self.folder = folder
        self.settings = settings
        self.policy = policy
        self.store = store
        self.lake = Lake(folder / "lake")
        self.engine = DuckEngine(settings.engine, spill=folder / "tmp")
        self._read = _stamps(folder)

    @classmethod
    def create(cls, folder: Path) -> "Shop":
        """Make a workspace. Raises WorkspaceError when the folder already holds one."""
        folder = folder.resolve()
        if (folder / SETTINGS_FILE).exists():
            raise WorkspaceError("is a workspace already", where=str(folder), todo="Use it, or choose another folder.")
        for place in (folder, folder / "lake", folder / "models", folder / "outbox", folder / "tmp"):
            place.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        for name in (POLICY_FILE, SETTINGS_FILE):  # settings last: they make the folder a workspace
            content = (resources.files("patron.storage") / "defaults" / name).read_text(encoding="utf-8")
            (folder / name).write_text(content, encoding="utf-8")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, upgrade: bool = True) -> "Shop":
        """Open a workspace, upgrading an older one (or only to look at it). Raises WorkspaceError, SettingsError."""
        folder = Path(folder).resolve()
        if not (folder / SETTINGS_FILE).exists():
            raise WorkspaceError(
                "is no workspace", where=str(folder), todo=f"Run `patron init {folder}`, or name one with --workspace."
            )
        settings = load_settings(folder / SETTINGS_FILE)
        policy = Policy.load(folder / POLICY_FILE)
        (folder / "tmp").mkdir(exist_ok=True, mode=PRIVATE)
        store = Store(settings.store_url or sqlite_url(folder / "store.db"))
        if upgrade:
            store.upgrade()
        shop = cls(folder, settings, policy, store)
        if upgrade or store.is_current():
            shop._name_itself()
        return shop

    def _name_itself(self) -> None:
        with self.store.begin() as connection:
            found = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == "workspace_id"))
            if found is None:
                found = secrets.token_hex(8)
                connection.execute(sa.insert(WORKSPACE).values(key="workspace_id", value=found))
        self.workspace_id: str = found

    def reread(self) -> None:
        """Take over settings and policy whose files have changed; store, inbox and engine stay as they were opened.

        Raises SettingsError for a file that cannot be used; what held before holds on.
        """
        found = _stamps(self.folder)
        if found != self._read:
            settings, policy = load_settings(self.folder / SETTINGS_FILE), Policy.load(self.folder / POLICY_FILE)
            self.settings, self.policy, self._read = settings, policy, found

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
    ) -> View:
        """Give a stage the tables it declares; unpinned tables are read at their newest version."""
        return View(self, frozenset(reads), frozenset(writes), run, pinned or {})

    def snapshot(self) -> View | None:
        """Everything as the last finished run left it, to read only; None before any run."""
        with self.store.begin() as connection:
            row = connection.execute(sa.select(RUNS).order_by(RUNS.c.as_of.desc()).limit(1)).mappings().first()
        if row is None:
            return None
        as_of = row["as_of"].replace(tzinfo=UTC) if row["as_of"].tzinfo is None else row["as_of"]
        # why: collect commits events on its own; everything derived is read as the run left it
        versions = {name: row["table_versions"].get(name) for name in BY_NAME if name != "events"}
        return View(self, frozenset(BY_NAME), frozenset(), Run(row["run_id"], as_of, row["seed"]), versions)

    @contextmanager
    def lock(self, *, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Be the only process that changes the workspace. Raises WorkspaceBusy when another one stays at work."""
        path = self.folder / "workspace.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + patience_seconds
        try:
            while not _is_locked(handle):
                if time.monotonic() >= until:
                    pid = os.read(handle, 32).decode(errors="replace").strip()
                    raise WorkspaceBusy(
                        f"another process ({pid or 'unknown'}) is at work here",
                        where=str(self.folder),
                        todo="Wait until it has finished, or end it, and try again.",
                    )
                time.sleep(LOOK_AGAIN_SECONDS)
            os.truncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)

    def close(self) -> None:
        """Return all connections."""
        self.store.close()
        self.engine.close()


def _stamps(folder: Path) -> tuple[tuple[int, int], ...]:
    """When settings and policy were written, and how long they are; nothing for a file that is not there."""
    found = []
    for name in (SETTINGS_FILE, POLICY_FILE):
        with suppress(FileNotFoundError):
            told = (folder / name).stat()
            found.append((told.st_mtime_ns, told.st_size))
    return tuple(found)


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
