"""Tokens of customers' e-mail addresses and phone numbers, from the personal values that go to the vault."""

import re
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.segment_message import is_placeholder_id
from patron.govern.customers.contact_cards import newest
from patron.govern.customers.contact_values import KEYS
from patron.govern.customers.customer_names import Fields, names_in
from patron.govern.privacy.personal_data import json_object, text_of
from patron.govern.vault import Vault
from patron.schema.privacy.personal_keys import snake_case

CUSTOMER_EVENTS = ("Identify", "Customer Registered", "Order Completed", "Order Line Completed")
"""Events whose contacts are the customer's; in others they may be a recipient's."""
EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
MICROSECONDS = 1_000_000
MIN_DIGITS, MAX_DIGITS = 7, 15
"""Digits of a phone number that can be dialled from elsewhere."""


def contact_tokens(vault: Vault, rows: pa.Table) -> dict[str, pa.Array]:
    """Tokens of the customers' e-mail addresses and phone numbers, by column of `events`; the vault stores nothing."""
    speaks = pc.is_in(rows["name"], value_set=pa.array(CUSTOMER_EVENTS))
    chosen = pc.and_(speaks, pc.is_valid(rows["personal"]))
    contacts = [contacts_of(row) for row in rows["personal"].filter(chosen).to_pylist()]
    return {
        f"{kind}_token": scatter(
            chosen, [vault.token(kind, contact[kind]) if kind in contact else None for contact in contacts]
        )
        for kind in KEYS
    }


def card_changes(rows: pa.Table, user_tokens: pa.Array) -> dict[str, Fields]:
    """Names and contacts that users sent of themselves, by their token; of several values of a field the latest."""
    user_tokens = user_tokens.combine_chunks() if isinstance(user_tokens, pa.ChunkedArray) else user_tokens
    speaks = pc.is_in(rows["name"], value_set=pa.array(CUSTOMER_EVENTS)).combine_chunks()
    chosen = pc.and_(pc.and_(speaks, pc.is_valid(rows["personal"]).combine_chunks()), pc.is_valid(user_tokens))
    some = rows.select(["occurred_at", "personal"]).append_column("token", user_tokens).filter(chosen)
    changes: dict[str, Fields] = defaultdict(dict)
    times = pc.cast(some["occurred_at"].cast(pa.timestamp("us", "UTC")), pa.int64()).to_pylist()
    for token, personal, microseconds in zip(
        some["token"].to_pylist(), some["personal"].to_pylist(), times, strict=True
    ):
        fields = {name: (text, microseconds / MICROSECONDS) for name, text in contact_fields(personal).items()}
        changes[token] = newest(changes[token], fields)
    return {token: fields for token, fields in changes.items() if fields}


def contact_fields(personal: str) -> dict[str, str]:
    """Names and contacts in JSON of personal values, as a contact card has them."""
    values: dict[str, Any] = {snake_case(key): value for key, value in json_object(personal).items()}
    return names_in(values) | contacts_of(personal)


def scatter(chosen: pa.ChunkedArray, texts: list[str | None]) -> pa.Array:
    """Column with `texts` in the chosen rows, in their order, and NULL elsewhere."""
    nothing = pa.nulls(len(chosen), pa.string())
    return pc.replace_with_mask(nothing, chosen.combine_chunks(), pa.array(texts, pa.string())) if texts else nothing


def contacts_of(personal: str) -> dict[str, str]:
    """E-mail address and phone number in JSON of personal values; placeholders such as 000-0000 are left out."""
    values: dict[str, Any] = {snake_case(key): value for key, value in json_object(personal).items()}
    texts = {
        kind: next((text for key in keys if (text := text_of(values.get(key)))), "") for kind, keys in KEYS.items()
    }
    fits = {"email": _is_email(texts["email"]), "phone": _is_phone(texts["phone"])}
    return {kind: text for kind, text in texts.items() if fits[kind]}


def _is_email(text: str) -> bool:
    """Whether it is the address of somebody: not test@ or guest@."""
    local_part, _, domain = text.partition("@")
    # why: the dot is looked for apart; a pattern with one takes the square of the length on a text full of dots
    return bool(EMAIL.fullmatch(text)) and "." in domain[1:-1] and not is_placeholder_id(local_part)


def _is_phone(text: str) -> bool:
    """Whether it is the number of somebody: not 000-0000 or 1111111."""
    digits = [character for character in text if character.isdigit()]
    return MIN_DIGITS <= len(digits) <= MAX_DIGITS and len(set(digits)) > 1
