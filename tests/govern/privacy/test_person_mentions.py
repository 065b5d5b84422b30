"""Contacts are those of the person who sent them, and a text names a person by whatever tokens can be made from it."""

import json

import pytest

from patron.govern.customers.contact_values import contacts_in
from patron.govern.privacy.person_mentions import mentions_any
from patron.govern.vault import Vault


@pytest.mark.parametrize(
    ("personal", "found"),
    [
        ({"email": "a@b.example", "first_name": "A"}, [("email", "a@b.example")]),
        ({"billing_email": "a@b.example", "Mobile Number": 491701}, [("email", "a@b.example"), ("phone", "491701")]),
        ({"recipient_email": "friend@b.example", "shipping_phone": "1", "phone": None}, []),
        ({"context": {"ip": "1.2.3.4"}, "email": {"work": "x"}}, []),
    ],
)
def test_contacts_are_found_by_their_keys_and_never_those_of_a_recipient(personal, found):
    assert list(contacts_in(json.dumps(personal))) == found


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ('{"line": "{\\"userId\\": \\"shop 7\\", \\"type\\": \\"track\\"}"}', True),
        ('{"raw": "2024-01-01;shop 7;12,50"}', True),
        ('{"line": "{cut off \\"email\\": \\"ANNA@example.org\\""}', True),
        ('{"part": "orders", "row": {"customer_no": "42", "quantity": "1"}}', True),
        ('{"part": "orders", "row": {"customer_no": "43", "quantity": "42"}}', False),
        ('{"line": "shop 70 and anna@example.organic"}', False),
        ("", False),
        ("42,anything", True),
    ],
)
def test_a_letter_names_a_person_by_id_or_address_but_not_by_a_quantity(shop, text, is_named):
    vault = Vault.open(shop)
    named = (("user_id", "shop 7"), ("user_id", "42"), ("email", "anna@example.org"))
    tokens = frozenset(vault.token(*one) for one in named)
    assert mentions_any(vault, tokens, text) is is_named
