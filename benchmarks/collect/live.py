"""How fast profiles are folded and built anew, and how soon an acknowledged event is in a profile.

Events of 20,000 customers in requests of 100: events folded a second, of new customers and of known ones, beside the
same events moved into the lake by the compactor; all profiles built anew from the lake; then single events through a
running collector: milliseconds from the acknowledgement to the profile that shows the event.

    python benchmarks/collect/live.py [--full]
"""

import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from patron.actions.collector import Collector, move, open_inbox
from patron.actions.live import Folder, rebuild
from patron.actions.profile import live_profile, token_owner
from patron.base.shop import Shop
from patron.collect.arrival import Arrival, Rules, batch_of

COUNT = 1_000_000 if "--full" in sys.argv else 100_000
CUSTOMERS = 20_000
TOGETHER = 100
SINGLES = 100
NAMES = ("Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Order Completed")
RULES = Rules(longest_event=32_768, needs_secret=frozenset(), is_secret=False)


def requests(rng: np.random.Generator, count: int, now: datetime) -> list[Arrival]:
    made = []
    for start in range(0, count, TOGETHER):
        told = [
            {
                "type": "track",
                "event": NAMES[int(kind)],
                "messageId": f"m{now.timestamp():.6f}-{start + n}",
                "userId": f"user-{user}",
                "timestamp": (now - timedelta(seconds=int(user))).isoformat(),
                "properties": {"product_id": f"p{user % 500}", "order_id": f"o{start + n}", "revenue": 20},
            }
            for n, (kind, user) in enumerate(
                zip(rng.integers(0, 5, TOGETHER), rng.integers(0, CUSTOMERS, TOGETHER), strict=True)
            )
        ]
        made.append(batch_of(json.dumps({"batch": told}).encode(), "web", now, RULES))
    return made


def put(shop: Shop, arrivals: list[Arrival]) -> None:
    inbox = open_inbox(shop)
    for start in range(0, len(arrivals), 50):
        inbox.put(arrivals[start : start + 50])
    inbox.close()


def fold(shop: Shop) -> None:
    folder = Folder(shop)
    folder.fold()
    folder.close()


def timed(what: str, count: int, run, *args: object) -> None:  # noqa: ANN001 - any function
    since = time.perf_counter()
    run(*args)
    seconds = time.perf_counter() - since
    print(f"{what}: {count:,} events in {seconds:.1f} s, {count / seconds:,.0f} a second")


def seen_after_ms(shop: Shop, rng: np.random.Generator) -> np.ndarray:
    collector = Collector(shop)
    collector.start()
    waited = []
    for n in range(SINGLES):
        told = {"type": "track", "event": "Product Viewed", "messageId": f"single {n}", "userId": f"single {n}"}
        body = json.dumps({"batch": [told | {"properties": {"product_id": "p"}}]}).encode()
        collector.accept(batch_of(body, "web", datetime.now(UTC), RULES)).result(10)
        since = time.perf_counter()
        while (found := token_owner(shop, f"single {n}")) is None:
            time.sleep(0.01)
        waited.append((time.perf_counter() - since) * 1_000)
        assert live_profile(shop, found, now=datetime.now(UTC))
        time.sleep(float(rng.uniform(0, 0.1)))
    collector.stop()
    return np.array(waited)


def main() -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = f"{folder}/config"
        shop = Shop.create(Path(folder) / "w")
        now = datetime(2026, 3, 1, tzinfo=UTC)
        for what, moment in (("new customers", now), ("known customers", now + timedelta(hours=1))):
            put(shop, requests(rng, COUNT, moment))
            timed(f"folded, {what}", COUNT, fold, shop)
            timed("moved into the lake", COUNT, move, shop)
        with shop.lock():
            timed("built anew from the lake", 2 * COUNT, rebuild, shop)
        waited = seen_after_ms(shop, rng)
        print(
            f"seen after the answer: median {np.median(waited):.0f} ms, 99th percentile {np.quantile(waited, 0.99):.0f}"
        )
        shop.close()


if __name__ == "__main__":
    main()
