"""What is done while the power fails, and what must hold on the disk afterwards."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from patron.collect.request import Request, SourceRules, validate_batch
from patron.commands.access.manage_keys import create_key
from patron.commands.data.backup import backup, restore
from patron.commands.data.doctor import doctor
from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import ingest_events, run_until, write_rules
from patron.commands.privacy.forget import forget
from patron.govern.access.api_keys import list_keys
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.run import run_loop
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.tables import BY_NAME, EVENTS
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionWorker
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.durable_files import private_file
from patron.storage.shop import Shop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


@dataclass(frozen=True)
class Scenario:
    """Something that is done to a workspace while the power may fail."""

    name: str
    prepare: Callable[[Path], None]
    """Make what is there before, in an empty folder."""
    work: Callable[[Path], None]
    """What is recorded, in a process of its own; it says by `say` what it acknowledged."""
    check: Callable[[Path, list[str]], None]
    """Whether the promises hold on a disk, by what was acknowledged before the cut. Raises whatever is wrong."""
    cut_share: float = 1.0
    """Share of the cuts of a scenario whose checks are quick."""


def say(root: Path, word: str) -> None:
    """Acknowledge something to the world outside."""
    handle = os.open(root / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{word}\n".encode())
    os.close(handle)


def require_healthy(folder: Path, *, but: str = "") -> None:
    """Raise AssertionError when `doctor` finds a problem."""
    problems = [finding for finding in doctor(folder) if finding.level == "problem" and finding.check != but]
    assert not problems, "doctor: " + "; ".join(f"{problem.check}: {problem.what}" for problem in problems)


def new_workspace(root: Path) -> None:
    create(root / "shop")
    shop = Shop.open(root / "shop")
    create_key(RequestContext.from_name(shop, now=NOW), "web")
    shop.close()


# init: a new workspace, and keys for clients


def make_workspace(root: Path) -> None:
    made = create(root / "shop", {"currency": "CHF"})
    say(root, made.workspace_id)
    shop = Shop.open(root / "shop")
    for name in ("a", "b", "c"):
        create_key(RequestContext.from_name(shop, now=NOW), name)
        say(root, name)
    shop.close()


def check_new_workspace(root: Path, said: list[str]) -> None:
    folder = root / "shop"
    if not said:
        with suppress(WorkspaceError):  # why: it may be whole already
            create(folder, {"currency": "CHF"})
        Shop.open(folder).close()
    require_healthy(folder)
    shop = Shop.open(folder)
    Vault.open(shop)
    assert not said or shop.workspace_id == said[0], "another workspace"
    assert not said or shop.settings.shop.currency == "CHF", "settings are lost"
    assert shop.policy.offers, "the policy is lost"
    sources = {key.source for key in list_keys(shop)}
    assert {*said[1:]} <= sources, f"keys are lost: {said[1:]} were made, {sources} are there"
    shop.close()


# collector and compaction worker


def batch(name: str) -> Request:
    rows = [
        {
            "type": "track",
            "event": "Product Viewed",
            "userId": f"u{n}",
            "messageId": f"{name}-{n}",
            "timestamp": NOW.isoformat(),
            "properties": {"product_id": "p1", "comment": "x" * 200},
        }
        for n in range(4)
    ]
    return validate_batch(json.dumps({"batch": rows}).encode(), "web", NOW, OPEN)


def collect(root: Path) -> None:
    for process in range(2):
        shop = Shop.open(root / "shop")
        collector, worker = Collector(shop), CompactionWorker(shop)
        collector.start()
        for n in range(6):
            collector.accept(batch(f"{process}.{n}")).result(60)
            say(root, f"{process}.{n}")
            if n % 2:
                worker.run_once()
                assert worker.trouble is None, worker.trouble
        collector.stop()
        shop.close()


def check_collected(root: Path, said: list[str]) -> None:
    require_healthy(root / "shop")
    shop = Shop.open(root / "shop")
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None, f"worker: {worker.trouble}"
    ids = shop.lake.read(EVENTS)["event_id"].to_pylist() if shop.lake.exists(EVENTS) else []
    assert len(ids) == len(set(ids)), "events twice"
    lost = {f"{one}-{n}" for one in said for n in range(4)} - set(ids)
    assert not lost, f"{len(lost)} acknowledged events are lost, such as {min(lost)}"
    shop.close()
    require_healthy(root / "shop")


# import


def write_orders(root: Path) -> None:
    create(root / "shop")
    for number in range(2):
        lines = ["customer_id,date,units,value"]
        lines += [f"c{row % 7},1997-0{row % 3 + 1}-{row % 28 + 1:02},1,{row + number}.50" for row in range(40)]
        (root / f"{number}.csv").write_text("\n".join([*lines, "c1,never,1,5.00"]) + "\n")


def import_orders(root: Path) -> None:
    for number in range(2):
        shop = Shop.open(root / "shop")
        import_files(shop, [str(root / f"{number}.csv")], "cdnow", progress=lambda *_: None, now=NOW)
        shop.close()
        say(root, str(number))


def check_imported(root: Path, said: list[str]) -> None:
    require_healthy(root / "shop")
    shop = Shop.open(root / "shop")
    rows = shop.lake.read(EVENTS).num_rows if shop.lake.exists(EVENTS) else 0
    assert rows >= 40 * len(said), f"{rows} events of {len(said)} imported files"
    for number in range(2):
        done = import_files(shop, [str(root / f"{number}.csv")], "cdnow", progress=lambda *_: None, now=NOW)
        assert (done.stored + done.duplicate, done.rejected) == (40, 1), "counts"
        assert str(number) not in said or not done.stored, f"{done.stored} imported events were lost"
    events = shop.lake.read(EVENTS)
    assert len(set(events["event_id"].to_pylist())) == events.num_rows == 80, "events twice"
    tokens = sorted(set(events["user_token"].to_pylist()))
    assert {*Vault.open(shop).reveal(tokens)} == {f"c{n}" for n in range(7)}, "names are lost"
    shop.close()
    require_healthy(root / "shop")


# run, erasure, backup and restore of a shop with offers


def shop_with_a_run(root: Path) -> None:
    folder = root / "shop"
    create(folder)
    write_rules(folder, DEFAULT_SHOP, budget_cents=20_000)
    shop = Shop.open(folder)
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=60), seed=5)
    ingest_events(shop, world.history(100), received_at=world.now)
    run_until(shop, world, world.now + timedelta(days=30))
    shop.close()
    (root / "as_of").write_text(world.now.isoformat())


def tables_of(folder: Path) -> tuple[str, dict[str, list[str]]]:
    """Id of the last run, and every table as it left it."""
    shop = Shop.open(folder)
    try:
        snapshot = shop.snapshot()
        assert snapshot is not None, "no run"
        tables = {name: sorted(map(repr, snapshot.read(name).to_pylist())) for name in BY_NAME if name != EVENTS.name}
        assert tables["exposures"], "no exposures"
        return snapshot.run.run_id, tables
    finally:
        shop.close()


def run_again(root: Path) -> None:
    shop = Shop.open(root / "shop")
    finished = run_loop(shop, datetime.fromisoformat((root / "as_of").read_text()))
    shop.close()
    say(root, finished.run_id)


class CheckRun:
    """Compares a run's tables with what the first disk that has them shows; the last state is looked at last."""

    def __init__(self) -> None:
        self.expected: dict[str, dict[str, list[str]]] = {}

    def __call__(self, root: Path, said: list[str]) -> None:
        require_healthy(root / "shop")
        run_id, tables = tables_of(root / "shop")
        assert not said or said[-1] == run_id, "the completed run is lost"
        assert self.expected.setdefault(run_id, tables) == tables, "the tables of a run differ"
        shop = Shop.open(root / "shop")
        versions = shop.newest_snapshot().read("scores")["model_version"].drop_null().to_pylist()
        for version in sorted(set(versions)):
            folder = root / "shop" / "models" / version
            files = [path for path in folder.rglob("*") if path.is_file()]
            assert files, f"model {version} is lost"
            assert all(path.stat().st_size for path in files), f"model {version} has an empty file"
        shop.close()
        outbox = root / "shop" / "outbox" / run_id / "offers_file.csv"
        assert outbox.read_text().count("\n") == len(tables_for(tables, run_id)) + 1, "the outbox is not whole"


def tables_for(tables: dict[str, list[str]], run_id: str) -> list[str]:
    """Exposures of one run."""
    return [row for row in tables["exposures"] if repr(run_id) in row]


PERSON = "person"


def shop_with_somebody(root: Path) -> None:
    shop_with_a_run(root)
    outbox = next((root / "shop" / "outbox").glob("*/offers_file.csv"))
    (root / PERSON).write_text(outbox.read_text().splitlines()[1].split(",")[1])


def forget_person(root: Path) -> None:
    shop = Shop.open(root / "shop")
    forget(RequestContext.from_name(shop, now=NOW), user_id=(root / PERSON).read_text())
    shop.close()
    say(root, "forgotten")


def check_forgotten(root: Path, said: list[str]) -> None:
    user_id = (root / PERSON).read_text()
    if not said:
        require_healthy(root / "shop", but="erasures")
        shop = Shop.open(root / "shop")
        try:
            forget(RequestContext.from_name(shop, now=NOW), user_id=user_id)
        except NotFound:
            assert shop.store.is_current()
        shop.close()
    require_healthy(root / "shop")
    shop = Shop.open(root / "shop")
    vault = Vault.open(shop)
    token = vault.token("user_id", user_id)
    assert vault.reveal([token]) == [None], "the person's key is there again"
    assert token in vault.forgotten, "forgotten that they are forgotten"
    shop.close()
    for path in (root / "shop" / "outbox").rglob("*"):
        assert not path.is_file() or f",{user_id}," not in path.read_text(), f"still in {path.name}"
    for path in (root / "shop" / "lake").rglob("*.parquet"):
        if path.stat().st_size and path.parent.name != "_delta_log":
            values = pq.read_table(path).to_pylist()
            assert token not in repr(values), f"still in {path.relative_to(root)}"


def write_archive(root: Path) -> None:
    shop = Shop.open(root / "shop")
    backup(shop, root / "archive.tar.gz")
    shop.close()
    say(root, "written")


def check_archive(root: Path, said: list[str]) -> None:
    require_healthy(root / "shop")
    archive = root / "archive.tar.gz"
    if not archive.exists():
        assert not said, "the archive is lost"
        write_archive(root)
    restore(archive, root / "again", now=NOW)
    require_healthy(root / "again")
    assert tables_of(root / "again") == tables_of(root / "shop"), "the archive differs"


def workspace_in_archive(root: Path) -> None:
    shop_with_a_run(root)
    shop = Shop.open(root / "shop")
    backup(shop, root / "archive.tar.gz")
    shop.close()


def restore_archive(root: Path) -> None:
    restore(root / "archive.tar.gz", root / "again", now=NOW)
    say(root, "restored")


def check_restored(root: Path, said: list[str]) -> None:
    folder = root / "again"
    if not folder.exists() or not any(folder.iterdir()):
        assert not said, "what was restored is lost"
        restore(root / "archive.tar.gz", folder, now=NOW)
    require_healthy(folder)
    assert tables_of(folder) == tables_of(root / "shop"), "what was restored differs"
    files = [{path.relative_to(one) for path in one.rglob("*") if path.is_file()} for one in folder_pair(root)]
    assert files[0] == files[1], f"models are lost: {len(files[0] ^ files[1])} files"


def folder_pair(root: Path) -> tuple[Path, Path]:
    return root / "again" / "models", root / "shop" / "models"


# files for people


def write_files(root: Path) -> None:
    for word in ("first", "second"):
        with private_file(root / "export.json") as out:
            out.write(word.encode() * 1_000)
        say(root, word)


def check_files(root: Path, said: list[str]) -> None:
    path = root / "export.json"
    if not path.exists():
        assert not said, "the file is lost"
        return
    text = path.read_text()
    assert text in {"first" * 1_000, "second" * 1_000}, f"half-written: {len(text)} characters"
    assert not said or text[:5] in said[-1] or said == ["first"], "the older file is back"


SLOW = 0.35
SCENARIOS = (
    Scenario("init", lambda _: None, make_workspace, check_new_workspace),
    Scenario("collect", new_workspace, collect, check_collected),
    Scenario("import", write_orders, import_orders, check_imported),
    Scenario("files", lambda _: None, write_files, check_files),
    Scenario("run", shop_with_a_run, run_again, CheckRun(), SLOW),
    Scenario("forget", shop_with_somebody, forget_person, check_forgotten, SLOW),
    Scenario("backup", shop_with_a_run, write_archive, check_archive, SLOW),
    Scenario("restore", workspace_in_archive, restore_archive, check_restored, SLOW),
)
