"""Customers whom a text names: by name, e-mail address, telephone number, the shop's own id or Patron's opaque id.

Nobody is opened for it: the text becomes codes under a derived key, which the store holds next to opaque tokens.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.govern.customers.contact_cards import tokens_with_name
from patron.govern.customers.customer_contacts import customers_of, read_contacts, user_tokens
from patron.govern.customers.user_tokens import run_or_none
from patron.govern.vault import PREFIXES, Vault, normal_form
from patron.schema.customers.customer_contacts import CustomerContacts, masked
from patron.schema.customers.customer_rights import READ_CUSTOMERS
from patron.storage.shop import Shop

MAX_CUSTOMERS = 200
MAX_SUGGESTED = 8
MAX_CHARACTERS = 200
SearchText = Annotated[
    str,
    Field(
        max_length=MAX_CHARACTERS,
        description="Name, e-mail address, phone number, the shop's id or an opaque id.",
    ),
]
"""In a body only, never in an address."""
MIN_DIGITS = 5
"""Digits that a text needs to be looked up as a telephone number."""
OPAQUE_ID = re.compile("[0-9a-f]{3,32}")
ID_LENGTH = 32


def find_by_text(
    shop: Shop, text: str, *, visible: VisibleCustomers | None = None, limit: int = MAX_CUSTOMERS
) -> tuple[str, ...]:
    """Ids of the customers whom a text names, of those whom the reader sees; nobody for an empty text.

    First who has it as id, address or number, then whose opaque id begins with it (from 3 characters on), then whose
    name has all of its words, whole or from their third letter on. Raises MasterKeyError.
    """
    written = text.strip()[:MAX_CHARACTERS]
    customer_ids: dict[str, None] = {}
    for some in _matches(shop, written, limit) if written else ():
        for one in some:
            if visible is None or one in visible:
                customer_ids.setdefault(one)
        if len(customer_ids) >= limit:
            break
    return tuple(customer_ids)[:limit]


@operation(READ_CUSTOMERS, "POST /api/customers/search")
def suggest_customers(
    shop: Shop, text: SearchText, *, visible: VisibleCustomers | None = None
) -> tuple[CustomerContacts, ...]:
    """The first customers whom a text names, masked.

    Which of them is meant shows, who they are does not. Raises MasterKeyError.
    """
    customer_ids = find_by_text(shop, text, visible=visible, limit=MAX_SUGGESTED)
    contacts = read_contacts(shop, customer_ids)
    return tuple(masked(contacts.get(customer_id) or CustomerContacts(customer_id)) for customer_id in customer_ids)


def _matches(shop: Shop, text: str, limit: int) -> Iterator[Iterable[str]]:
    vault = Vault.open(shop)
    named = [*_tokens_with_id(vault, text), *_tokens_with_contact(vault, text)]
    yield customers_of(shop, named[:limit]).values()
    if OPAQUE_ID.fullmatch(text.lower()):
        yield _with_opaque_id(shop, text.lower(), limit)
    # why: who is new since the last run is not restricted to it, and is found as well
    yield customers_of(shop, tokens_with_name(shop.store, vault, text, limit=limit)).values()


def _tokens_with_id(vault: Vault, text: str) -> list[str]:
    """Known users and visitors whose id it is, in any case."""
    tokens = [*vault.tokens_with_user_id(text), vault.token("anonymous_id", text)]
    return [token for token, value in zip(tokens, vault.reveal(tokens), strict=True) if value is not None]


def _tokens_with_contact(vault: Vault, text: str) -> list[str]:
    kinds = ["email"] if "@" in text else []
    kinds += ["phone"] if len(normal_form("phone", text).strip("+")) >= MIN_DIGITS else []
    return [token for kind in kinds for token in vault.tokens_with_contact(kind, text) if _is_somebody(token)]


def _is_somebody(token: str) -> bool:
    return token.startswith((f"{PREFIXES['user_id']}_", f"{PREFIXES['anonymous_id']}_"))


def _with_opaque_id(shop: Shop, beginning: str, limit: int) -> list[str]:
    view = run_or_none(shop)
    if view is not None:
        sql = f"""
select customer_id from segments where run_id = $run_id and customer_id >= $beginning and customer_id < $after
order by customer_id limit {int(limit)}"""
        bounds = {"run_id": view.run.run_id, "beginning": beginning, "after": f"{beginning}g"}
        listed = view.query(sql, bounds)["customer_id"].to_pylist()
        if listed:
            return listed
    return [beginning] if len(beginning) == ID_LENGTH and beginning in user_tokens(shop, [beginning]) else []
