"""How fast the console answers: p50 and p95 of first and second requests, their processor time, and what travels.

`python -m benchmarks.interfaces.pages [WORKSPACE]`; without a workspace, one of PATRON_BENCHMARK_CUSTOMERS (100,000) is
made. A view with states is asked for 40 of them, each a customer, filter or page that nobody has asked for; the second
request repeats it. Answers come through the whole application, without a network.
"""

import gzip
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.interfaces.large_shop import make_large_shop
from benchmarks.interfaces.views import ONCE_A_RUN, views
from fastapi.testclient import TestClient

from patron.interfaces.http.application import create_app
from patron.schema.access.access_rights import VISITOR
from patron.storage.shop import Shop

CUSTOMERS = int(os.environ.get("PATRON_BENCHMARK_CUSTOMERS", "100000"))


@dataclass(frozen=True)
class Timing:
    """One request."""

    wall_ms: float
    processor_ms: float
    compressed_bytes: int


def ask(client: TestClient, path: str) -> Timing:
    """Time one request. Raises httpx.HTTPStatusError for one that fails."""
    start, busy = time.perf_counter(), time.process_time()
    answer = client.get(path)
    wall, processor = time.perf_counter() - start, time.process_time() - busy
    answer.raise_for_status()
    return Timing(1000 * wall, 1000 * processor, len(gzip.compress(answer.content)))


def row(name: str, first: list[Timing], second: list[Timing]) -> str:
    """A line of the table: a view that has one state has one first request, which is its p50 and its p95."""
    cells = ""
    for asked in (first, second):
        p50, p95 = np.percentile([one.wall_ms for one in asked], [50, 95])
        cells += f" {p50:7.0f} {p95:7.0f} {np.percentile([one.processor_ms for one in asked], 50):7.0f}"
    return f"{name:26}{cells} {max(one.compressed_bytes for one in first):8,}"


def measure(client: TestClient, shop: Shop) -> Iterator[str]:
    """Lines of the table."""
    yield f"{'':26} {'first request':^23} {'second request':^23}"
    yield f"{'ms':26}" + 2 * f" {'p50':>7} {'p95':>7} {'CPU':>7}" + f" {'gzip':>8}"
    for name, paths in views(shop).items():
        if name in ONCE_A_RUN:
            first = [ask(client, paths[0])]
            yield row(name, first, [ask(client, path) for path in paths])
        else:
            pairs = [(ask(client, path), ask(client, path)) for path in paths]
            yield row(name, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def main() -> None:
    """Print a table of pages."""
    with tempfile.TemporaryDirectory() as scratch:
        shop = Shop.open(Path(sys.argv[1])) if sys.argv[1:] else make_large_shop(Path(scratch) / "shop", CUSTOMERS)
        app = create_app(shop, visitor=VISITOR)
        with TestClient(app, base_url="http://localhost") as client:
            start, busy = time.perf_counter(), time.process_time()
            app.state.prepared.wait()
            ready, worked = time.perf_counter() - start, time.process_time() - busy
            load = os.getloadavg()[0]
            sys.stdout.write(f"prepared in {ready:.1f} s, {worked:.1f} s of processor time; load {load:.1f}\n")
            for line in measure(client, shop):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        shop.close()


if __name__ == "__main__":
    main()
