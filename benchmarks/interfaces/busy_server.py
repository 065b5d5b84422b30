"""A shop's busy night: people click, events arrive, runs work beside, and with `--kills` processes are killed.

    PYTHONPATH=. python benchmarks/interfaces/busy_server.py [--minutes 30] [--users 50] [--rate 1000]
        [--customers 20000] [--kills 0]

`patron serve` runs as a process of its own on a simulated shop with `--customers`, which gets a mailing to 2,000
people, `--rate` events a second in batches of 100 (1 in 20 batches is sent twice, 1 event in 100 cannot be read), and
`--users` who are signed in and click every 5 s. Beside it runs follow one another as a nightly run would, between them
an import and an erasure. With `--kills`, `kill -9` hits the server, one of its processes that answer, its compaction, a
sender of messages or the command beside at random moments, and what was killed is started again as its documentation
says.

Printed are pages, answers of /health, memory each minute, and the accounts: every event that was acknowledged is stored
once, is a duplicate or a dead letter; every message was sent, refused, or is of unknown outcome; nobody was written to
twice; `patron doctor` finds no problem. Exit code 1 when one of them does not hold.
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa
from benchmarks.campaigns import mailing
from benchmarks.interfaces.clicks import Clicks, click, resident_mb, sign_in, wait_until_idle, walks

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.commands.access.manage_keys import create_key
from patron.commands.data.doctor import doctor
from patron.govern.access.request_context import RequestContext
from patron.schema.data.counts import IngestionCounts
from patron.schema.tables import EVENTS
from patron.service.answer_process import AnswerProcess
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS

MINUTES = 60
"""Longest time that `benchmarks/run.py` gives it."""
HISTORY_DAYS, LATER_DAYS = 200, 100
"""Days of history before the first run, and days that runs of the night may move on."""
BATCH = 100
SOURCE = "busy"
MAILS, MAIL_SECONDS = 2_000, 0.1
PATIENCE_SECONDS = 120
HEALTH_EVERY = 0.5
DOCTOR_SECONDS = 60
SLOWEST_SECONDS = 1.0
WAIT = ("--wait", "600")
"""Of a command beside: events are stored all the time."""
GROWTH = 1.05
"""Most that memory may grow in the last third."""
VICTIMS = ("server", "answers", "compaction", "sender", "command")
"""What is killed with `--kills`."""
FAULT = re.compile(r": 5(?!03)\d\d ")
"""Of what a page that failed says: 503 asks to try again, which is right after a kill."""
MODULES = {"answers": AnswerProcess.module, "compaction": "patron.service.compaction_worker"}


@dataclass
class Night:
    """What happened so far."""

    folder: Path
    port: int
    until: float
    is_killed: bool
    """Whether processes are killed: then requests may fail, and are repeated."""
    rng: random.Random
    clicks: Clicks = field(default_factory=Clicks)
    health: list[float] = field(default_factory=list)
    answered: IngestionCounts = field(default_factory=IngestionCounts)
    events: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    restarts: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    beside: subprocess.Popen | None = None
    beside_name: str = ""
    sender: subprocess.Popen | None = None

    def goes_on(self) -> bool:
        return time.monotonic() < self.until

    def require(self, is_right: object, what: str) -> None:
        if not is_right:
            self.faults.append(what)
            print(f"  WRONG: {what}", flush=True)

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes | None:
        """The body of an answer of 200, or None."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return content if answer.status == 200 else None


def make_shop(place: Path, customers: int, mail_port: int) -> tuple[Path, ShopSimulator, list[str], list[str]]:
    """A shop with people to write to, a simulated history, some of its users, and a run."""
    folder = place / "shop"
    shop, people = mailing.make_people(folder, MAILS, mail_port, days=HISTORY_DAYS)
    shop.close()
    start = date.fromordinal(datetime.now(UTC).date().toordinal() - HISTORY_DAYS - LATER_DAYS)
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=customers, start=start), seed=7)
    history = place / "history.parquet"
    events = world.history(HISTORY_DAYS)
    pq.write_table(events, history)
    command(folder, "import", "--mapping", "patron", str(history)).wait()
    command(folder, "run", "--as-of", world.now.isoformat()).wait()
    users = sorted(set(events["user_id"].drop_null().slice(0, 5_000).to_pylist()))
    return folder, world, people, users


def command(folder: Path, *args: str, low: bool = False) -> subprocess.Popen:
    """Start `patron` with a workspace; `low` for the priority that the server gives its own jobs."""
    line = [*(["nice"] if low else []), sys.executable, "-m", "patron", *args, "--workspace", str(folder)]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL)  # noqa: S603 - patron


class Server:
    """`patron serve`, which can be started again after a kill."""

    def __init__(self, night: Night) -> None:
        """Start it."""
        self.night = night
        self.process = self._started()

    def start(self) -> None:
        self.process = self._started()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def _started(self) -> subprocess.Popen:
        since = time.monotonic()
        process = command(self.night.folder, "serve", "--port", str(self.night.port))
        while self.night.request("GET", "/health") is None and time.monotonic() - since < PATIENCE_SECONDS:
            time.sleep(0.05)
        self.night.restarts.append(time.monotonic() - since)
        return process


def post_events(night: Night, key: str, rate: float, first: int, step: int) -> None:
    """Post batches as often as the rate asks; each again until it is acknowledged."""
    number, due = first, time.monotonic()
    while night.goes_on():
        messages = [message(number * BATCH + n) for n in range(BATCH)]
        body = json.dumps({"batch": messages, "writeKey": key}).encode()
        for _ in range(2 if number % 20 == 0 else 1):
            while (answer := night.request("POST", "/v1/batch", body)) is None:
                night.events["repeated"] += 1
                night.require(night.is_killed, "the collector did not answer")
                time.sleep(0.2)
            found = json.loads(answer)
            with night.lock:
                night.answered += IngestionCounts(**{name: found[name] for name in ("stored", "duplicate", "rejected")})
                night.events["sent"] += BATCH
        number += step
        due += BATCH * step / rate
        time.sleep(max(0.0, due - time.monotonic()))


def message(number: int) -> dict[str, object]:
    """One event; every hundredth names no event, so that it cannot be read."""
    return {
        "type": "track",
        "event": "Product Viewed" if number % 100 else "",
        "messageId": str(UUID(int=number + (1 << 100))),
        "userId": f"visitor-{number % 50_000}",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"product_id": "p1", "price": 19.9, "category": "Shoes", "currency": "USD"},
        "context": {"locale": "en-US"},
    }


def ask_health(night: Night) -> None:
    while night.goes_on():
        since = time.monotonic()
        content = night.request("GET", "/health")
        if content is not None:
            night.health.append(time.monotonic() - since)
        elif not night.is_killed:
            night.require(False, "/health did not answer")
        time.sleep(HEALTH_EVERY)


def work_beside(night: Night, place: Path, world: ShopSimulator, forgettable: Iterator[str]) -> None:
    """Runs, and between them an import and an erasure; each is repeated until it ends well."""
    day = world.now
    while night.goes_on():
        file = place / f"day-{day:%Y%m%d}-{night.jobs.total()}.parquet"
        day += timedelta(days=1)
        pq.write_table(world.advance(day), file)
        for name, args in (
            ("import", ("--mapping", "patron", str(file))),
            ("forget", ("--user-id", next(forgettable), "--yes")),
            ("run", ("--as-of", day.isoformat())),
        ):
            while night.goes_on():
                night.beside, night.beside_name = command(night.folder, name, *args, *WAIT, low=True), name
                code = night.beside.wait()
                if code == 0:
                    night.jobs[name] += 1
                    break
                night.require(code == -signal.SIGKILL, f"{name} ended with {code}")
    night.beside = None


def send_beside(night: Night, taken: Path) -> None:
    """A second sender, next to the server's: started every 2 s while messages remain, then every minute."""
    while night.goes_on():
        night.sender = command(night.folder, "campaign", "send", mailing.NAME, "--due")
        night.sender.wait()
        time.sleep(2 if len(taken.read_text(encoding="utf-8").split()) < MAILS else 60)
    night.sender = None


def kill_at_random(night: Night, server: Server, count: int) -> None:
    """Kill so many processes, spread over the time."""
    begun, seconds = time.monotonic(), night.until - time.monotonic() - PATIENCE_SECONDS / 2
    moments = sorted(night.rng.uniform(0, seconds) for _ in range(count))
    for moment in moments:
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        # why more than one: the first may not be at work at this moment
        for victim in night.rng.sample(VICTIMS, len(VICTIMS)):
            if kill(night, server, victim):
                break


def kill(night: Night, server: Server, victim: str) -> bool:
    """Kill a process; False where it is not at work. The server is started again."""
    if victim == "server":
        server.process.kill()
        server.process.wait()
        night.kills[victim] += 1
        server.start()
        return True
    if victim in MODULES:
        children = children_of(server.process.pid, MODULES[victim])
        pid = night.rng.choice(children) if children else None
    else:
        process = night.beside if victim == "command" else night.sender
        pid = process.pid if process and process.poll() is None else None
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    night.kills[night.beside_name if victim == "command" else victim] += 1
    return True


def children_of(server: int, module: str) -> list[int]:
    """Processes of a module that a server has started."""
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            is_child = int(path.read_text().rpartition(")")[2].split()[1]) == server
            if is_child and module in path.with_name("cmdline").read_text().split("\0"):
                children.append(int(path.parent.name))
    return children


def memory_of(server: int) -> float:
    """Memory of a server and of its processes that answer, MB."""
    return sum(map(resident_mb, (server, *children_of(server, MODULES["answers"]))))


def watch(night: Night, server: Server) -> None:
    begun = time.monotonic()
    for minute in range(1, MINUTES):
        while night.goes_on() and time.monotonic() < begun + 60 * minute:
            time.sleep(1)
        if not night.goes_on():
            return
        with suppress(OSError, IndexError):
            night.memory.append(memory_of(server.process.pid))
        clicks, memory = sum(map(len, night.clicks.took.values())), night.memory[-1] if night.memory else 0
        so_far = f"{clicks:,} clicks, {night.events['sent']:,} events, {memory:,.0f} MB, load {os.getloadavg()[0]:.1f}"
        print(f"minute {minute}: {so_far}, {dict(night.jobs)}, {dict(night.kills)}", flush=True)


@contextmanager
def together(night: Night, *works: Callable[[], None]) -> Iterator[None]:
    """Do several works at once; one that fails, or does not end, is a fault."""

    def do(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a work that ended early would have asked for less
            night.require(False, f"a work of the benchmark ended with {error!r}")

    threads = [threading.Thread(target=do, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(max(0.0, night.until - time.monotonic()) + 5 * PATIENCE_SECONDS)
        night.require(not thread.is_alive(), "a work of the benchmark does not end")


def settle_accounts(night: Night, taken: Path) -> None:
    """Compare what was acknowledged with what is there."""
    shop = Shop.open(night.folder)
    shop.wait_seconds = PATIENCE_SECONDS
    with shop.commit_lock():
        drain_inbox(shop)
    with open_inbox(shop) as inbox:
        inbox.check()
        counts = inbox.counts()[SOURCE]
        night.require(not inbox.pending_count(), "requests stay in the inbox")
    with shop.engine.connect() as con:
        query = f"select count(*), count(distinct event_id) from ({shop.lake.relation(EVENTS)}) where source = $source"
        rows, distinct = con.sql(query, params={"source": SOURCE}).fetchall()[0]
    with shop.store.begin() as connection:
        letters = sa.select(sa.func.count()).select_from(DEAD_LETTERS).where(DEAD_LETTERS.c.source == SOURCE)
        dead = connection.scalar(letters)
        states = Counter(connection.scalars(sa.select(MESSAGES.c.state)))
    shop.close()
    sent = night.answered
    print(f"events: {night.events['sent']:,} acknowledged, of them {sent}; repeated {night.events['repeated']}")
    print(f"        the inbox counts {counts}; in the lake {rows:,} rows, {distinct:,} ids; {dead:,} dead letters")
    night.require(sent.stored + sent.duplicate + sent.rejected == night.events["sent"], "answers do not add up")
    night.require(rows == distinct, f"{rows - distinct} events are there twice")
    night.require(rows == counts.stored, f"{counts.stored - rows} events that the inbox counts are not in the lake")
    night.require(dead == rows // (BATCH - 1), "not every event that cannot be read is one dead letter")
    # why: where an answer was lost with a kill, the repetition is a duplicate
    night.require(rows >= sent.stored and (night.is_killed or rows == sent.stored), "acknowledged events are lost")
    received = taken.read_text(encoding="utf-8").split()
    twice = len(received) - len(set(received))
    print(f"messages: {dict(states)}; {len(received):,} arrived, {twice} twice")
    night.require(states.total() == MAILS, f"{MAILS - states.total()} messages are on no record")
    night.require(not twice, f"{twice} people were written to twice")
    night.require(len(set(received)) >= states["sent"], "messages are on record as sent and did not arrive")
    since = time.monotonic()
    findings = [one for one in doctor(night.folder) if one.level == "problem"]
    print(f"doctor: {len(findings)} problems, {time.monotonic() - since:.0f} s")
    night.require(not findings, f"doctor: {findings[:3]}")
    night.require(time.monotonic() - since < DOCTOR_SECONDS, "doctor takes too long")


def report(night: Night) -> None:
    print(*night.clicks.lines(), sep="\n")
    every = [one for took in night.clicks.took.values() for one in took]
    p50, p99, longest = np.percentile(night.health, [50, 99, 100]) * 1000
    print(f"/health: {len(night.health):,} answers, {p50:.0f} ms median, {p99:.0f} ms p99, {longest:.0f} ms longest")
    third = len(night.memory) // 3
    growth = np.median(night.memory[-max(1, third // 3) :]) / np.median(night.memory[-third:][: max(1, third // 3)])
    print(f"memory: {night.memory[0]:,.0f} MB first, {night.memory[-1]:,.0f} last; {growth:.2f} x over the last third")
    print(f"beside: {dict(night.jobs)}; killed: {dict(night.kills)}, {night.kills.total()} in all")
    if night.restarts[1:]:
        print(f"/health answered {max(night.restarts[1:]):.1f} s after a start at the latest")
    faulty = [one for one in night.clicks.problems if FAULT.search(one)]
    night.require(not faulty, f"{len(faulty)} pages are faults: {faulty[:3]}")
    if not night.is_killed:
        # why: somebody opens the page of a person who was forgotten a moment ago
        failed = [one for one in night.clicks.problems if not (one.startswith("customer") and ": 404 " in one)]
        night.require(not failed, f"{len(failed)} pages failed")
        night.require(len(night.clicks.problems) - len(failed) <= night.jobs["forget"], "people are not found")
        night.require(np.percentile(every, 95) <= 1000 * SLOWEST_SECONDS, "pages take too long")
        night.require(longest <= 1000 * SLOWEST_SECONDS, "/health takes too long")
        night.require(growth <= GROWTH, "memory grows")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rate", type=float, default=1_000.0)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["XDG_CONFIG_HOME"] = str(place / "config")
        taken = place / "recipients"
        with mailing.mail_server(taken, seconds=MAIL_SECONDS) as mail_port:
            since = time.monotonic()
            folder, world, people, users = make_shop(place, options.customers, mail_port)
            shop = Shop.open(folder)
            key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), SOURCE).key
            mailing.approve_mailing(shop, people, datetime.now(UTC))
            length = int(60 * options.minutes / 5) + 1
            cookies, everybody = sign_in(shop, options.users), walks(shop, options.users, length)
            shop.close()
            print(f"{options.customers:,} customers, made in {time.monotonic() - since:.0f} s", flush=True)
            night = Night(folder, free_port(), 0.0, bool(options.kills), random.Random(3))  # noqa: S311 - moments
            server = Server(night)
            wait_until_idle(server.process.pid)
            for answers in children_of(server.process.pid, MODULES["answers"]):
                wait_until_idle(answers)
            night.until = time.monotonic() + 60 * options.minutes
            senders = max(1, round(options.rate / 500))
            with together(
                night,
                *(lambda n=n: post_events(night, key, options.rate, n, senders) for n in range(senders)),
                *(
                    lambda cookie=cookie, walk=walk: click(night.port, cookie, walk, night.clicks, 5.0, night.until)
                    for cookie, walk in zip(cookies, everybody, strict=True)
                ),
                lambda: ask_health(night),
                lambda: work_beside(night, place, world, iter(users)),
                lambda: send_beside(night, taken),
                lambda: watch(night, server),
                *([lambda: kill_at_random(night, server, options.kills)] if options.kills else []),
            ):
                pass
            server.stop()
            report(night)
            settle_accounts(night, taken)
    print(f"{len(night.faults)} wrong")
    raise SystemExit(bool(night.faults))


def free_port() -> int:
    with mailing.socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    main()
