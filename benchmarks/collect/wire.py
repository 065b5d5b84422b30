"""How fast the collector acknowledges durable events, next to the echo of the same server in the same run.

Batches of 100 over loopback, and single events; 10 million ids were seen before, and the whole application is loaded in
the server. The load comes from a second process. Printed are events a second and per processor second of the server's
process, which a noisy machine changes less, next to the echo (the same server answering 200 to the same bodies), and
the 99th percentile of the time to an answer.

    python benchmarks/collect/wire.py [--full]
"""

import asyncio
import json
import multiprocessing
import os
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import uuid4

import httptools
import numpy as np

from patron.__main__ import import_sparingly
from patron.collect.inbox.workspace_inbox import INBOX_FILE, open_inbox
from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.http.application import create_app
from patron.interfaces.http.server.collector_protocol import CollectorProtocol, Receive, Scope, Send
from patron.interfaces.http.server.server import run_server, server_config
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionProcess
from patron.storage.shop import Shop

SEEN = 10_000_000 if "--full" in sys.argv else 1_000_000
SECONDS = 20.0
CONNECTIONS = 16
BATCH = 100
PATIENCE = 120.0


def event() -> dict:
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": str(uuid4()),
        "userId": f"user-{uuid4().int % 50_000}",
        "timestamp": "2026-01-31T12:00:00.123Z",
        "properties": {"product_id": "p1", "price": 19.9, "category": "Shoes", "currency": "USD"},
        "context": {"library": {"name": "bench", "version": "1"}, "locale": "en-US"},
    }


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind: reads a body and answers as the collector would."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"16")]})
    await send({"type": "http.response.body", "body": b'{"success":true}'})


def serve(folder: Path, listener: socket.socket) -> None:
    import_sparingly()
    shop = Shop.open(folder)
    collector = Collector(shop, CompactionProcess(folder))
    loaded = create_app(shop, collector, visitor=None)

    async def application_or_echo(scope: Scope, receive: Receive, send: Send) -> None:
        await (echo if scope.get("path") == "/echo" else loaded)(scope, receive, send)

    collector.start()
    application = CollectorProtocol(collector, application_or_echo)
    run_server(server_config(application, shop.settings.collect, lifespan="off"), listener)
    collector.stop()


class Answers(asyncio.Protocol):
    """One connection that posts, waits for the answer, and posts again."""

    def __init__(
        self, bodies: Iterator[bytes], until: float, latencies: list[float], done: asyncio.Future[None]
    ) -> None:
        self.bodies, self.until, self.latencies, self.done = bodies, until, latencies, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.post()

    def post(self) -> None:
        if time.perf_counter() >= self.until or (body := next(self.bodies, None)) is None:
            self.transport.close()
            return
        self.parser = httptools.HttpResponseParser(self)
        self.since = time.perf_counter()
        self.transport.write(body)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self.parser.get_status_code() == 200, self.parser.get_status_code()
        self.latencies.append(time.perf_counter() - self.since)
        self.post()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is the protocol's
        self.done.set_result(None)


async def load(port: int, bodies: Iterable[bytes], seconds: float) -> tuple[float, np.ndarray]:
    loop, latencies = asyncio.get_running_loop(), []
    begun = time.perf_counter()
    shared, waiting = iter(bodies), []
    for _ in range(CONNECTIONS):
        done = loop.create_future()
        waiting.append(done)
        client = Answers(shared, begun + seconds, latencies, done)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*waiting)
    return time.perf_counter() - begun, np.array(latencies)


def posts(path: str, key: str, batch: int, count: int) -> list[bytes]:
    return posts_of(path, key, [{"batch": [event() for _ in range(batch)]} if batch else event() for _ in range(count)])


def posts_of(path: str, key: str, bodies: list[dict]) -> list[bytes]:
    requests = []
    for fields in bodies:
        body = json.dumps(fields | {"writeKey": key}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def fill(folder: Path) -> None:
    """Ids that were seen before."""
    shop = Shop.open(folder)
    open_inbox(shop).close()
    con = sqlite3.connect(folder / INBOX_FILE, isolation_level=None)
    rng = np.random.default_rng(1)
    for _ in range(SEEN // 1_000_000):
        ids = rng.integers(0, 2**32, (1_000_000, 4), dtype=np.uint32)
        ids[:, 3] = ids[:, 0] ^ ids[:, 1] ^ ids[:, 2]
        con.execute("begin")
        con.executemany(
            "insert or ignore into inbox_event_ids values (?)", ((identifier.tobytes(),) for identifier in ids)
        )
        con.execute("commit")
    con.close()
    shop.close()


def measure(name: str, pid: int, port: int, requests: list[bytes], seconds: float) -> float:
    """Events per processor second of the server's process."""
    events = BATCH if "batches" in name else 1
    before = processor_seconds(pid)
    wall, latencies = asyncio.run(load(port, requests, seconds))
    used = processor_seconds(pid) - before
    count = len(latencies) * events
    p50, p99 = np.percentile(latencies, [50, 99]) * 1000
    print(
        f"{name:<26}{count / wall:>12,.0f} events/s{count / used:>12,.0f} a processor second"
        f"{p50:>8.1f} ms median{p99:>8.1f} ms p99",
        flush=True,
    )
    return count / used


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
        folder = Path(place) / "shop"
        Shop.create(folder).close()
        shop = Shop.open(folder)
        key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "bench").key
        shop.close()
        since = time.perf_counter()
        fill(folder)
        print(f"{SEEN:,} ids seen before (filled in {time.perf_counter() - since:.0f} s)", flush=True)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = multiprocessing.get_context("fork").Process(target=serve, args=(folder, listener))
        server.start()
        pid, port = server.pid or 0, listener.getsockname()[1]
        time.sleep(5 + SEEN / 1_000_000)
        for name, batch, count in (("batches of 100", BATCH, 6_000), ("single events", 0, 60_000)):
            path = "/v1/batch" if batch else "/v1/track"
            plain = measure(f"{name}, echo", pid, port, posts("/echo", key, batch, count // 4), SECONDS / 4)
            durable = measure(f"{name}, durable", pid, port, posts(path, key, batch, count), SECONDS)
            share = f"{durable / plain:.1%} of the echo a processor second"
            print(f"{name}: durable is {share}, {wait_until_moved(folder)}", flush=True)
        memory = memory_mb(pid)
        print(f"memory of the server: {memory:,.0f} MB; inbox {size_mb(folder):,.0f} MB", flush=True)
        server.terminate()
        server.join(60)


def wait_until_moved(folder: Path) -> str:
    """What is not in the lake yet, and how long it takes to."""
    shop, since = Shop.open(folder), time.perf_counter()
    with open_inbox(shop) as inbox:
        waiting = inbox.pending_count()
        while inbox.pending_count() and time.perf_counter() - since < PATIENCE:
            time.sleep(0.2)
    shop.close()
    return f"{waiting:,} requests not moved yet, all moved {time.perf_counter() - since:.1f} s after the last answer"


def memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob(f"{INBOX_FILE}*")) / 1e6


if __name__ == "__main__":
    main()
