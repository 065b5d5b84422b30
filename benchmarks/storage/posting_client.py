"""A client that posts until it is acknowledged, and what to know of the processes of `patron serve`."""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BATCH = 20


@dataclass
class Client:
    """Posts batches, each again until it is acknowledged, as clients do."""

    port: int
    key: str
    acknowledged: list[str] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            ids = [f"live-{number}-{n}" for n in range(BATCH)]
            if self.post(ids):
                self.acknowledged += ids
                number += 1
            else:
                time.sleep(0.02)

    def post(self, ids: list[str]) -> bool:
        messages = [
            {
                "type": "track",
                "event": "Product Viewed",
                "userId": f"live user {identifier}",
                "messageId": identifier,
                "timestamp": datetime.now(UTC).isoformat(),
                "properties": {"product_id": "p1", "comment": "x" * 100},
            }
            for identifier in ids
        ]
        login = base64.b64encode(f"{self.key}:".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/batch",
            json.dumps({"batch": messages}).encode(),
            {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False


def worker_of(server: int) -> int | None:
    """Process id of a server's compaction."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == server:
            return int(path.parent.name)
    return None


def wait_for(what: Callable[[], object], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(what())
