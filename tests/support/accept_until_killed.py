"""A collector in a process of its own, to be killed: it imports no more than it needs, as each test waits for that."""

import json
import os
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from patron.collect.request import Request, SourceRules, validate_batch
from patron.service.collector import Collector
from patron.storage.shop import Shop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def messages(*ids: str, user: str = "u1") -> Request:
    """A request with one event of each id."""
    base = [{"type": "track", "event": "Product Viewed", "messageId": identifier, "userId": user} for identifier in ids]
    rows = [one | {"timestamp": "2026-03-01T11:00:00Z", "properties": {"product_id": "p1"}} for one in base]
    return validate_batch(json.dumps({"batch": rows}).encode(), "web", NOW, OPEN)


def accept_until_killed(folder: Path, run: str, environment: dict[str, str], pipe: Connection) -> None:
    """Accept requests of five events without end; the ids of each accepted one go into the pipe."""
    os.environ.update(environment)  # why: a fork server keeps the environment of the test that started it
    collector = Collector(Shop.open(folder))
    collector.start()
    n = 0
    while True:
        ids = [f"{run}-{n}-{m}" for m in range(5)]
        collector.accept(messages(*ids)).result()
        pipe.send(ids)
        n += 1
