"""Honest requests next to hostile ones: how long do they wait, is memory flat, and does /health stay true?

`patron serve` runs as a process of its own. One honest sender (batches of 10 with a key in the header, single events
with the key in the body) and a reader of /health, each a request every 50 ms, meet attackers from the same address and
from others of this machine: stalled bodies with and without keys, endless headers, a byte now and then, 500 idle
connections, bursts of batches with a valid key, unknown keys with long bodies, huge bodies for the API, answers that
nobody reads. Every attack ends with its time; each has a bounded number of connections. The first tenth is calm.

    python benchmarks/collect/mixed_traffic.py [--minutes 2] [--full]

One table is printed; the exit code is 1 when an honest request waited 1 s or more at the 99th percentile or failed,
when memory grew by more than a quarter from the third to the last tenth, or when /health was not true.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import wire

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.storage.shop import Shop

PAUSE = 0.05
TIMEOUT = 10.0
TENTHS = 10
CHANCE = random.Random(1)  # noqa: S311 - attacks in any order
SAME, OTHER = "127.0.0.1", "127.0.0.2"


@dataclass
class Traffic:
    """Where requests go, until when, and what became of them."""

    port: int
    key: str
    until: float
    latencies: list[float] = field(default_factory=list)
    health: Counter = field(default_factory=Counter)
    honest: Counter = field(default_factory=Counter)
    hostile: Counter = field(default_factory=Counter)

    def goes_on(self) -> bool:
        return time.monotonic() < self.until

    async def connect(self, peer: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opening = asyncio.open_connection("127.0.0.1", self.port, local_addr=(peer, 0))
        return await asyncio.wait_for(opening, TIMEOUT)

    def head(self, line: str, length: int | None = None, key: str = "") -> bytes:
        lines = [f"{line} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
        lines += [f"authorization: Basic {b64encode(f'{key}:'.encode()).decode()}"] if key else []
        lines += [f"content-length: {length}"] if length is not None else []
        return "\r\n".join([*lines, "", ""]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT)).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
    return int(head.split()[1]), await asyncio.wait_for(reader.readexactly(length), TIMEOUT)


async def send_events(traffic: Traffic, peer: str, *, is_keyed: bool) -> None:
    """An honest sender: a new event each time, on a connection that it keeps; it repeats what 503 asks to repeat."""
    reader = writer = None
    while traffic.goes_on():
        event = wire.event() | {"messageId": str(uuid4())}
        body = json.dumps({"batch": [event] * 10} if is_keyed else event | {"writeKey": traffic.key}).encode()
        post = traffic.head(f"POST /v1/{'batch' if is_keyed else 'track'}", len(body), traffic.key if is_keyed else "")
        since, status = time.monotonic(), 0
        try:
            status = 0
            for attempt in range(5):
                if writer is None or writer.is_closing() or reader is None or reader.at_eof():
                    reader, writer = await traffic.connect(peer)
                writer.write(post + body)
                try:
                    status, _ = await answer(reader)
                except (ConnectionError, asyncio.IncompleteReadError):
                    status = 0
                if status in {0, 408, 503}:  # as the clients do: an idle connection was closed, or it is told to wait
                    writer.close()
                    writer = None
                    traffic.honest[f"repeated after {status or 'a closed connection'}"] += 1
                    await asyncio.sleep(0.05 * attempt)
                    continue
                break
            traffic.honest["sent" if status == 200 else f"failed: {status}"] += 1
        except (OSError, TimeoutError) as error:
            traffic.honest[f"failed: {type(error).__name__}"] += 1
            writer = None
        traffic.latencies.append(time.monotonic() - since)
        await asyncio.sleep(PAUSE)


async def ask_health(traffic: Traffic) -> None:
    while traffic.goes_on():
        since = time.monotonic()
        try:
            reader, writer = await traffic.connect(SAME)
            writer.write(traffic.head("GET /health"))
            status, body = await answer(reader)
            writer.close()
            state = json.loads(body)
            traffic.health[status == 200 and state["is_accepting"] and state["status"] == "ok"] += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            traffic.health[False] += 1
        traffic.latencies.append(time.monotonic() - since)
        await asyncio.sleep(PAUSE)


Attack = Callable[[Traffic, str], Awaitable[None]]


async def hold(traffic: Traffic, peer: str, start: bytes, drip: bytes = b"", every: float = 1.0) -> None:
    """Send a start, then little or nothing, until the server has enough of it."""
    reader, writer = await traffic.connect(peer)
    try:
        writer.write(start)
        closing = asyncio.ensure_future(reader.read(1 << 16))
        while traffic.goes_on() and not closing.done():
            await asyncio.wait([closing], timeout=every)
            if drip and not closing.done():
                writer.write(drip)
        said = await closing if closing.done() else b""
        traffic.hostile[said[9:12].decode() if said else "closed"] += 1
    finally:
        writer.close()


async def stalled_body(traffic: Traffic, peer: str) -> None:
    key = CHANCE.choice(["", traffic.key])
    await hold(traffic, peer, traffic.head("POST /v1/batch", 4_000_000, key) + b" " * 3_900_000)


async def endless_headers(traffic: Traffic, peer: str) -> None:
    await hold(traffic, peer, b"GET / HTTP/1.1\r\n", b"x: " + b"y" * 8_000 + b"\r\n", 0.05)


async def slow_bytes(traffic: Traffic, peer: str) -> None:
    start = CHANCE.choice([b"GET /health HTTP/1.1\r\nx: ", traffic.head("POST /v1/track", 1_000, traffic.key)])
    await hold(traffic, peer, start, b"x", 2.0)


async def idle(traffic: Traffic, peer: str) -> None:
    await hold(traffic, peer, b"", every=30.0)


async def unknown_key(traffic: Traffic, peer: str) -> None:
    key = f"pk_write_{uuid4().hex}"
    await hold(traffic, peer, traffic.head("POST /v1/batch", 2_000_000, key) + b" " * 2_000_000)


async def huge_api_body(traffic: Traffic, peer: str) -> None:
    start = traffic.head(CHANCE.choice(["POST /api/people/forget", "POST /api/customers/lookup"]), 10**9)
    await hold(traffic, peer, start, b"x" * 1_000_000, 0.02)


async def burst(traffic: Traffic, peer: str) -> None:
    """Batches with a valid key, one after another without a pause, for a second; then quiet for four."""
    body = json.dumps({"batch": [wire.event() for _ in range(500)]}).encode()
    reader, writer = await traffic.connect(peer)
    until = time.monotonic() + 1.0
    with suppress(asyncio.IncompleteReadError):
        while time.monotonic() < until:
            writer.write(traffic.head("POST /v1/batch", len(body), traffic.key) + body)
            status, _ = await answer(reader)
            traffic.hostile[str(status)] += 1
    writer.close()
    await asyncio.sleep(4.0)


async def unread_answers(traffic: Traffic, peer: str) -> None:
    _, writer = await traffic.connect(peer)
    writer.write(traffic.head("GET /openapi.json") * 30)
    await asyncio.sleep(10)
    traffic.hostile["answers left unread"] += 1
    writer.close()


ATTACKS: tuple[tuple[Attack, int], ...] = (
    (stalled_body, 16),
    (endless_headers, 8),
    (slow_bytes, 32),
    (idle, 500),
    (unknown_key, 8),
    (huge_api_body, 4),
    (burst, 4),
    (unread_answers, 4),
)
"""Each attack, and how many of its kind are under way at once; half of them come from the honest sender's address."""


async def repeat(attack: Attack, traffic: Traffic, peer: str) -> None:
    await asyncio.sleep(CHANCE.random() * 2)
    while traffic.goes_on():
        with suppress(OSError, TimeoutError):
            await attack(traffic, peer)
        await asyncio.sleep(0.2)


def attackers(port: int, key: str, seconds: float) -> None:
    """All attacks, in a process of their own; what became of them is printed."""
    traffic = Traffic(port, key, time.monotonic() + seconds)

    async def attack() -> None:
        await asyncio.gather(
            *(repeat(one, traffic, (SAME, OTHER)[n % 2]) for one, count in ATTACKS for n in range(count))
        )

    asyncio.run(attack())
    print("attacks ended with:", ", ".join(f"{what} x {count:,}" for what, count in traffic.hostile.most_common()))


async def honest(traffic: Traffic) -> None:
    senders = [
        send_events(traffic, peer, is_keyed=is_keyed) for peer in (SAME, "127.0.0.3") for is_keyed in (True, False)
    ]
    await asyncio.gather(*senders, ask_health(traffic))


async def measure(traffic: Traffic, pid: int, seconds: float) -> list[tuple[float, int, np.ndarray]]:
    """Memory of the server and latencies of honest requests, each tenth of the time."""
    task, tenths = asyncio.ensure_future(honest(traffic)), []
    for _ in range(TENTHS):
        before, peak = len(traffic.latencies), 0.0
        end = time.monotonic() + seconds / TENTHS
        while time.monotonic() < end:
            await asyncio.sleep(min(0.5, seconds / TENTHS))
            peak = max(peak, wire.memory_mb(pid))
        tenths.append((peak, before, np.array(traffic.latencies[before:])))
        p50, p99 = np.percentile(tenths[-1][2], [50, 99]) * 1000
        print(
            f"{len(tenths) * seconds / TENTHS:>7.0f} s{peak:>9,.0f} MB{p50:>9.1f} ms p50{p99:>9.1f} ms p99", flush=True
        )
    await task
    return tenths


def report(traffic: Traffic, start_mb: float, tenths: list[tuple[float, int, np.ndarray]]) -> bool:
    """Print the table; whether everything held."""
    p50, p99 = np.percentile(np.array(traffic.latencies), [50, 99])
    peaks = [peak for peak, _, _ in tenths]
    failed = sum(count for what, count in traffic.honest.items() if what.startswith("failed"))
    true_share = traffic.health[True] / max(traffic.health.total(), 1)
    print(f"\n{'honest requests':<28}{len(traffic.latencies):>12,}   ({dict(traffic.honest)})")
    print(
        f"{'p50, p99, longest':<28}{p50 * 1000:>9.1f} ms{p99 * 1000:>9.1f} ms{max(traffic.latencies) * 1000:>9.1f} ms"
    )
    print(f"{'failed':<28}{failed:>12,}")
    print(f"{'memory start, peak, end':<28}{start_mb:>9,.0f} MB{max(peaks):>9,.0f} MB{peaks[-1]:>9,.0f} MB")
    print(f"{'/health true':<28}{true_share:>12.2%}")
    return p99 < 1 and not failed and peaks[-1] < 1.25 * peaks[2] and true_share == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--full", action="store_true", help="30 minutes")
    options = parser.parse_args()
    seconds = 60 * (30.0 if options.full else options.minutes)
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
        folder = Path(place) / "shop"
        shop = Shop.create(folder)
        key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "bench").key
        shop.close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        patron = "import sys; from patron.__main__ import main; sys.exit(main())"
        command = [sys.executable, "-c", patron, "serve", "--workspace", str(folder), "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        try:
            wait_for(port)
            start_mb = wire.memory_mb(server.pid)
            calm = seconds / TENTHS
            code = f"import mixed_traffic, time; time.sleep({calm}); "
            code += f"mixed_traffic.attackers({port}, {key!r}, {seconds - calm})"
            hostile = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)  # noqa: S603 - our own
            traffic = Traffic(port, key, time.monotonic() + seconds)
            tenths = asyncio.run(measure(traffic, server.pid, seconds))
            hostile.wait(60)
            holds = report(traffic, start_mb, tenths)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    raise SystemExit(not holds)


def wait_for(port: int) -> None:
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("the server does not start")


if __name__ == "__main__":
    main()
