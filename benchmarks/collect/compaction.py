"""How fast the inbox moves into the lake: events a second, growth, and memory.

python benchmarks/collect/compaction.py [--full]
"""

import json
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from patron.collect.inbox.compaction import compact_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.storage.shop import Shop

SIZES = (100_000, 1_000_000, 10_000_000) if "--full" in sys.argv else (20_000, 200_000)
BATCH, TOGETHER = 100, 50
RULES = SourceRules(32_768, frozenset(), is_secret=False)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def batch(number: int) -> bytes:
    messages = [
        {
            "type": "track",
            "event": "Product Viewed",
            "messageId": str(uuid4()),
            "userId": f"user-{(number * BATCH + n) * 7919 % 50_000}",
            "timestamp": (NOW - timedelta(seconds=n)).isoformat(),
            "properties": {"product_id": f"p{n}", "price": 19.9, "category": "Shoes"},
            "context": {"library": {"name": "bench", "version": "1"}, "locale": "en-US"},
        }
        for n in range(BATCH)
    ]
    return json.dumps({"batch": messages}).encode()


def main() -> None:
    print(f"{'events':>12}{'accepted/s':>14}{'moved/s':>12}{'seconds':>10}{'CPU s':>10}{'peak GB':>10}")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as place:
            os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
            shop = Shop.create(Path(place) / "shop")
            inbox = open_inbox(shop)
            began = time.process_time()
            for start in range(0, size // BATCH, TOGETHER):
                inbox.append([validate_batch(batch(n), "web", NOW, RULES) for n in range(start, start + TOGETHER)])
            accepted = size / (time.process_time() - began)
            inbox.close()
            since, cpu = time.perf_counter(), time.process_time()
            moved = compact_inbox(shop)
            seconds, cpu = time.perf_counter() - since, time.process_time() - cpu
            assert moved.stored == size, moved
            shop.close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{size:>12,}{accepted:>14,.0f}{size / seconds:>12,.0f}{seconds:>10.1f}{cpu:>10.1f}{peak:>10.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
