"""kill -9 of every command, and of the collector and its compaction under load: nothing lost, nothing twice, all equal.

One simulated shop lives twice: in one workspace nothing is killed; in the other each command is killed at times spread
over how long it takes, then repeated until it ends, as the documentation says. Runs at three cutoffs, with the imports
of what the shop's customers did in between, offers included. Then every table of both is compared.

    PYTHONPATH=. python benchmarks/storage/kills.py [--full]

Exit code 1 when something was lost, doubled, unequal or a problem to `doctor`.
"""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa
from posting_client import Client, wait_for, worker_of
from tests.support import published_layouts
from tests.support.patron_processes import Commands, after, is_running

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.commands.access.manage_keys import create_key
from patron.commands.data.doctor import doctor
from patron.commands.data.simulated_loop import offers_in_outbox, write_rules
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.tables import EVENTS, TABLES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS, EXPERIMENT_ARMS, FORGOTTEN, VAULT_TOKENS

KILLS = 3 if "--full" in sys.argv else 1
"""How many times as many as the least."""
CUSTOMERS, RUNS, DAYS = 80, 3, 30
KEYS = "XDG_CONFIG_HOME"
LIVE = "live-source"
SERVER_START_SECONDS = 30.0
ERASURES = "erasures"


@dataclass(frozen=True)
class Home:
    """A workspace, and a user's configuration with its key."""

    folder: Path

    @property
    def shop(self) -> Path:
        """The workspace."""
        return self.folder / "shop"

    @contextmanager
    def open(self, folder: Path | None = None) -> Iterator[Shop]:
        """Open the workspace, or another one of the same key."""
        os.environ[KEYS] = str(self.folder / "config")
        shop = Shop.open(folder or self.shop)
        try:
            yield shop
        finally:
            shop.close()


@dataclass
class Study:
    """Kills of commands so far, and what was wrong afterwards."""

    commands: Commands
    rng: np.random.Generator
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def require(self, is_right: bool, what: str) -> None:  # noqa: FBT001 - the condition that has to hold
        if not is_right:
            self.faults.append(what)
            print(f"  WRONG: {what}", flush=True)

    def enter(self, home: Home) -> None:
        """Run what follows with the keys of a home."""
        os.environ[KEYS] = self.commands.variables[KEYS] = str(home.folder / "config")

    def require_healthy(self, folder: Path, when: str, *, but: str = "") -> None:
        for finding in doctor(folder):
            self.require(
                finding.level != "problem" or finding.check == but, f"{when}: doctor: {finding.check}: {finding.what}"
            )

    def timed(self, *args: str) -> float:
        """Run a command to its end; return its seconds."""
        since = time.monotonic()
        code = self.commands.run(*args)
        self.require(code == 0, f"{args[0]} ended with {code}")
        return time.monotonic() - since

    def require_equal(self, one: dict[str, object], other: dict[str, object], when: str) -> None:
        for name, expected in one.items():
            self.require(expected == other[name], f"{when}: {name} differs")
        for name in ("decisions", "exposures", "outbox"):
            self.require(bool(other[name]), f"{when}: no {name}")

    def kill(
        self,
        count: int,
        seconds: float,
        *args: str,
        check: Callable[[], None],
        is_over: Callable[[], bool] = bool,
        undo: Callable[[], object] = bool,
    ) -> None:
        """Kill a command so many times, spread over its seconds, then run it to its end.

        When it was over before the kill came, `undo` what cannot be done twice.
        """
        name = args[0]
        for part in range(count * KILLS):
            if is_over():
                undo()
            when = seconds * (part + self.rng.random()) / (count * KILLS)
            code = self.commands.kill(after(when), *args)
            self.kills[name] += code == -signal.SIGKILL
            check()
        if not is_over():
            code = self.commands.run(*args)
            self.require(code == 0, f"{name}, repeated after {count * KILLS} kills, ended with {code}")
            check()


def events_file(place: Path, number: int, world: ShopSimulator, twin: Home | None) -> str:
    """Write what happens in the shop until the next run; its customers answer to the offers of the twin's last run."""
    if twin is None:
        events = world.history(100)
    else:
        with twin.open() as shop:
            offers = offers_in_outbox(twin.shop, shop.last_completed().run.run_id, world.now)  # pyright: ignore[reportOptionalMemberAccess]
        events = world.advance(world.now + timedelta(days=DAYS), offers if offers.num_rows else None)
    path = place / f"events{number}.parquet"
    pq.write_table(events, path)
    return str(path)


def live_through(study: Study, place: Path, twin: Home, killed: Home) -> None:
    """Import and run, at three cutoffs, in both workspaces."""
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=CUSTOMERS), seed=5)
    study.enter(killed)
    study.timed("init", str(killed.shop))
    write_rules(killed.shop, DEFAULT_SHOP, budget_cents=20_000)
    shutil.copytree(killed.folder, twin.folder)
    for number in range(RUNS):
        file = events_file(place, number, world, twin if number else None)
        for kind, args in (
            ("import", ("--mapping", "patron", file)),
            ("run", ("--as-of", world.now.isoformat())),
        ):
            study.enter(twin)
            seconds = study.timed(kind, "--workspace", str(twin.shop), *args)
            study.enter(killed)
            line = (kind, "--workspace", str(killed.shop), *args)
            study.kill(4, seconds, *line, check=lambda kind=kind: study.require_healthy(killed.shop, f"after {kind}"))
        study.require_equal(contents_of(twin), contents_of(killed), f"after run {number + 1}")


def contents_of(home: Home, folder: Path | None = None) -> dict[str, object]:
    """All that a workspace holds: tables of lake and store, the names in the vault, outbox and models.

    Without what the collector stored, and without the times and ids of commands.
    """
    with home.open(folder) as shop:
        found: dict[str, object] = {table.name: rows_of(shop, table.name) for table in TABLES}
        with shop.store.begin() as connection:
            tokens = list(connection.scalars(sa.select(VAULT_TOKENS.c.token)))
            for table in (EXPERIMENT_ARMS, DEAD_LETTERS):
                columns = [c for c in table.c if c.name not in {"payload", "dead_letter_id", "import_id", "created_at"}]
                found[table.name] = sorted(map(repr, connection.execute(sa.select(*columns)).all()))
        values = Vault.open(shop).reveal(tokens)
        found["vault"] = sorted(value for value in values if value is not None and "live" not in value)
        for name in ("outbox", "models"):
            files = sorted(path for path in (shop.folder / name).rglob("*") if path.is_file())
            found[name] = {str(path.relative_to(shop.folder)): content(path) for path in files}
    return found


def rows_of(shop: Shop, name: str) -> list[str]:
    """Rows of a table as the last run left it, events without those of the collector, in a fixed order."""
    if name != EVENTS.name:
        snapshot = shop.snapshot()
        return sorted(map(repr, snapshot.read(name).to_pylist())) if snapshot else []
    rows = shop.lake.read(EVENTS).to_pylist()
    return sorted(repr(row | {"received_at": None}) for row in rows if row["source"] != LIVE)


def content(path: Path) -> bytes:
    if path.name != "manifest.json":
        return path.read_bytes()
    manifest = json.loads(path.read_text())
    del manifest["table_versions"]  # why: a run that was killed leaves versions that nobody reads
    return json.dumps(manifest).encode()


def serve_and_kill(study: Study, home: Home) -> None:
    """Kill the collector and its compaction, in turn, while a client posts."""
    study.enter(home)
    with home.open() as shop:
        key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), LIVE).key
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = Client(port, key)
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    for _ in range(8 * KILLS):
        server = study.commands.start("serve", "--workspace", str(home.shop), "--port", str(port))
        before = len(client.acknowledged)
        up = wait_for(lambda before=before: len(client.acknowledged) > before, SERVER_START_SECONDS)
        study.require(up, "the collector does not accept again after a kill")
        time.sleep(0.5 + study.rng.random())
        worker = worker_of(server)
        if worker and is_running(worker):
            os.kill(worker, signal.SIGKILL)
            study.kills["worker"] += 1
        wait_for(lambda server=server, worker=worker: worker_of(server) not in {None, worker}, 10)
        time.sleep(study.rng.random() * 1.5)
        os.kill(server, signal.SIGKILL)
        study.kills["collector"] += study.commands.wait() == -signal.SIGKILL
    client.ending.set()
    thread.join(30)
    with home.open() as shop:
        shop.wait_seconds = 60
        with shop.commit_lock():
            drain_inbox(shop)
        with open_inbox(shop) as inbox:
            study.require(not inbox.pending_count(), "requests stay in the inbox")
            inbox.check()
        events = [row["event_id"] for row in shop.lake.read(EVENTS).to_pylist() if row["source"] == LIVE]
    twice, lost = len(events) - len(set(events)), len(set(client.acknowledged) - set(events))
    print(f"collector: {len(client.acknowledged):,} events acknowledged, {lost} lost, {twice} twice", flush=True)
    study.require(not twice, f"{twice} events are there twice")
    study.require(not lost, f"{lost} acknowledged events are lost")
    study.require_healthy(home.shop, "after serve")


# backup, restore, forget, upgrade


def save_and_kill(study: Study, place: Path, home: Home) -> None:
    """Kill a backup, then a restore of it."""
    study.enter(home)
    archive, again, first = place / "archive.tar.gz", place / "again", place / "first.tar.gz"
    line = ("backup", "--workspace", str(home.shop))
    seconds = study.timed(*line, str(first))
    check: Callable[[], None] = lambda: study.require_healthy(home.shop, "after backup")  # noqa: E731 - one line
    study.kill(6, seconds, *line, str(archive), check=check, is_over=archive.exists, undo=archive.unlink)
    seconds = study.timed("restore", str(first), str(place / "first"))
    shutil.rmtree(place / "first")
    clear: Callable[[], None] = lambda: shutil.rmtree(again)  # noqa: E731 - one line
    check = lambda: study.require_healthy(again, "after restore") if again.exists() else None  # noqa: E731 - one line
    study.kill(6, seconds, "restore", str(archive), str(again), check=check, is_over=again.exists, undo=clear)
    whole = {name: one for name, one in contents_of(home).items() if name != "outbox"}
    restored = contents_of(home, again)
    study.require_equal(whole, restored | {"outbox": "is not in a backup"}, "restored")


def forget_and_kill(study: Study, twin: Home, killed: Home) -> None:
    """Kill an erasure of somebody who has had offers."""
    outbox = min((twin.shop / "outbox").glob("*/offers_file.csv"))
    user_id = outbox.read_text().splitlines()[1].split(",")[1]
    line = ("forget", "--user-id", user_id, "--yes", "--workspace")
    study.enter(twin)
    seconds = study.timed(*line, str(twin.shop))
    study.enter(killed)

    def is_forgotten() -> bool:
        with killed.open() as shop:
            token = Vault.open(shop).token("user_id", user_id)
            with shop.store.begin() as connection:
                begun = connection.scalar(sa.select(FORGOTTEN.c.token).where(FORGOTTEN.c.token == token))
        return bool(begun) and not any(finding.check == ERASURES for finding in doctor(killed.shop))

    check: Callable[[], None] = lambda: study.require_healthy(killed.shop, "after forget", but=ERASURES)  # noqa: E731
    study.kill(6, seconds, *line, str(killed.shop), check=check, is_over=is_forgotten)
    study.require_healthy(killed.shop, "after forget")
    study.require(is_forgotten(), "the erasure is not complete")
    study.require_equal(contents_of(twin), contents_of(killed), "after forget")


def upgrade_and_kill(study: Study, place: Path) -> None:
    """Kill the upgrade of a workspace of each earlier published layout."""
    archives = sorted(published_layouts.ARCHIVES.glob("*.tar.xz"))
    if not archives:
        print("upgrade: passed over, as there is no earlier layout")
    for archive in archives:
        version = int(archive.name.partition(".")[0])
        first = make_old(study, version, place / f"layout-{version}")
        seconds = study.timed("keys", "list", "--workspace", str(first))
        expected = old_contents(first)
        for part in range(6 * KILLS):
            folder = make_old(study, version, place / f"layout-{version}-{part}")
            line = ("keys", "list", "--workspace", str(folder))
            code = study.commands.kill(after(seconds * (part + study.rng.random()) / (6 * KILLS)), *line)
            study.kills["upgrade"] += code == -signal.SIGKILL
            study.timed(*line)
            study.require_healthy(folder, "after upgrade")
            study.require(old_contents(folder) == expected != ([], []), "after upgrade: rows or names differ")


def make_old(study: Study, version: int, place: Path) -> Path:
    """Unpack the workspace of a layout, and use its key."""
    folder = published_layouts.make(version, place)
    variables = {KEYS: str(place / "config"), "PATRON_MASTER_KEY_FILE": str(place / published_layouts.KEY_FILE)}
    os.environ.update(variables)
    study.commands.variables.update(variables)
    return folder


def old_contents(folder: Path) -> tuple[list[str], list[str | None]]:
    """Events of an old workspace, and the names in its vault."""
    shop = Shop.open(folder)
    try:
        events = shop.lake.read(EVENTS)
        names = Vault.open(shop).reveal(sorted(set(events["user_token"].to_pylist())))
        return sorted(map(repr, events.to_pylist())), names
    finally:
        shop.close()


def main() -> None:
    since = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        os.environ.pop("PATRON_MASTER_KEY", None)
        study = Study(Commands(place), np.random.default_rng(11))
        twin, killed = Home(place / "twin"), Home(place / "killed")
        live_through(study, place, twin, killed)
        serve_and_kill(study, killed)
        save_and_kill(study, place, killed)
        forget_and_kill(study, twin, killed)
        upgrade_and_kill(study, place)
        study.commands.close()
    print(f"\n{'killed':<12}{'times':>6}")
    for what, count in study.kills.items():
        print(f"{what:<12}{count:>6}")
    print(f"{'in all':<12}{study.kills.total():>6}{time.monotonic() - since:>8.0f} s, {len(study.faults)} wrong")
    raise SystemExit(bool(study.faults))


if __name__ == "__main__":
    main()
