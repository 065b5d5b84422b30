"""An approved campaign to many made-up people, an SMTP server that writes down whom it got mail for, and a sender.

The studies of sending, `send_100k.py`, `killed_sends.py` and `live_journeys.py`, begin here.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from aiosmtpd.controller import Controller

from patron.collect.loader import load_events
from patron.engage.channels.dkim import new_key
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.tables import IDENTITIES
from patron.storage.durable_files import write_durably
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import ASSIGNMENTS
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop

NAME = "mailing"
TOGETHER = 10_000
POLICY = "[messages]\nquiet_hours = []\n"
SETTINGS = """
[channels.email]
host = "127.0.0.1"
port = {port}
security = "none"
from = "shop@shop.example"
public_url = "https://shop.example"
dkim_selector = "patron"
dkim_key_file = "dkim.pem"
"""
BODY = """<mjml><mj-head><mj-style>.deal { color: #cc0000 }</mj-style></mj-head><mj-body>
<mj-section><mj-column><mj-text>Hi {{ customer.first_name | default: "you" }},</mj-text>
<mj-text>here is <b class="deal">10 % off</b> all tea at {{ shop.name }}, for you alone.</mj-text>
<mj-button href="https://shop.example/?c=TEN">To the shop</mj-button>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a> <a href="{{ preferences_url }}">Settings</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def address_of(number: int) -> str:
    """Address of a person."""
    return f"person{number}@people.example"


def make_mailing(folder: Path, count: int, port: int, names: tuple[str, ...] = (NAME,)) -> Shop:
    """A workspace with approved campaigns to so many people who have consented, each to its share of them, due now."""
    shop, ids = make_people(folder, count, port)
    for number, name in enumerate(names):
        approve_mailing(shop, ids[number :: len(names)], datetime.now(UTC), name)
    return shop


def make_people(folder: Path, count: int, port: int, *, days: int = 1) -> tuple[Shop, list[str]]:
    """A workspace with so many people who consented some days ago, their customer ids, and an SMTP server."""
    shop = Shop.create(folder)
    write_durably(folder / POLICY_FILE, POLICY.encode())
    settings = (folder / SETTINGS_FILE).read_text(encoding="utf-8") + SETTINGS.format(port=port)
    write_durably(folder / SETTINGS_FILE, settings.encode())
    write_durably(folder / "dkim.pem", new_key())
    shop.close()
    shop = Shop.open(folder)
    now = datetime.now(UTC)
    for start in range(0, count, TOGETHER):
        people = range(start, min(start + TOGETHER, count))
        load_events(shop, _events(people, now - timedelta(days=days)), source="web", known="occurred", received_at=now)
    vault = Vault.open(shop)
    tokens = [vault.token("user_id", f"p{n}") for n in range(count)]
    ids = [initial_customer_id(token) for token in tokens]
    known = now - timedelta(days=days)
    rows = [
        {"token": token, "customer_id": one, "is_user": True, "known_at": known}
        for token, one in zip(tokens, ids, strict=True)
    ]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, schema=IDENTITIES.schema()))
    return shop, ids


def _events(people: range, at: datetime) -> pa.Table:
    count = len(people)
    users = [f"p{n}" for n in people] * 2
    who = [json.dumps({"first_name": f"Anna {n}", "email": address_of(n)}) for n in people]
    consent = json.dumps({"purpose": "marketing", "basis": "consent"})
    return pa.table(
        {
            "event_id": [f"who-{n}" for n in people] + [f"yes-{n}" for n in people],
            "name": ["Identify"] * count + ["Consent Given"] * count,
            "occurred_at": pa.array([at] * (2 * count), pa.timestamp("us", tz="UTC")),
            "user_id": users,
            "personal": pa.array([*who, *[None] * count], pa.string()),
            "properties": pa.array([*[None] * count, *[consent] * count], pa.string()),
        }
    )


def approve_mailing(shop: Shop, ids: list[str], now: datetime, name: str = NAME) -> None:
    """Save a campaign to these customers, and approve it."""
    day = timedelta(days=1)
    content = {
        "name": name,
        "segment": "everybody",
        "topic": "offers",
        "channel": "email",
        "budget": 0.0,
        "start": f"{now - day:%Y-%m-%dT%H:%M:%S}",
        "end": f"{now + 9 * day:%Y-%m-%dT%H:%M:%S}",
        "template": {"en": {"subject": "For {{ customer.first_name }}", "body": BODY}},
    }
    with shop.store.begin() as connection:
        saved = CAMPAIGN.save(connection, Campaign.of(content, where="benchmark"), "Ann", now)
        rows = [
            {**dict.fromkeys(ASSIGNMENTS.c.keys()), "campaign": name, "customer_id": identifier, "is_holdout": False}
            | {"assigned_at": now, "version": 1, "is_planned": True, "offer": "", "expected_cost_cents": 0.0}
            for identifier in ids
        ]
        connection.execute(sa.insert(ASSIGNMENTS), rows)
        for step, by in (("planned", "Ann"), ("approved", "Bo")):
            CAMPAIGN.take_step(connection, name, step, saved.version, by, now)


class _WriteDown:
    """Appends the recipient of each message to a file, before the message is answered."""

    def __init__(self, path: Path, *, with_times: bool, refuse_every: int, seconds: float) -> None:
        self.file, self.with_times, self.seconds = path.open("a", buffering=1), with_times, seconds
        self.refused = {address_of(number) for number in range(0, 1_000_000, refuse_every)} if refuse_every else set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, _server: object, _session: object, envelope: Any, address: str, _options: object
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refused:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's
        """Take a message."""
        time_of_day = f" {time.time()}" if self.with_times else ""
        self.file.write(f"{envelope.rcpt_tos[0]}{time_of_day}\n")  # type: ignore[attr-defined]
        await asyncio.sleep(self.seconds)
        return "250 OK"


@contextmanager
def mail_server(path: Path, *, with_times: bool = False, refuse_every: int = 0, seconds: float = 0.0) -> Iterator[int]:
    """A server in a process of its own, which may write down when each message came; yields its port.

    It may refuse every so many-th person, and take seconds for each message.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path.touch()
    options = [str(with_times), str(refuse_every), str(seconds)]
    running = subprocess.Popen([sys.executable, __file__, str(path), str(port), *options])  # noqa: S603 - this file
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        running.terminate()
        running.wait()


def start_sender(folder: Path, name: str = NAME) -> subprocess.Popen[str]:
    """`patron campaign send` as a process."""
    command = [sys.executable, "-m", "patron", "campaign", "send", name, "--due", "--json", "--workspace", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))  # noqa: S603 - patron


if __name__ == "__main__":
    with_times, refuse_every, seconds = sys.argv[3] == "True", int(sys.argv[4]), float(sys.argv[5])
    handler = _WriteDown(Path(sys.argv[1]), with_times=with_times, refuse_every=refuse_every, seconds=seconds)
    Controller(handler, hostname="127.0.0.1", port=int(sys.argv[2])).start()
    while True:
        time.sleep(3600)
