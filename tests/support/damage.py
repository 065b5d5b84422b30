"""Damage one part of a workspace, ask every command, and say whether it was found, refused or made no difference."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa

from patron.commands.access.manage_keys import create_key
from patron.commands.data.backup import backup
from patron.commands.data.doctor import doctor
from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.govern.access.request_context import RequestContext
from patron.interfaces.cli import main
from patron.interfaces.http.application import create_app
from patron.interfaces.http.server.collector_protocol import CollectorProtocol
from patron.interfaces.report.html_report import write_report
from patron.run import run_loop
from patron.schema.access.access_rights import VISITOR
from patron.schema.errors import PatronError
from patron.schema.progress import silent
from patron.schema.tables import EVENTS, TABLES
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionWorker
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import Shop

SECONDS = 120
"""A command that takes longer hangs."""
KEY_FILE, LINES, MAPPING, ARCHIVE = "write.key", "lines.csv", "own-mapping.toml", "backup.tar.gz"
OWN_MAPPING = """
name = "own"
[[part]]
name = "orders"
event = "Order Completed"
id = ["order"]
[part.columns]
user_id = "customer"
order_id = "order"
occurred_at = "at"
revenue = "revenue"
"""
PLAN = {"properties": {"price": {"type": "number", "minimum": 0}}}
SQL = (
    "select (select count(*) from events) as events, (select sum(paid_cents) from orders) as paid,"
    " (select round(sum(value)) from scores) as scored"
)
FAULT = re.compile(r"Traceback|an error in Patron|Internal Server Error")
RUN_ROOT = re.compile(r"/[^\s'\"]*/home-[0-9a-z]+")


def build(home: Path, *, seed: int, now: datetime, days: int, customers: int, runs: int = 1) -> Path:
    """Make a workspace with one of everything, and its key, in a folder of its own; return the workspace."""
    with in_home(home):
        folder = home / "w"
        create(folder, {"name": f"Shop {seed}", "currency": "USD", "time_zone": "Europe/Berlin"})
        settings = replace(DEFAULT_SHOP, customers=customers)
        write_rules(folder, settings, budget_cents=5_000 + seed)
        (folder / "tracking").mkdir()
        (folder / "tracking" / "Product Viewed.json").write_text(json.dumps(PLAN | {"$comment": f"plan {seed}"}))
        (folder / MAPPING).write_text(OWN_MAPPING.replace('"own"', f'"own{seed}"'))
        shop = Shop.open(folder)
        world = ShopSimulator(settings, seed)
        ingest_events(shop, world.history(days), received_at=world.now)
        for _ in range(runs):
            run_loop(shop, world.now)
            ingest_events(shop, world.advance(world.now + timedelta(days=30)), received_at=world.now)
        finish(shop, seed, now=now, cutoff=world.now - timedelta(days=30))
        shop.close()
    return folder


def finish(shop: Shop, seed: int, *, now: datetime, cutoff: datetime) -> None:
    """Add what people and live traffic leave: a key, pending requests, an import, a report, an export, an archive."""
    key = create_key(RequestContext.from_name(shop, now=now), "live").key
    (shop.folder.parent / KEY_FILE).write_text(key)
    lines = [f"{n},o{seed}-{n},{cutoff - timedelta(days=n):%Y-%m-%d},{10 + n}" for n in range(1, 9)]
    (shop.folder.parent / LINES).write_text("\n".join(["customer,order,at,revenue", *lines]))
    import_files(shop, [str(shop.folder.parent / LINES)], str(shop.folder / MAPPING), now=now, progress=silent)
    write_report(shop, shop.folder / "report.html")
    backup(shop, shop.folder / ARCHIVE)
    collector = Collector(shop, None)
    collector.start()
    for n in range(5):
        body = {"batch": [{"type": "track", "event": "Product Viewed", "userId": f"u{n}", "messageId": f"s{seed}m{n}"}]}
        sender = collector.admit(key, "batch", now=now)
        collector.receive(json.dumps(body).encode(), "batch", sender=sender, received_at=now).counts.result(30)
        if n == 2:
            CompactionWorker(shop).run_once()
    collector.stop()


@contextlib.contextmanager
def in_home(home: Path) -> Iterator[None]:
    """Keep keys in a configuration folder of this home."""
    before = {name: os.environ.get(name) for name in ("XDG_CONFIG_HOME", "PATRON_MASTER_KEY")}
    os.environ["XDG_CONFIG_HOME"] = str(home / "config")
    os.environ.pop("PATRON_MASTER_KEY", None)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def kinds(folder: Path) -> dict[str, Path]:
    """One path for each kind of file or folder of a workspace, the newest in name order, relative to it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        found[_kind(str(relative) + ("/" if path.is_dir() else ""))] = relative
    return found


def _kind(path: str) -> str:
    """A path whose parts that differ from file to file are stars."""
    for pattern, star in (
        (r"part-[0-9a-f]+(-\d+)?\.parquet", "*.parquet"),
        (r"\d{20}\.json", "*.json"),
        (r"\d{20}\.checkpoint\.parquet", "*.checkpoint"),
        (r"(run_id|month)=[^/]+", r"\1=*"),
        (r"^outbox/[^/]+/", "outbox/*/"),
        (r"^(models/[^/]+)/[^/]+/", r"\1/*/"),
    ):
        path = re.sub(pattern, star, path)
    return path


@dataclass(frozen=True)
class Answer:
    """What a command answered: exit code, text for people, and what must be the same in a sound workspace."""

    code: int
    text: str
    content: object = None

    @property
    def is_fault(self) -> bool:
        """Whether Patron itself failed."""
        return self.code >= 70 or bool(FAULT.search(self.text))

    @property
    def is_refusal(self) -> bool:
        """Whether it was refused with something to do."""
        return self.code != 0 and bool(re.search(r"\. [A-Z`]", self.text))


def cli(*args: object) -> Answer:
    """Run one command of `patron` in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv, sys.argv = sys.argv, ["patron", *map(str, args)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            sys.argv = argv
    return Answer(code, RUN_ROOT.sub("HOME", err.getvalue() + out.getvalue()))


def ask_doctor(folder: Path) -> Answer:
    """Findings that are not fine."""
    findings = [finding for finding in doctor(folder) if finding.level != "ok"]
    texts = sorted(RUN_ROOT.sub("HOME", f"{finding.check}: {finding.what}. {finding.todo}") for finding in findings)
    return Answer(int(any(finding.level == "problem" for finding in findings)), "\n".join(texts), tuple(texts))


def ask_run(folder: Path) -> Answer:
    """Run the last cutoff again; the content is what its tables and outbox then hold."""
    shop = Shop.open(folder)
    last = shop.snapshot()
    as_of = None if last is None else last.run.as_of.isoformat()
    shop.close()
    done = cli("run", "-w", folder, "--as-of", as_of or "2024-01-01T00:00:00+00:00", "--json")
    return done if done.code else Answer(0, "", _tables(folder))


def ask_import(folder: Path) -> Answer:
    """Import more lines with the shop's own mapping; the content is what the events then hold."""
    more = folder.parent / "more.csv"
    more.write_text("customer,order,at,revenue\n1,more1,2024-02-01,12\n2,more2,2024-02-02,13\n")
    done = cli("import", "-w", folder, "--mapping", folder / MAPPING, more, "--json")
    if done.code:
        return done
    return Answer(0, "", (re.findall(r'"(?:stored|duplicate|rejected)": \d+', done.text), _events(folder)))


def ask_serve(folder: Path) -> Answer:
    """Start the collector, ask for health and a page, send an event, and move it into the lake."""
    shop = Shop.open(folder)
    try:
        return asyncio.run(_serve(shop, (folder.parent / KEY_FILE).read_text()))
    finally:
        shop.close()


async def _serve(shop: Shop, key: str) -> Answer:
    collector = Collector(shop, None)
    collector.start()
    try:
        app = CollectorProtocol(collector, create_app(shop, collector, visitor=VISITOR))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # pyright: ignore[reportArgumentType]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            body = {"type": "track", "event": "Product Viewed", "userId": "u9", "messageId": "new", "writeKey": key}
            answers = [
                await client.get("/health"),
                await client.get("/api/overview"),
                await client.get("/"),
                await client.post("/v1/track", json=body),
            ]
        worker = CompactionWorker(shop)
        worker.run_once()
    finally:
        collector.stop()
    trouble = f"{worker.trouble}\n" if worker.trouble else ""
    bad = [answer for answer in answers if answer.status_code >= 400]
    health = answers[0].json().get("trouble") or ""
    text = trouble + health + "\n".join(f"{one.status_code} {one.text[:2000]}" for one in bad)
    code = 1 if bad or trouble or health else 0
    return Answer(code, RUN_ROOT.sub("HOME", text), (_digest(answers[1].content), _event_count(shop)))


def ask_sql(folder: Path) -> Answer:
    """Sums over events, orders and scores."""
    done = cli("sql", "-w", folder, "--json", SQL)
    return Answer(done.code, done.text, done.text)


def ask_backup(folder: Path) -> Answer:
    """Write an archive; the content is the digest of every file in it but the databases."""
    path = folder.parent / "taken.tar.gz"
    done = cli("backup", "-w", folder, path)
    if done.code:
        return done
    digests = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file and not member.name.endswith((".db", "patron-backup.json")) and "_delta_log" not in member.name:
                name = re.sub(r"part-[0-9a-f]+", "part", member.name)
                digests.setdefault(name, []).append(_digest(file.read()) if "/events/" not in name else "")
    return Answer(0, "", {name: sorted(each) for name, each in digests.items()})


COMMANDS: dict[str, Callable[[Path], Answer]] = {
    "doctor": ask_doctor,
    "run": ask_run,
    "import": ask_import,
    "serve": ask_serve,
    "sql": ask_sql,
    "backup": ask_backup,
}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _rows_digest(rows: pa.Table) -> str:
    return _digest("\n".join(sorted(map(repr, rows.to_pylist()))).encode())


def _tables(folder: Path) -> object:
    shop = Shop.open(folder)
    try:
        snapshot = shop.snapshot()
        assert snapshot
        tables = {table.name: _rows_digest(snapshot.read(table.name)) for table in TABLES if table.name != "events"}
        outbox = {
            str(path.relative_to(folder)): _digest(path.read_bytes())
            for path in sorted((folder / "outbox" / snapshot.run.run_id).rglob("*"))
            if path.is_file()
        }
        return tables, outbox
    finally:
        shop.close()


def _events(folder: Path) -> str:
    shop = Shop.open(folder)
    try:
        return _rows_digest(shop.query(f"select * exclude (received_at, known_at) from ({shop.lake.relation(EVENTS)})"))
    finally:
        shop.close()


def _event_count(shop: Shop) -> int:
    return shop.newest_snapshot().query("select count(*) as n from events")["n"][0].as_py()


FAULTS = frozenset({"FAULT", "DIFFERS"})
DAMAGES = ("deleted", "emptied", "cut in half", "one bit flipped", "replaced")


def damage(path: Path, how: str, other: Path, rng: np.random.Generator) -> bool:
    """Damage a file or folder; whether that can be done to it."""
    if path.is_dir():
        return _damage_folder(path, how, other)
    content = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "cut in half":
        path.write_bytes(content[: len(content) // 2])
    elif how == "one bit flipped" and content:
        at = int(rng.integers(len(content)))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :])
    elif how == "replaced" and other.is_file() and other.read_bytes() != content:
        path.write_bytes(other.read_bytes())
    else:
        return False
    return True


def _damage_folder(path: Path, how: str, other: Path) -> bool:
    if how not in {"deleted", "emptied", "replaced"} or (how == "replaced" and not other.is_dir()):
        return False
    if how == "emptied" and not any(path.iterdir()):
        return False
    shutil.rmtree(path)
    if how == "emptied":
        path.mkdir()
    if how == "replaced":
        shutil.copytree(other, path)
    return True


@dataclass
class Matrix:
    """A sound workspace, another one, and what every command answers in the sound one."""

    home: Path
    other: Path
    scratch: Path
    seed: int = 1

    def __post_init__(self) -> None:
        self._count = 0
        self._other_kinds = kinds(self.other / "w")
        self.kinds = kinds(self.home / "w")
        self._sound: dict[str, Answer] = {}

    def sound(self, command: str) -> Answer:
        """What a command answers in the sound workspace."""
        if command not in self._sound:
            answer = self.ask(command, "", None, "")
            assert answer
            self._sound[command] = answer
        return self._sound[command]

    def ask(self, command: str, kind: str, path: Path | None, how: str) -> Answer | None:
        """Damage a copy and ask one command there; None where the damage cannot be done."""
        self._count += 1
        home = self.scratch / f"home-{self._count}"
        shutil.copytree(self.home, home)
        try:
            with in_home(home), _alarm():
                if path is not None:
                    rng = np.random.default_rng([self.seed, *kind.encode(), DAMAGES.index(how)])
                    other = self.other / "w" / self._other_kinds.get(kind, Path("none such"))
                    if not damage(home / "w" / path, how, other, rng):
                        return None
                return _safely(COMMANDS[command], home / "w")
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def verdict(self, command: str, answer: Answer, *, is_found: bool, is_editable: bool) -> str:
        """One word for a cell: fault, found, refused, same or differs (which only what people edit may)."""
        sound = self.sound(command)
        if answer.is_fault:
            return "FAULT"
        if answer.content == sound.content and answer.code == sound.code:
            return "same"
        if command == "doctor" or answer.is_refusal:
            return "found" if command == "doctor" else "refused"
        if answer.code:
            return "FAULT"
        if not is_editable:
            return "DIFFERS"
        is_harmless = _differs_in_itself_only(answer.content, sound.content)
        return "found" if is_found else "same" if is_harmless else "DIFFERS"

    def row(self, kind: str, how: str, commands: tuple[str, ...] = tuple(COMMANDS)) -> dict[str, tuple[str, str]]:
        """Verdict and text of each command for one damage to one kind of path; nothing where it cannot be done."""
        cells: dict[str, tuple[str, str]] = {}
        is_found = False
        for command in commands:
            answer = self.ask(command, kind, self.kinds[kind], how)
            if answer is None:
                return {}
            verdict = self.verdict(command, answer, is_found=is_found, is_editable=is_editable(kind))
            is_found = is_found or (command == "doctor" and verdict == "found")
            cells[command] = (verdict, answer.text)
        return cells


def _differs_in_itself_only(one: object, other: object) -> bool:
    """Whether two archives differ in a file that people edit only: a comment of it that is lost changes nothing."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return False
    return all(one.get(name) == other.get(name) or is_editable(name) for name in one.keys() | other.keys())


EDITABLE = ("patron.toml", "policy.toml", "tracking", MAPPING)


def is_editable(kind: str) -> bool:
    """Whether people edit it, so that a change may have been meant: doctor says that it changed."""
    return kind.startswith(EDITABLE)


def _safely(ask: Callable[[Path], Answer], folder: Path) -> Answer:
    try:
        return ask(folder)
    except PatronError as refusal:
        return Answer(1, RUN_ROOT.sub("HOME", str(refusal)))
    except TimeoutError:
        return Answer(99, f"hangs: longer than {SECONDS} seconds")
    except Exception as error:  # noqa: BLE001 - a fault is a result here
        return Answer(99, f"Traceback {type(error).__name__}: {RUN_ROOT.sub('HOME', str(error))}")


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
