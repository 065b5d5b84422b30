"""An abandoned cart, live: 1,000 events a second by HTTP for 60 s, and how late the reminders arrive.

    python benchmarks/campaigns/live_journeys.py [--seconds 60] [--carts 3000]

A real `patron serve` on a new workspace of 5,000 people, a client that posts batches, a local SMTP server; all share
the machine. Carts are spread over the time; every fourth customer orders before the reminder is due and must not get
one. Delay is from the due time (the cart's time and the journey's wait) to the arrival at the SMTP server.
"""

import argparse
import base64
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from mailing import address_of, mail_server, make_people

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.shop import Shop

PEOPLE, PER_SECOND, BATCHES_PER_SECOND = 5_000, 1_000, 4
WAIT_SECONDS, ORDER_AFTER_SECONDS = 30.0, 15.0
PATIENCE_SECONDS = 180.0
NAME = "abandoned cart"
BODY = """<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ customer.first_name }}, your cart waits.</mj-text>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


def approve_journey(shop: Shop) -> None:
    """Save and approve the journey; the server starts it."""
    content = {
        "name": NAME,
        "trigger": {"event": "Product Added"},
        "steps": [
            {"do": "wait", "minutes": WAIT_SECONDS / 60},
            {"do": "send", "template": {"en": {"subject": "Your cart", "body": BODY}}},
        ],
        "topic": "offers",
        "monthly_budget": 1e6,
        "holdout_share": 0.0,
    }
    now = datetime.now(UTC)
    with shop.store.begin() as connection:
        saved = JOURNEY.save(connection, Journey.of(content, where="benchmark"), "Ann", now)
        for step, by in (("planned", "Ann"), ("approved", "Bo")):
            JOURNEY.take_step(connection, NAME, step, saved.version, by, now)


def post(url: str, key: str, batch: list[dict[str, object]]) -> None:
    """Send a batch. Raises OSError unless all of it was accepted."""
    token = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
    request = urllib.request.Request(url, json.dumps({"batch": batch}).encode(), headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        answer.read()


def message(number: int, user: int, event: str, at: float) -> dict[str, object]:
    """An event of a person now."""
    when = datetime.fromtimestamp(at, UTC).isoformat()
    fields = {"type": "track", "event": event, "messageId": f"m{number}", "userId": f"p{user}", "timestamp": when}
    order: dict[str, object] = {"order_id": f"o{number}", "total": 20.0}
    return {**fields, "properties": order if event == "Order Completed" else {"product_id": f"t{user % 50}"}}


def send_load(url: str, key: str, seconds: int, carts: int) -> tuple[dict[str, float], set[str], float]:
    """Send events; returns when each cart was added, who ordered, and how long it took."""
    rng, began, number = np.random.default_rng(16), time.time(), 0
    added: dict[int, float] = {}
    ordered: set[int] = set()
    size = PER_SECOND // BATCHES_PER_SECOND
    for place in range(seconds * BATCHES_PER_SECOND):
        due = began + place / BATCHES_PER_SECOND
        time.sleep(max(due - time.time(), 0))
        now, batch = time.time(), []
        while len(added) < carts * (place + 1) / (seconds * BATCHES_PER_SECOND):
            user = len(added)
            added[user] = now
            batch.append(message(number + len(batch), user, "Product Added", now))
        for user in [
            one for one in added if one % 4 == 0 and one not in ordered and now > added[one] + ORDER_AFTER_SECONDS
        ]:
            ordered.add(user)
            batch.append(message(number + len(batch), user, "Order Completed", now))
        viewers = rng.integers(0, PEOPLE, size - len(batch))
        batch += [message(number + len(batch) + n, int(one), "Product Viewed", now) for n, one in enumerate(viewers)]
        post(url, key, batch)
        number += len(batch)
    taken = time.time() - began
    print(f"{number:,} events in {taken:.1f} s: {number / taken:,.0f}/s", flush=True)
    late = [one for one in added if one % 4 == 0 and one not in ordered]
    end = max((added[one] for one in late), default=time.time()) + ORDER_AFTER_SECONDS
    time.sleep(max(end - time.time(), 0))
    post(url, key, [message(number + n, one, "Order Completed", time.time()) for n, one in enumerate(late)])
    return {address_of(user): at for user, at in added.items()}, {address_of(one) for one in (*ordered, *late)}, taken


def wait_for_server(url: str) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - loopback
        except OSError as error:
            if getattr(error, "code", None):
                return
            time.sleep(0.1)
        else:
            return


def report(taken: Path, added: dict[str, float], ordered: set[str]) -> None:
    """Print how late the reminders arrived, and whether each arrived once."""
    lines = [line.split() for line in taken.read_text(encoding="utf-8").splitlines()]
    arrived = {address: float(at) for address, at in reversed(lines)}
    expected = set(added) - ordered
    delays = np.array([arrived[one] - added[one] - WAIT_SECONDS for one in sorted(expected & set(arrived))])
    counts = Counter(address for address, _ in lines)
    print(f"{len(expected):,} reminders due, {len(expected & set(arrived)):,} arrived,")
    print(f"{sum(n > 1 for n in counts.values())} twice, {len(set(arrived) & ordered)} to who had ordered")
    if len(delays):
        middle, high = np.median(delays), np.quantile(delays, 0.99)
        print(f"delay from due to arrival: median {middle:.1f} s, p99 {high:.1f} s, max {delays.max():.1f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--carts", type=int, default=3_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, mail_server(Path(place) / "taken", with_times=True) as mail_port:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
        folder, taken = Path(place) / "shop", Path(place) / "taken"
        shop, _ = make_people(folder, PEOPLE, mail_port)
        key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "bench").key
        approve_journey(shop)
        command = [sys.executable, "-m", "patron", "serve", "--port", str(mail_port + 1), "--workspace", str(folder)]
        server = subprocess.Popen(command)  # noqa: S603 - patron
        try:
            url = f"http://127.0.0.1:{mail_port + 1}"
            wait_for_server(f"{url}/openapi.json")
            until = time.time() + PATIENCE_SECONDS
            while JOURNEY.saved_in(shop.store, NAME).state != "running" and time.time() < until:
                time.sleep(0.2)
            added, ordered, _ = send_load(f"{url}/v1/batch", key, args.seconds, args.carts)
            expected, until = len(added) - len(ordered), time.time() + PATIENCE_SECONDS
            while len(taken.read_text(encoding="utf-8").splitlines()) < expected and time.time() < until:
                time.sleep(0.5)
            time.sleep(5)  # why: what would be sent twice would be by now
            report(taken, added, ordered)
        finally:
            server.terminate()
            server.wait(timeout=120)
            shop.close()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"processor time of server, journeys and SMTP server: {used.ru_utime + used.ru_stime:.0f} s")


if __name__ == "__main__":
    main()
