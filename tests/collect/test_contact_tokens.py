"""What collect keeps of e-mail addresses, phone numbers and previous ids: tokens, so that identity can join them."""

import json

import pyarrow as pa
import pytest

from patron.collect.contact_tokens import contacts_of
from patron.collect.loader import load_events
from patron.collect.segment_message import raw_event_of
from patron.govern.vault import Vault
from patron.schema.data.raw_events import raw_events_table
from patron.schema.tables import EVENTS

BASE = {"messageId": "m", "timestamp": "2024-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("personal", "found"),
    [
        ({"email": "ann@example.org", "phone": "+49 171 1234567"}, {"email", "phone"}),
        ({"E-Mail": "ann@example.org", "mobileNumber": 491711234567}, {"email", "phone"}),
        ({"email": "test@example.org", "phone": "111-1111"}, set()),
        ({"email": "guest", "phone": "12345"}, set()),
        ({"email": "", "phone": "0000000"}, set()),
        ({"recipient_email": "bob@example.org", "shipping_phone": "+49 171 1234567"}, set()),
    ],
)
def test_contacts_of_nobody_and_of_others_are_left_out(personal, found):
    assert contacts_of(json.dumps(personal)).keys() == found


@pytest.mark.parametrize("personal", ["{", "[1]", "null", '"a@b.org"'])
def test_a_value_that_is_not_an_object_has_no_contacts(personal):
    assert contacts_of(personal) == {}


@pytest.fixture
def stored(shop, received_at):
    """Take messages as a client sends them and give back the rows of `events` by id."""

    def stored(*messages):
        rows = [raw_event_of({**BASE, "messageId": f"m{n}", **one}) for n, one in enumerate(messages)]
        load_events(shop, raw_events_table(rows), source="web", known="received", received_at=received_at)
        return {row["event_id"]: row for row in shop.lake.read(EVENTS).to_pylist()}

    return stored


def test_a_person_has_one_token_however_the_address_is_written(shop, stored):
    rows = stored(
        {"type": "identify", "userId": "7", "traits": {"email": "Ann@Example.org"}},
        {
            "type": "identify",
            "anonymousId": "v",
            "traits": {"email": " ann@example.org ", "phone": "+49 (171) 1234567"},
        },
        {"type": "track", "event": "Order Completed", "anonymousId": "w", "properties": {"email": "ann@example.org"}},
        {"type": "track", "event": "Cart Shared", "userId": "7", "properties": {"email": "bob@example.org"}},
    )
    vault = Vault.open(shop)
    token = vault.token("email", "ann@example.org")
    assert [rows[f"m{n}"]["email_token"] for n in range(4)] == [token, token, token, None]
    assert rows["m1"]["phone_token"] == vault.token("phone", "+491711234567")
    assert vault.reveal([token]) == [None]  # the address itself is with the event's other personal values


def test_the_previous_id_of_an_alias_is_the_token_of_the_user_who_had_it(stored):
    rows = stored(
        {"type": "identify", "userId": "old"},
        {"type": "alias", "userId": "new", "previousId": "old"},
        {"type": "identify", "userId": "new", "anonymousId": "old"},
    )
    assert [rows[f"m{n}"]["previous_token"] for n in range(3)] == [None, rows["m0"]["user_token"], None]


def test_ids_of_nobody_link_nobody(stored):
    rows = stored({"type": "identify", "userId": "test", "anonymousId": "v"})
    assert (rows["m0"]["user_token"], rows["m0"]["anonymous_token"] is None) == (None, False)


def test_an_import_without_contacts_has_none(shop, received_at):
    raw_events = pa.table({"event_id": ["1"], "name": ["Identify"], "user_id": ["7"], "occurred_at": [received_at]})
    load_events(shop, raw_events, source="file", known="occurred", received_at=received_at)
    [row] = shop.lake.read(EVENTS).to_pylist()
    assert (row["email_token"], row["phone_token"], row["previous_token"]) == (None, None, None)
