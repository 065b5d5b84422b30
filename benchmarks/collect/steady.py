"""Memory of the collector and of its compaction under load without a pause: flat after the first minutes?

Batches of 100 new events over loopback, as fast as they are answered, for 1 minute (10 with --full). Printed are
events a second and the memory of both processes, each tenth of the time.

    python benchmarks/collect/steady.py [--full]
"""

import asyncio
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import wire

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.storage.shop import Shop

SECONDS = 600.0 if "--full" in sys.argv else 60.0
SAMPLES = 10
MARK = b"#MESSAGE-ID#"


def bodies(key: str) -> Iterator[bytes]:
    """Posts whose messages all have ids of their own."""
    messages = [wire.event() | {"messageId": MARK.decode()} for _ in range(wire.BATCH)]
    (post,) = wire.posts_of("/v1/batch", key, [{"batch": messages}])
    parts, digits = post.split(MARK), len(MARK)
    for number in count():
        ids = (b"%0*x" % (digits, number * wire.BATCH + n) for n in range(wire.BATCH))
        yield b"".join(piece for pair in zip(parts, ids, strict=False) for piece in pair) + parts[-1]


def compaction_pid(server: int) -> int:
    """Process id of the server's compaction."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == server:
            return int(path.parent.name)
    raise RuntimeError("the server has no compaction")


def watch(server: int, folder: Path, done: threading.Event) -> None:
    shop = Shop.open(folder)
    since, before = time.perf_counter(), 0
    while not done.wait(SECONDS / SAMPLES):
        with wire.open_inbox(shop) as inbox:
            stored, waiting = inbox.counts()["bench"].stored, inbox.pending_count()
        taken = time.perf_counter() - since
        print(
            f"{taken:>6.0f} s{stored:>14,} events{(stored - before) / (SECONDS / SAMPLES):>10,.0f}/s"
            f"{wire.memory_mb(server):>9,.0f} MB server{wire.memory_mb(compaction_pid(server)):>9,.0f} MB compaction"
            f"{waiting:>9,} requests wait{wire.size_mb(folder):>9,.0f} MB inbox",
            flush=True,
        )
        before = stored
    shop.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
        folder = Path(place) / "shop"
        shop = Shop.create(folder)
        key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "bench").key
        shop.close()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = get_context("fork").Process(target=wire.serve, args=(folder, listener))
        server.start()
        time.sleep(5)
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(server.pid, folder, done))
        watcher.start()
        asyncio.run(wire.load(listener.getsockname()[1], bodies(key), SECONDS + 2))
        done.set()
        watcher.join()
        print(wire.wait_until_moved(folder))
        server.terminate()
        server.join(60)


if __name__ == "__main__":
    main()
