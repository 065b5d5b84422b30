"""Latest name, e-mail address and telephone number of each user, encrypted under the key of their token.

The vault keeps every text as it came; which is the latest only the lake knows, and reading it for a page of customers
would take seconds. So a card of each user is kept up to date with what arrives, and with it the blind index of names.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from patron.govern.customers.customer_names import Fields, customer_name
from patron.govern.customers.name_words import has_words, index_codes, search_terms
from patron.govern.vault import Vault, mark_of_token
from patron.storage.customers.customer_tables import CONTACT_CARDS, NAME_WORDS
from patron.storage.store.statements import insert_many
from patron.storage.store.store import WORKSPACE, Store, upsert

PLACE = "contact card"
BATCH = 500
MAX_CANDIDATES = 500
"""Cards that a search looks at."""
OUTDATED = "outdated_contact_cards"
"""Entry of the workspace while cards are of an older version, or are being written anew."""


@dataclass(frozen=True)
class Card:
    """What a user is called and reached by."""

    name: str
    email: str
    phone: str
    at: float
    """When the newest of it was current: seconds since 1970."""

    @classmethod
    def of(cls, fields: Fields) -> "Card":
        """Card of its fields."""
        values = {name: value for name, (value, _) in fields.items()}
        name = customer_name(fields).whole
        newest = max((at for _, at in fields.values()), default=0.0)
        return cls(name, values.get("email", ""), values.get("phone", ""), newest)


def update_cards(store: Store, vault: Vault, changes: Mapping[str, Fields]) -> int:
    """Enter what users sent, by user token, and index their names; older values change nothing. Return how many."""
    rows: list[dict[str, object]] = []
    codes: list[tuple[int, int]] = []
    outdated: list[dict[str, int]] = []
    for some in _batches(sorted(changes)):
        before = _fields(store, vault, some)
        after = {token: newest(before.get(token, {}), changes[token]) for token in some}
        after = {token: fields for token, fields in after.items() if fields != before.get(token, {})}
        sealed = vault.encrypt_under_tokens({token: json.dumps(fields) for token, fields in after.items()}, PLACE)
        rows += [{"card_id": mark_of_token(one), "token": one, "ciphertext": text} for one, text in sealed.items()]
        for token in sealed:
            mark = mark_of_token(token)
            old, new = (index_codes(vault.name_key, Card.of(one.get(token, {})).name) for one in (before, after))
            codes += [(code, mark) for code in new - old]
            outdated += [{"old_word": code, "old_card": mark} for code in old - new]
    # why: in one go and in the order of the index, as its places are random and each page is encrypted
    if not rows:
        return 0
    with store.begin() as connection:
        upsert(connection, CONTACT_CARDS, rows, update=("ciphertext",))
        if outdated:
            word = NAME_WORDS.c
            is_outdated = sa.and_(word.word == sa.bindparam("old_word"), word.card_id == sa.bindparam("old_card"))
            connection.execute(sa.delete(NAME_WORDS).where(is_outdated), outdated)
        if codes:
            insert_many(connection, NAME_WORDS, sorted(codes))
    return len(rows)


def read_cards(store: Store, vault: Vault, tokens: Iterable[str]) -> dict[str, Card]:
    """Cards by user token; those of forgotten people are gone. Raises MasterKeyError."""
    cards: dict[str, Card] = {}
    for some in _batches(sorted(set(tokens))):
        cards |= {token: Card.of(fields) for token, fields in _fields(store, vault, some).items()}
    return cards


def tokens_with_name(store: Store, vault: Vault, text: str, *, limit: int) -> list[str]:
    """Tokens of users whose name has every word of a text, whole or from its third letter on, in no order."""
    terms = search_terms(vault.name_key, text)
    if not terms:
        return []
    word = NAME_WORDS.c
    matching = sa.intersect(*(sa.select(word.card_id).where(word.word.in_(term.codes)) for term in terms)).subquery()
    is_exact = all(term.is_exact for term in terms)
    with store.begin() as connection:
        chosen = sa.select(CONTACT_CARDS.c.token).join(matching, matching.c.card_id == CONTACT_CARDS.c.card_id)
        tokens = list(connection.scalars(chosen.limit(limit if is_exact else MAX_CANDIDATES)))
    if is_exact:
        return tokens
    return [token for token, card in read_cards(store, vault, tokens).items() if has_words(card.name, text)][:limit]


def delete_all_cards(store: Store) -> None:
    """Delete every card and the index, to write them anew; they are outdated until `confirm_cards`."""
    with store.begin() as connection:
        upsert(connection, WORKSPACE, [{"key": OUTDATED, "value": "1"}], update=("value",))
        connection.execute(sa.delete(NAME_WORDS))
        connection.execute(sa.delete(CONTACT_CARDS))


def confirm_cards(store: Store) -> None:
    """Note that every card is of this version."""
    with store.begin() as connection:
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == OUTDATED))


def are_outdated(store: Store) -> bool:
    """Whether cards lack names that this version reads."""
    with store.begin() as connection:
        return connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == OUTDATED)) is not None


def _fields(store: Store, vault: Vault, tokens: Sequence[str]) -> dict[str, Fields]:
    card = CONTACT_CARDS.c
    with store.begin() as connection:
        marks = {mark_of_token(token) for token in tokens}
        rows = connection.execute(sa.select(card.token, card.ciphertext).where(card.card_id.in_(marks)))
        sealed = {token: ciphertext for token, ciphertext in rows if token in set(tokens)}
    texts = vault.decrypt_under_tokens(sealed, PLACE)
    return {token: {name: (one[0], one[1]) for name, one in json.loads(text).items()} for token, text in texts.items()}


def newest(before: Fields, change: Fields) -> Fields:
    """Fields with what a change has that is as new or newer."""
    newer = {name: one for name, one in change.items() if name not in before or one[1] >= before[name][1]}
    return {**before, **newer}


def _batches(tokens: Sequence[str]) -> Iterable[Sequence[str]]:
    return (tokens[start : start + BATCH] for start in range(0, len(tokens), BATCH))
