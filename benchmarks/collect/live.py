"""How fast profiles follow the lake and are built anew, and how soon an acknowledged event is read in a profile.

Events of 20,000 customers in requests of 100: events moved into the lake a second, then added to the profiles, of new
customers and of known ones; all profiles built anew; then single events through a running collector, each looked up at
once: milliseconds from the acknowledgement to the answer that shows the event, and of the same look-up when nothing
of the customer waits.

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

from patron.collect.inbox.compaction import compact_inbox
from patron.collect.inbox.workspace_inbox import inbox_position, open_inbox
from patron.collect.request import Request, SourceRules, validate_batch
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.shop import Shop
from patron.understand.profiles.profile_writer import rebuild_profiles, update_profiles

COUNT = 1_000_000 if "--full" in sys.argv else 100_000
CUSTOMERS = 20_000
TOGETHER = 100
SINGLES = 100
NAMES = ("Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Order Completed")
RULES = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def requests(rng: np.random.Generator, count: int, now: datetime) -> list[Request]:
    batches = []
    for start in range(0, count, TOGETHER):
        messages = [
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
        batches.append(validate_batch(json.dumps({"batch": messages}).encode(), "web", now, RULES))
    return batches


def put(shop: Shop, arrivals: list[Request]) -> None:
    inbox = open_inbox(shop)
    for start in range(0, len(arrivals), 50):
        inbox.append(arrivals[start : start + 50])
    inbox.close()


def timed(what: str, count: int, run, *args: object) -> None:  # noqa: ANN001 - any function
    since = time.perf_counter()
    run(*args)
    seconds = time.perf_counter() - since
    print(f"{what}: {count:,} events in {seconds:.1f} s, {count / seconds:,.0f} a second")


def lookup_ms(shop: Shop, user: str, count: int) -> float:
    since = time.perf_counter()
    found = lookup_customer(shop, user, now=datetime.now(UTC)).live
    took = (time.perf_counter() - since) * 1_000
    assert found is not None
    assert found.event_count == count, found
    return took


def lookup_after_ms(shop: Shop) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of a look-up right after the acknowledgement, and after all has moved."""
    collector = Collector(shop)
    collector.start()
    waits = []
    for n in range(SINGLES):
        message = {"type": "track", "event": "Product Viewed", "messageId": f"single {n}", "userId": f"single {n}"}
        body = json.dumps({"batch": [message | {"properties": {"product_id": "p"}}]}).encode()
        collector.accept(validate_batch(body, "web", datetime.now(UTC), RULES)).result(10)
        waits.append(lookup_ms(shop, f"single {n}", 1))
    collector.stop()
    CompactionWorker(shop).run_once()
    return np.array(waits), np.array([lookup_ms(shop, f"single {n}", 1) for n in range(SINGLES)])


def main() -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = f"{folder}/config"
        shop = Shop.create(Path(folder) / "w")
        now = datetime(2026, 3, 1, tzinfo=UTC)
        for what, received_at in (("new customers", now), ("known customers", now + timedelta(hours=1))):
            put(shop, requests(rng, COUNT, received_at))
            with shop.lock():
                timed("moved into the lake", COUNT, compact_inbox, shop)
                timed(f"added to the profiles, {what}", COUNT, update_profiles, shop, inbox_position(shop))
        with shop.lock():
            timed("built anew from the lake", 2 * COUNT, rebuild_profiles, shop, inbox_position(shop))
        for what, took in zip(("while it waits", "when it has moved"), lookup_after_ms(shop), strict=True):
            print(
                f"looked up {what}: median {np.median(took):.0f} ms, 99th percentile {np.quantile(took, 0.99):.0f} ms"
            )
        shop.close()


if __name__ == "__main__":
    main()
