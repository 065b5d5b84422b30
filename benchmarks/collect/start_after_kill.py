"""How soon `patron serve` answers /health after a kill -9 with 100,000 events waiting and 10 million ids seen before.

The inbox is filled by a process that is killed while it appends. Printed are the seconds of each of 5 starts, until
/health answers; the serving process is killed each time.

    python benchmarks/collect/start_after_kill.py [--full]
"""

import http.client
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import wire

from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.storage.shop import Shop

WAITING, STARTS = 1_000, 5
"""Requests of 100 events that wait, and how often the server starts."""
PATIENCE_SECONDS = 120
RULES = SourceRules(32_768, frozenset(), is_secret=True)


def fill_and_die(folder: Path) -> None:
    """Append requests that nobody moves, and be killed within the next."""
    shop, now = Shop.open(folder), datetime.now(UTC)
    inbox = open_inbox(shop)
    bodies = [request.partition(b"\r\n\r\n")[2] for request in wire.posts("/v1/batch", "key", wire.BATCH, WAITING)]
    for body in bodies:
        inbox.append([validate_batch(body, "web", now, RULES)])
    os.kill(os.getpid(), 9)


def seconds_to_health(folder: Path, port: int) -> tuple[float, subprocess.Popen]:
    """Start the server; how long until it answers."""
    command = [sys.executable, "-m", "patron", "serve", "--workspace", str(folder), "--port", str(port)]
    since = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - patron
    while time.perf_counter() - since < PATIENCE_SECONDS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        with suppress(OSError):
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                break
        time.sleep(0.02)
    return time.perf_counter() - since, server


def main() -> None:
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
        folder = Path(place) / "shop"
        Shop.create(folder).close()
        wire.fill(folder)
        filling = multiprocessing.get_context("spawn").Process(target=fill_and_die, args=(folder,))
        filling.start()
        filling.join()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        took = []
        for number in range(STARTS):
            shop = Shop.open(folder)
            with open_inbox(shop) as inbox:
                waiting = inbox.pending_count()
            shop.close()
            seconds, server = seconds_to_health(folder, port)
            took.append(seconds)
            print(f"{waiting * wire.BATCH:,} events waited: /health after {seconds:.1f} s", flush=True)
            server.terminate() if number == STARTS - 1 else server.kill()
            server.wait()
        print(f"{wire.SEEN:,} ids seen: median {statistics.median(took):.1f} s, longest {max(took):.1f} s")


if __name__ == "__main__":
    main()
