"""From what a shop's client sends to customers, and back: a link is made, seen, undone."""

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from patron import understand
from patron.collect.loader import load_events
from patron.collect.segment_message import raw_event_of
from patron.commands.customers.unlink_identity import token_of, unlink
from patron.govern.vault import Vault
from patron.schema.data.raw_events import raw_events_table
from patron.schema.errors import NotFound
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGES = (
    {"type": "track", "event": "Order Completed", "userId": "old", "properties": {"order_id": "1", "revenue": 10}},
    {"type": "track", "event": "Product Viewed", "anonymousId": "visitor", "properties": {"product_id": "p"}},
    {"type": "identify", "userId": "new", "anonymousId": "visitor", "traits": {"email": "ann@example.org"}},
    {"type": "track", "event": "Order Completed", "userId": "new", "properties": {"order_id": "2", "revenue": 20}},
    {"type": "alias", "userId": "new", "previousId": "old"},
    {"type": "identify", "anonymousId": "phone", "traits": {"email": "ANN@example.org"}},
    {"type": "track", "event": "Product Viewed", "anonymousId": "phone", "properties": {"product_id": "q"}},
)


@pytest.fixture(scope="module")
def linked_home(new_home, tmp_path_factory):
    """A home whose workspace has received the messages, one after the other."""
    home = tmp_path_factory.mktemp("linked")
    shutil.copytree(new_home, home, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        with closing(Shop.open(home / "w")) as shop:
            for n, message in enumerate(MESSAGES):
                at = NOW + timedelta(minutes=n)
                row = raw_event_of({"messageId": f"m{n}", "timestamp": at.isoformat(), **message})
                load_events(shop, raw_events_table([row]), source="web", known="received", received_at=at)
    return home


@pytest.fixture
def shop(linked_home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shutil.copytree(linked_home, tmp_path, dirs_exist_ok=True)
    with closing(Shop.open(tmp_path / "w")) as shop:
        yield shop


def customers(shop, after_days):
    """Orders, cents and things looked at, by customer, at a run some days later."""
    view = shop.view(understand.READS, understand.WRITES, run=Run.at(NOW + timedelta(days=after_days)))
    build_facts(view)
    looked = "(select count(*) from interactions i where i.customer_id = c.customer_id) as looked"
    rows = view.query(f"select order_count, paid_cents, {looked} from customers c order by 1 desc, 2 desc, 3 desc")
    return [tuple(row.values()) for row in rows.to_pylist()]


def test_ids_devices_and_contacts_of_a_person_are_one_customer_until_a_link_is_undone(shop):
    assert customers(shop, 1) == [(2, 3000, 2)]
    unlink(shop, token_of(shop, "user_id", "new"), at=NOW + timedelta(days=2))
    assert customers(shop, 2) == [(2, 3000, 2)]
    assert customers(shop, 3) == [(1, 2000, 2), (1, 1000, 0)]


def test_a_visitor_that_is_unlinked_takes_what_it_looked_at_along(shop):
    done = unlink(shop, token_of(shop, "anonymous_id", "visitor"), at=NOW + timedelta(days=2))
    assert done.token.startswith("a_")
    assert customers(shop, 3) == [(2, 3000, 1), (0, 0, 1)]


def test_an_id_that_was_never_sent_cannot_be_unlinked(shop):
    with pytest.raises(NotFound, match="user_id 'nobody'"):
        token_of(shop, "user_id", "nobody")
    for token in ("u_0", Vault.open(shop).token("email", "ann@example.org")):
        with pytest.raises(NotFound, match="no user id or visitor id has this token"):
            unlink(shop, token, at=NOW)
