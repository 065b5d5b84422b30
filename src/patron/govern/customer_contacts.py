"""Who customers are, from the cards of their users: batches of customers, looked up by the last run's identities."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import sqlalchemy as sa

from patron.govern.contact_cards import Card, read_cards
from patron.govern.vault import PREFIXES, Vault, initial_customer_id
from patron.schema.customer_contacts import CustomerContacts
from patron.schema.errors import NoRunYet
from patron.schema.table_definition import TEXT
from patron.storage.last_run import last_run
from patron.storage.shop import Shop, Snapshot
from patron.storage.store import PROFILES

MOST_TOKENS = 20
"""Users of one customer that are looked at: a customer merged from more is a fault of the data."""
USER = f"{PREFIXES['user_id']}_"


def read_contacts(shop: Shop, customer_ids: Iterable[str]) -> dict[str, CustomerContacts]:
    """Names, addresses, numbers and the shop's own ids of customers, in clear; of unknown and erased ones nothing."""
    asked = list(dict.fromkeys(customer_ids))
    tokens = user_tokens(shop, asked) if asked else {}
    vault = Vault.open(shop)
    every = [token for some in tokens.values() for token in some]
    cards = read_cards(shop.store, vault, every)
    values = dict(zip(every, vault.reveal(every), strict=True))
    contacts = {one: _contacts(one, tokens[one], cards, values) for one in asked if one in tokens}
    return {one: found for one, found in contacts.items() if not found.is_empty}


def user_tokens(shop: Shop, customer_ids: Sequence[str]) -> dict[str, list[str]]:
    """User tokens of customers: from the last run's identities, and of those since from the live profiles."""
    tokens: dict[str, list[str]] = defaultdict(list)
    rows = _identities(shop).query(
        "select i.customer_id, i.token from identities i join wanted w on w.customer_id = i.customer_id"
        " where i.is_user order by i.customer_id, i.known_at, i.token",
        wanted=pa.table({"customer_id": pa.array(customer_ids, TEXT)}),
    )
    for customer_id, token in zip(rows["customer_id"].to_pylist(), rows["token"].to_pylist(), strict=True):
        if token.startswith(USER) and len(tokens[customer_id]) < MOST_TOKENS:
            tokens[customer_id].append(token)
    since = [one for one in customer_ids if one not in tokens]
    profile = PROFILES.c
    if since:
        chosen = sa.select(profile.token).where(profile.own_id.in_(since), profile.token.startswith(USER))
        with shop.store.begin() as connection:
            for token in sorted(set(connection.scalars(chosen))):
                tokens[initial_customer_id(token)].append(token)
    return dict(tokens)


def customers_of(shop: Shop, tokens: Sequence[str]) -> dict[str, str]:
    """Customer of each token: from the last run's identities; what is new since is a customer of its own."""
    known: dict[str, str] = {}
    if tokens:
        rows = _identities(shop).query(
            "select i.token, i.customer_id from identities i join wanted w on w.token = i.token"
            " where i.shared_from is null",
            wanted=pa.table({"token": pa.array(list(tokens), TEXT)}),
        )
        known = dict(zip(rows["token"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))
    return {token: known.get(token) or initial_customer_id(token) for token in tokens}


def _identities(shop: Shop) -> Snapshot:
    return run_or_none(shop) or shop.newest_snapshot()


def run_or_none(shop: Shop) -> Snapshot | None:
    """The last completed run; None before any."""
    try:
        return last_run(shop)
    except NoRunYet:
        return None


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
