"""People at work in the console: 50 who are signed in click through a server of its own, and what it does meanwhile.

`python -m benchmarks.interfaces.clicks [WORKSPACE] [--users 50] [--clicks 20] [--minutes N] [--pause 5]`: each of them
opens one view after another and reads for `pause` seconds on average. Printed are p50 and p95 of each view, errors, and
the memory of the server before, after, and with `--minutes` each minute in between.
"""

import argparse
import gzip
import http.client
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from benchmarks.interfaces.large_shop import make_large_shop
from benchmarks.interfaces.views import views

from patron.govern.access.user_sessions import Browser, create_session
from patron.govern.access.users import Access, add_user, change_user
from patron.interfaces.http.access.access_control import SESSION_COOKIE
from patron.schema.access.access_rights import Role
from patron.storage.shop import Shop

MINUTES = 45
"""Longest time that `benchmarks/run.py` gives it."""
START_SECONDS = 120
PREPARATION_SECONDS = 180
"""How long to wait until the server has nothing more to prepare."""
TIMEOUT_SECONDS = 60


class Clicks:
    """What everybody has clicked so far: the milliseconds of each answer by view, and what went wrong."""

    def __init__(self) -> None:
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []
        self._lock = threading.Lock()

    def add(self, view: str, milliseconds: float, problem: str = "") -> None:
        with self._lock:
            self.took[view].append(milliseconds)
            if problem:
                self.problems.append(f"{view}: {problem}")

    def lines(self) -> Iterator[str]:
        """A table of the views."""
        yield f"{'ms':26} {'clicks':>7} {'p50':>7} {'p95':>7} {'max':>7}"
        everything = [one for took in self.took.values() for one in took]
        for name, took in [*self.took.items(), ("all", everything)]:
            p50, p95 = np.percentile(took, [50, 95])
            yield f"{name:26} {len(took):7,} {p50:7.0f} {p95:7.0f} {max(took):7.0f}"
        yield f"{len(self.problems)} errors"
        yield from (f"  {problem}" for problem in self.problems[:5])


def sign_in(shop: Shop, users: int) -> list[str]:
    """Make people who may see everything; return the cookie of a session of each."""
    at, cookies = datetime.now(UTC), []
    with shop.store.begin() as connection:
        for number in range(users):
            email = f"reader-{number}-{at:%H%M%S}@shop.example"
            access = Access((Role.MARKETER, Role.ANALYST))
            user = add_user(connection, email, f"Reader {number}", access, by="benchmark", at=at)
            change_user(connection, user, state="active")
            secret = create_session(connection, user, Browser("127.0.0.1", "benchmark"), has_second_factor=True, at=at)
            cookies.append(f"{SESSION_COOKIE}={secret}; screen=wide")
    return cookies


@contextmanager
def server(workspace: Path) -> Iterator[tuple[int, int]]:
    """Run `patron serve`; give its port and process id, and stop it afterwards."""
    code = "from patron.interfaces.cli import main; import sys; sys.argv[0] = 'patron'; main()"
    command = [sys.executable, "-u", "-c", code, "serve", "--workspace", str(workspace), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield int(line.split("127.0.0.1:")[1].split("/")[0]), process.pid
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def resident_mb(process: int) -> float:
    """Memory of a process that is in RAM, MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def processor_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(process: int) -> None:
    """Wait while the server prepares what its first readers will ask for."""
    until = time.monotonic() + PREPARATION_SECONDS
    while time.monotonic() < until:
        before = processor_seconds(process)
        time.sleep(3)
        if processor_seconds(process) - before < 0.1:
            return


def click(port: int, cookie: str, addresses: list[tuple[str, str]], clicks: Clicks, pause: float, until: float) -> None:
    """One person's clicks, until a time."""
    chance = random.Random(cookie)  # noqa: S311 - when somebody clicks is no secret
    time.sleep(chance.uniform(0, pause))
    for view, path in addresses:
        if time.monotonic() > until:
            break
        since, problem = time.perf_counter(), ""
        # why a new one: the server closes one that is idle for five seconds, and browsers then open another
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path, headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            content = answer.read()
            problem = "" if answer.status == 200 else f"{answer.status} {words_of(content)}"
        except (OSError, http.client.HTTPException) as error:
            problem = repr(error)
        finally:
            connection.close()
        clicks.add(view, 1000 * (time.perf_counter() - since), problem)
        time.sleep(chance.expovariate(1 / pause))


def words_of(page: bytes) -> str:
    """What a compressed page of a refusal says."""
    _, _, main = gzip.decompress(page).decode().partition("<main")
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())[:300]


def walks(shop: Shop, users: int, length: int) -> list[list[tuple[str, str]]]:
    """What each person opens, in order: half of it customers, whom nobody else opens."""
    every = views(shop)
    of_customers = [name for name in every if name.startswith("customer,") or name == "customer"]
    others = [name for name in every if name not in of_customers]
    many = views(shop, seed=1, states=max(1, users * length // len(of_customers) // 2 + 1))
    fresh = [(name, path) for name in of_customers for path in many[name]]
    chance = random.Random(17)  # noqa: S311 - a benchmark
    chance.shuffle(fresh)
    paths = iter(fresh)
    result = []
    for _ in range(users):
        walk = []
        for step in range(length):
            name = chance.choice(others)
            walk.append(next(paths, fresh[0]) if step % 2 else (name, chance.choice(every[name])))
        result.append(walk)
    return result


def main() -> None:
    """Print how the server did."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", nargs="?", type=Path)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--pause", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.workspace or Path(scratch) / "shop"
        customers = int(os.environ.get("PATRON_BENCHMARK_CUSTOMERS", "100000"))
        shop = Shop.open(folder) if options.workspace else make_large_shop(folder, customers)
        length = int(60 * options.minutes / options.pause) + 1 if options.minutes else options.clicks
        cookies, everybody = sign_in(shop, options.users), walks(shop, options.users, length)
        shop.close()
        with server(folder) as (port, process):
            wait_until_idle(process)
            _measure(port, process, cookies, everybody, options)


def _measure(
    port: int, process: int, cookies: list[str], everybody: list[list[tuple[str, str]]], options: argparse.Namespace
) -> None:
    clicks, start, busy = Clicks(), time.monotonic(), processor_seconds(process)
    until = start + 60 * (options.minutes or MINUTES)
    people = [
        threading.Thread(target=click, args=(port, cookie, walk, clicks, options.pause, until), daemon=True)
        for cookie, walk in zip(cookies, everybody, strict=True)
    ]
    print(f"prepared: {resident_mb(process):,.0f} MB resident, {busy:.0f} s of processor time")
    for person in people:
        person.start()
    for minute in range(1, int(options.minutes or MINUTES) + 1):
        while time.monotonic() < start + 60 * minute and any(person.is_alive() for person in people):
            time.sleep(1)
        count = sum(map(len, clicks.took.values()))
        memory, load = resident_mb(process), os.getloadavg()[0]
        print(f"minute {minute}: {count:,} clicks, {memory:,.0f} MB, load {load:.1f}", flush=True)
        if not any(person.is_alive() for person in people):
            break
    for person in people:
        person.join(TIMEOUT_SECONDS)
    took, worked = time.monotonic() - start, processor_seconds(process) - busy
    print(*clicks.lines(), sep="\n")
    print(f"{took:.0f} s, {worked:.0f} s of processor time, {resident_mb(process):,.0f} MB resident at the end")


if __name__ == "__main__":
    main()
