"""The made shop as a team works in it: customers with addresses, a mail server, and people with roles."""

import json
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

import sqlalchemy as sa
from tests.support.mail_server import MailServer, mail_server
from tests.support.shops.campaign_shop import load, with_mail_server
from tests.support.shops.known_people import identify
from tests.support.shops.made_shop import customer_id
from tests.support.shops.workspace_copies import copy_workspace

from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.storage.access.access_tables import USERS
from patron.storage.shop import POLICY_FILE, Shop

PEOPLE = 60
SEEN_AT = datetime(2017, 8, 1, tzinfo=UTC)
POLICY = '[messages]\nquiet_hours = []\ncaps = []\n[consent]\nunknown = "allow"\n[budget]\namount = 100000.00\n'
POLICY += "[tasks]\nholdout_share = 0.0\n"  # why: who is drawn differs each time
POLICY += '[[offers]]\nid = "TEN"\ndiscount_share = 0.1\nassumed_purchase_uplift = 0.3\n'


def colleague(name: str, *roles: Role, grants: Iterable[Grant] = ()) -> Actor:
    """Somebody who works at the shop."""
    user_id = name.encode().hex()
    return Actor(f"{name} (user {user_id})", rights_of_user(roles, grants), user_id=user_id)


def hire(shop: Shop, one: Actor) -> None:
    """Give a colleague an account, so that work can be theirs."""
    user = {"user_id": one.user_id, "email": f"{one.user_id}@shop.example", "name": one.name.split(" (")[0]}
    user |= {"roles": ["admin"], "grants": [], "team": "", "password_hash": "", "state": "active", "locale": ""}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(USERS).values(**user, created_by="test", created_at=datetime.now(UTC)))


@contextmanager
def team_shop(made_shop: Shop, folder: Path) -> Iterator[tuple[Shop, MailServer]]:
    """A copy of the shop whose first customers have addresses, and the mail server that its messages go to."""
    copied = Shop.open(copy_workspace(made_shop.folder, folder))
    (copied.folder / POLICY_FILE).write_text(POLICY, encoding="utf-8")
    with_addresses(copied)
    copied.close()
    with mail_in_a_thread() as mail:
        shop = with_mail_server(Shop.open(folder), mail.port)
        yield shop, mail
        shop.close()


@contextmanager
def mail_in_a_thread() -> Iterator[MailServer]:
    """A mail server in a thread of its own: the browser's driver has a loop in this one."""
    servers: Queue[MailServer] = Queue()
    stop = threading.Event()

    def serve() -> None:
        with mail_server() as server:
            servers.put(server)
            stop.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    yield servers.get(timeout=60)
    stop.set()
    thread.join()


def in_a_thread(work: Any, *values: Any, **options: Any) -> Any:
    """Do what the server does by itself; where no browser's driver has a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *values, **options).result()


def with_addresses(shop: Shop) -> None:
    """Let the shop know who its first customers are, as its last run would."""
    names = [f"u{number}" for number in range(PEOPLE)]
    base = {"name": "Identify", "occurred_at": SEEN_AT}
    load(
        shop,
        [
            base
            | {"event_id": f"who-{name}", "user_id": name}
            | {"personal": json.dumps({"email": f"{name}@people.example", "first_name": "Nina"})}
            for name in names
        ],
        received_at=SEEN_AT,
    )
    identify(shop, {name: customer_id(number) for number, name in enumerate(names)}, known_at=SEEN_AT)
