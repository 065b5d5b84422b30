"""Who customers are, from the cards of their users: batches of customers, looked up by the last run's identities."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import sqlalchemy as sa

from patron.govern.customers.contact_cards import Card, read_cards
from patron.govern.customers.user_tokens import USER, known_user_tokens, run_or_none
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.customers.customer_contacts import CustomerContacts
from patron.schema.table_definition import TEXT
from patron.storage.shop import Shop
from patron.storage.store.store import PROFILES


def read_contacts(shop: Shop, customer_ids: Iterable[str]) -> dict[str, CustomerContacts]:
    """Names, addresses, numbers and the shop's own ids of customers, in clear; of unknown and erased ones nothing."""
    wanted = list(dict.fromkeys(customer_ids))
    tokens = user_tokens(shop, wanted) if wanted else {}
    vault = Vault.open(shop)
    every = [token for some in tokens.values() for token in some]
    cards = read_cards(shop.store, vault, every)
    values = dict(zip(every, vault.reveal(every), strict=True))
    known = {one: _contacts(one, tokens[one], cards, values) for one in wanted if one in tokens}
    return {one: contacts for one, contacts in known.items() if not contacts.is_empty}


def user_tokens(shop: Shop, customer_ids: Sequence[str]) -> dict[str, list[str]]:
    """User tokens of customers: as the last run has them, and of those since from the live profiles."""
    tokens = known_user_tokens(shop).of_customers(customer_ids)
    since = [customer_id for customer_id in customer_ids if customer_id not in tokens]
    profile = PROFILES.c
    if since:
        chosen = sa.select(profile.token).where(profile.own_id.in_(since), profile.token.startswith(USER))
        with shop.store.begin() as connection:
            fresh = sorted(set(connection.scalars(chosen)))
        tokens |= {initial_customer_id(token): [token] for token in fresh}
    return tokens


def customers_of(shop: Shop, tokens: Sequence[str]) -> dict[str, str]:
    """Customer of each token: as the last run has it; what is new since is a customer of its own."""
    known = known_user_tokens(shop).customers(token for token in tokens if token.startswith(USER))
    devices = [token for token in tokens if not token.startswith(USER)]
    if devices:
        rows = (run_or_none(shop) or shop.newest_snapshot()).query(
            "select i.token, i.customer_id from identities i join wanted w on w.token = i.token"
            " where i.shared_from is null",
            wanted=pa.table({"token": pa.array(devices, TEXT)}),
        )
        known |= dict(zip(rows["token"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))
    return {token: known.get(token) or initial_customer_id(token) for token in tokens}


def _contacts(
    customer_id: str, tokens: Sequence[str], cards: Mapping[str, Card], values: Mapping[str, str | None]
) -> CustomerContacts:
    newest_first = sorted((cards[token] for token in tokens if token in cards), key=lambda card: -card.at)
    return CustomerContacts(
        customer_id,
        name=next((card.name for card in newest_first if card.name), ""),
        emails=tuple(dict.fromkeys(card.email for card in newest_first if card.email)),
        phones=tuple(dict.fromkeys(card.phone for card in newest_first if card.phone)),
        user_ids=tuple(value for token in tokens if (value := values.get(token))),
    )
