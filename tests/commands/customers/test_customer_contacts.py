"""Who customers are: masked for everybody, revealed to whom the audit log names, and searchable by their names."""

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from patron.collect.loader import load_events
from patron.commands.customers.customer_contacts import (
    RevealReason,
    contacts_of,
    masked_contacts,
    read_note,
    reveal_contacts,
)
from patron.commands.customers.reindex_contacts import reindex_contacts
from patron.commands.privacy.forget import forget
from patron.engage.recipients import recipients
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.contact_cards import read_cards
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.schema.customers.customer_contacts import CustomerContacts, masked
from patron.schema.errors import BadQuery, NotAllowed, NotFound
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.service.customer_search import find_by_text
from patron.storage.customers.customer_tables import CONTACT_CARDS, NAME_WORDS
from patron.storage.shop import Shop

AT = datetime(2024, 3, 1, tzinfo=UTC)
AGENT = Actor("Ada (user 0a)", rights_of_user([Role.SERVICE_AGENT]), user_id="0a")
VIEWER = Actor("Vic (user 0b)", rights_of_user([Role.VIEWER]), user_id="0b")
PEOPLE = {
    "C-10581": [
        (0, {"email": "old@gruen.example", "first_name": "Nadja"}),
        (2, {"email": "Nadia@gruen.example", "firstName": "Nadia", "last_name": "Grünwald", "phone": "+49 30 1234567"}),
        (1, {"email": "between@gruen.example", "first_name": "Nadine"}),
    ],
    "C-10582": [(0, {"name": "王小明", "phone": "13800138000"})],
    "C-10583": [(0, {"first_name": "Bo", "last_name": "Ek"})],
    "C-10584": [(0, {"first_name": "Nadiana", "last_name": "Bok"})],
}

NAMED = (
    ("nadia grunwald", ["C-10581"]),
    ("GRÜ", ["C-10581"]),
    ("nadia", ["C-10581", "C-10584"]),
    ("nadiana", ["C-10584"]),
    ("Nadja", []),
    ("Nadia Ek", []),
    ("bo", ["C-10583"]),
    ("王小明", ["C-10582"]),
    ("小明", ["C-10582"]),
    ("明小", []),
    ("NADIA@gruen.example", ["C-10581"]),
    ("030 1234567", []),
    ("+49 (30) 123-4567", ["C-10581"]),
    ("c-10583", ["C-10583"]),
    ("C-1058", []),
    ("  ", []),
)


def send(shop, people):
    rows = [
        (f"{user}-{day}", user, AT + timedelta(days=day), json.dumps(content))
        for user, contents in people.items()
        for day, content in contents
    ]
    for row in rows:  # each in a load of its own, in the order in which it arrives
        [ids, users, times, personal] = [[value] for value in row]
        table = {"event_id": ids, "name": ["Identify"], "user_id": users, "personal": personal}
        load_events(
            shop, pa.table(table | {"occurred_at": pa.array(times, TIME)}), source="web", known="received",
            received_at=AT,
        )  # fmt: skip


def customer_of(shop, user):
    return initial_customer_id(Vault.open(shop).token("user_id", user))


@pytest.fixture(scope="module")
def known_home(new_home, tmp_path_factory):
    """A home whose workspace knows these people."""
    home = tmp_path_factory.mktemp("known")
    shutil.copytree(new_home, home, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        with closing(Shop.open(home / "w")) as shop:
            send(shop, PEOPLE)
            vault = Vault.open(shop)
            rows = [
                {"token": token, "customer_id": initial_customer_id(token), "is_user": True, "known_at": AT}
                for token in (vault.token("user_id", user) for user in PEOPLE)
            ]
            table = BY_NAME["identities"]
            shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()))
    return home


@pytest.fixture
def known_shop(known_home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shutil.copytree(known_home, tmp_path, dirs_exist_ok=True)
    with closing(Shop.open(tmp_path / "w")) as shop:
        yield shop


def test_contacts_are_the_latest_that_were_sent_and_those_that_messages_go_to(known_shop):
    who = customer_of(known_shop, "C-10581")
    contacts = contacts_of(known_shop, [who, "f" * 32])
    assert contacts == {
        who: CustomerContacts(who, "Nadia Grünwald", ("Nadia@gruen.example",), ("+49 30 1234567",), ("C-10581",))
    }
    [[recipient]] = recipients(known_shop, [who])
    assert recipient.address == contacts[who].emails[0]


def test_masks_keep_how_things_look(known_shop):
    nadia, ming, bo, _ = (customer_of(known_shop, user) for user in PEOPLE)
    shown = masked_contacts(known_shop, [nadia, ming, bo])
    assert (shown[nadia].name, shown[nadia].emails) == ("N•••• G••••", ("N••••@g••••.example",))
    assert (shown[nadia].phones, shown[nadia].user_ids) == (("•••• 67",), ("••••81",))
    assert (shown[ming].name, shown[bo].name) == ("王••", "B••• E•••")


@given(st.text(min_size=2, max_size=30), st.emails(), st.text("0123456789+ -", min_size=1), st.text(min_size=1))
def test_masks_reveal_nobody(name, email, phone, user_id):
    shown = masked(CustomerContacts("c", name, (email,), (phone,), (user_id,)))
    assert all(len(word.replace("•", "")) <= 1 for word in shown.name.split())
    local, _, domain = shown.emails[0].partition("@")
    assert len(local.replace("•", "")) <= 1
    assert len(domain.split(".")[0].replace("•", "")) <= 1
    assert sum(one.isdigit() for one in shown.phones[0]) <= 2
    assert len(shown.user_ids[0].replace("•", "")) <= 2
    assert user_id not in shown.user_ids


def test_a_text_names_customers(known_shop):
    customers = {user: customer_of(known_shop, user) for user in PEOPLE}
    for text, users in NAMED:
        assert sorted(find_by_text(known_shop, text)) == sorted(customers[user] for user in users), text
    assert find_by_text(known_shop, "nadia", limit=1)[0] in customers.values()


def test_the_index_is_made_anew_as_it_was(known_shop):
    tables = (CONTACT_CARDS, NAME_WORDS)
    vault = Vault.open(known_shop)
    tokens = [vault.token("user_id", user) for user in PEOPLE]
    cards = read_cards(known_shop.store, vault, tokens)
    with known_shop.store.begin() as connection:
        words = sorted(connection.execute(sa.select(NAME_WORDS)).all())
        for table in tables:
            connection.execute(sa.delete(table))
    assert find_by_text(known_shop, "nadia grunwald") == ()
    assert reindex_contacts(known_shop).customer_count == len(PEOPLE)
    assert read_cards(known_shop.store, vault, tokens) == cards
    with known_shop.store.begin() as connection:
        assert sorted(connection.execute(sa.select(NAME_WORDS)).all()) == words


def test_revealing_needs_the_right_and_a_reason_and_is_in_the_audit_log(known_shop):
    who, reason = customer_of(known_shop, "C-10581"), RevealReason("complaint", "she called about a parcel")
    with pytest.raises(NotAllowed):
        reveal_contacts(known_shop, who, actor=VIEWER, reason=reason, now=AT)
    with pytest.raises(BadQuery):
        reveal_contacts(known_shop, who, actor=AGENT, reason=RevealReason(), now=AT)
    with pytest.raises(NotFound):
        reveal_contacts(known_shop, "f" * 32, actor=AGENT, reason=reason, now=AT)
    assert audit_log.entries(known_shop.store) == []
    contacts = reveal_contacts(known_shop, who, actor=AGENT, reason=reason, now=AT)
    assert contacts == contacts_of(known_shop, [who])[who]
    [entry] = audit_log.entries(known_shop.store)
    details = json.loads(entry.details)
    assert (entry.action, details["customer_id"], details["by"]) == ("contacts revealed", who, AGENT.name)
    assert "parcel" not in entry.details
    assert read_note(known_shop, details) == "she called about a parcel"
    forget(RequestContext.from_name(known_shop, now=AT + timedelta(days=9)), user_id="C-10581")
    assert read_note(known_shop, details) == ""


def test_an_erased_customer_is_in_no_card_and_no_index(known_shop):
    who, other = customer_of(known_shop, "C-10581"), customer_of(known_shop, "C-10584")
    forget(RequestContext.from_name(known_shop, now=AT + timedelta(days=9)), customer_id=who)
    assert contacts_of(known_shop, [who]) == {}
    assert [find_by_text(known_shop, text) for text in ("grunwald", "nadia@gruen.example", "C-10581")] == [(), (), ()]
    assert find_by_text(known_shop, "nadiana") == (other,)
    with known_shop.store.begin() as connection:
        cards = connection.scalars(sa.select(CONTACT_CARDS.c.card_id)).all()
        words = connection.scalars(sa.select(NAME_WORDS.c.card_id).distinct()).all()
    assert len(cards) == len(PEOPLE) - 1
    assert set(words) <= set(cards)
