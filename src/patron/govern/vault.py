"""The vault: identifiers and texts encrypted with one key a token, so that shredding a key forgets a person.

A token is HMAC-SHA256 of kind and value under a derived key, cut to 128 bits: the same value is the same token, and
nobody without the master key can guess a value from its token.
"""

import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.govern.customers.contact_values import contacts_in
from patron.govern.master_key import Keys, derive_keys
from patron.govern.privacy.personal_data import json_object
from patron.schema.errors import MasterKeyError
from patron.schema.outreach.channels import ADDRESS_KINDS
from patron.schema.sentences import Sentence
from patron.storage.customers.customer_tables import CONTACT_CARDS, NAME_WORDS
from patron.storage.master_key import KEY_BYTES
from patron.storage.shop import Shop
from patron.storage.store.statements import insert_many
from patron.storage.store.store import CONTACTS, FORGOTTEN, VAULT_TEXTS, VAULT_TOKENS, Store, upsert

VAULT_ROW_CLOSED = Sentence(
    "vault_row_closed", "a row of the vault cannot be decrypted with this workspace's master key"
)
RIGHT_KEY_BACK = Sentence(
    "right_key_back", "Put the right key back; if it is the right one, restore the store from a backup."
)

FOLDED = "folded_user_id"
"""Kind of token of a user id in whatever case: kept as a contact of the id, so that people need not know its case."""
PREFIXES = {
    **{kind.name: kind.vault_letter for kind in ADDRESS_KINDS},
    "anonymous_id": "a",
    "event": "v",
    "identifier": "i",
    "recommendation": "r",
    FOLDED: "f",
}
"""How tokens of a kind begin. An `identifier` is a thing of the shop's whose id is personal: an order, a product ...; a
`recommendation` is a place of a list, whose token proves that we made it."""
IDENTIFYING_KEYS = {kind.name: kind.identifying_key for kind in ADDRESS_KINDS if kind.identifying_key}
"""Key that tells one address in JSON from another, by its kind."""
SEALED = "sealed:"
"""How a sealed text begins."""
NONCE_BYTES = 12
TOKEN_BYTES = 16
MARK_BYTES = 8
IDENTIFIER = re.compile(r"i_[0-9a-f]{32}")
CUSTOMER_ID = re.compile("[0-9a-f]{32}")
BATCH = 500
REMEMBERED = 200_000
"""Values of a kind whose tokens an open vault remembers: those who come back often need no second hash."""


class Vault:
    """Tokens and texts of one workspace."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._master = AESGCM(keys.wrapping)
        self._letters = AESGCM(keys.letters)
        self._known: dict[str, dict[str, str]] = {}
        self._ciphers: dict[str, AESGCM] = {}

    @classmethod
    def open(cls, shop: Shop) -> Self:
        """Open the vault of a shop. Raises MasterKeyError when the key is missing or wrong."""
        return cls(shop.store, derive_keys(shop.master_key()))

    @property
    def row_key(self) -> str:
        """Secret that ids of imported rows are hashed with, so that a row's id does not give its values away."""
        return self._keys.rows.hex()

    @property
    def name_key(self) -> bytes:
        """Key of the blind index of names."""
        return self._keys.names

    def token(self, kind: str, value: str) -> str:
        """Token of one value; stores nothing."""
        message = f"{kind}\x00{normal_form(kind, value)}".encode()
        return f"{PREFIXES[kind]}_{hmac.digest(self._keys.index, message, 'sha256')[:TOKEN_BYTES].hex()}"

    def store_tokens(self, kind: str, values: pa.Array | pa.ChunkedArray, created_at: datetime) -> pa.Array:
        """Store new values, encrypted; return the token of each value, NULL for NULL."""
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        coded = pc.dictionary_encode(values)
        unique = coded.dictionary.to_pylist()
        known = self._known.setdefault(kind, {})
        new_tokens = {value: self.token(kind, value) for value in unique if value not in known}
        self._store_new(kind, {token: value for value, token in new_tokens.items()}, created_at)
        tokens = [new_tokens[value] if value in new_tokens else known[value] for value in unique]
        if len(known) < REMEMBERED:
            known.update(new_tokens)
        return pa.array(tokens, pa.string()).take(coded.indices)

    def find(self, kind: str, value: str) -> str | None:
        """Token of a value that is stored, or None."""
        token = self.token(kind, value)
        with self._store.begin() as connection:
            return connection.scalar(sa.select(VAULT_TOKENS.c.token).where(VAULT_TOKENS.c.token == token))

    def reveal(self, tokens: Sequence[str]) -> list[str | None]:
        """Values of tokens; None for one that is unknown or forgotten. Raises MasterKeyError when a row is damaged."""
        rows = self._rows(set(tokens))
        known = {}
        for token, (ciphertext, wrapped) in rows.items():
            known[token] = self._decrypt(AESGCM(self._unwrap(token, wrapped)), ciphertext, token).decode()
        return [known.get(token) for token in tokens]

    def reveal_identifiers(self, values: Sequence[str]) -> list[str]:
        """The shop's own ids of things: a token becomes the value it stands for; all others stay."""
        tokens = sorted({value for value in values if IDENTIFIER.fullmatch(value)})
        known = dict(zip(tokens, self.reveal(tokens), strict=True)) if tokens else {}
        return [known.get(value) or value for value in values]

    def store_texts(self, source: str, texts: Iterable[tuple[str, str, str, str]]) -> int:
        """Store (event_id, field, token, text), encrypted under the token's key, unless stored; return how many."""
        rows_to_keep = list(texts)
        rows = self.sealed_texts(source, rows_to_keep)
        if rows:
            with self._store.begin() as connection:
                insert_many(connection, VAULT_TEXTS, rows)
        self._insert(
            CONTACTS,
            [
                contact
                for _, field, token, text in rows_to_keep
                if field == "personal"
                for contact in self._contacts(token, text)
            ],
        )
        return len(rows)

    def sealed_texts(
        self, source: str, texts: Sequence[tuple[str, str, str, str]]
    ) -> list[tuple[str, str, str, str, bytes]]:
        """Rows of VAULT_TEXTS for (event_id, field, token, text); stores nothing. The tokens are stored ones."""
        ciphers = self._ciphers_of({token for _, _, token, _ in texts})
        return [
            (source, event_id, field, token, _encrypt(ciphers[token], text.encode(), _place(source, event_id, field)))
            for event_id, field, token, text in texts
        ]

    def _ciphers_of(self, tokens: set[str]) -> dict[str, AESGCM]:
        """Ciphers of stored tokens; those of people who come back often are remembered."""
        unknown = self._rows(tokens - self._ciphers.keys())
        fresh = {token: AESGCM(self._unwrap(token, row[1])) for token, row in unknown.items()}
        ciphers = {token: self._ciphers[token] for token in tokens if token in self._ciphers} | fresh
        if len(self._ciphers) < REMEMBERED:
            self._ciphers.update(fresh)
        return ciphers

    def _contacts(self, token: str, personal: str) -> Iterator[dict[str, str]]:
        for kind, value in contacts_in(personal):
            yield {"contact": self.token(kind, value), "token": token}

    def tokens_with_contact(self, kind: str, value: str) -> list[str]:
        """Tokens of all users and visitors with an e-mail address or telephone number."""
        chosen = sa.select(CONTACTS.c.token).where(CONTACTS.c.contact == self.token(kind, value))
        with self._store.begin() as connection:
            return sorted(connection.scalars(chosen))

    def tokens_with_user_id(self, value: str) -> list[str]:
        """Tokens of all users whose id is this one but for its case, the very same first."""
        exact = self.token("user_id", value)
        others = self.tokens_with_contact(FOLDED, value)
        return list(dict.fromkeys([exact, self.token("user_id", value.casefold()), *others]))

    @cached_property
    def forgotten(self) -> frozenset[str]:
        """Tokens of forgotten people, about whom nothing is accepted any more."""
        with self._store.begin() as connection:
            return frozenset(connection.scalars(sa.select(FORGOTTEN.c.token)))

    def reload_forgotten(self) -> None:
        """Learn whom other processes have forgotten since."""
        before = self.__dict__.pop("forgotten", None)
        if before is not None and before != self.forgotten:
            self._ciphers.clear()
            self._known.clear()  # why: their keys are gone, so that their tokens would be stored without one

    def texts(self, tokens: Sequence[str], fields: Sequence[str] = ()) -> list[dict[str, str]]:
        """Everything kept under these tokens: source, event_id, field, token, text; what is forgotten is left out.

        `fields` opens some fields only, such as personal.
        """
        keys = {token: AESGCM(self._unwrap(token, row[1])) for token, row in self._rows(set(tokens)).items()}
        texts = []
        for batch in _batches(sorted(keys)):
            with self._store.begin() as connection:
                chosen = sa.select(VAULT_TEXTS).where(VAULT_TEXTS.c.token.in_(batch))
                chosen = chosen.where(VAULT_TEXTS.c.field.in_(fields)) if fields else chosen
                rows = connection.execute(chosen.order_by(*VAULT_TEXTS.primary_key.columns)).all()
            for row in rows:
                place = _place(row.source, row.event_id, row.field)
                text = self._decrypt(keys[row.token], row.ciphertext, place).decode()
                texts.append({**dict(row._mapping), "text": text})  # noqa: SLF001 - SQLAlchemy's public name for it
                del texts[-1]["ciphertext"]
        return texts

    def encrypt_under_tokens(self, texts: Mapping[str, str], place: str) -> dict[str, bytes]:
        """Encrypt texts, each under the key of its token and bound to a place; of an unknown token none."""
        ciphers = self._ciphers_of(set(texts))
        return {token: _encrypt(one, texts[token].encode(), f"{place} {token}") for token, one in ciphers.items()}

    def decrypt_under_tokens(self, sealed: Mapping[str, bytes], place: str) -> dict[str, str]:
        """Decrypt such texts; those of forgotten tokens are left out. Raises MasterKeyError for a changed one."""
        ciphers = self._ciphers_of(set(sealed))
        return {token: self._decrypt(one, sealed[token], f"{place} {token}").decode() for token, one in ciphers.items()}

    def shred(self, tokens: Sequence[str]) -> int:
        """Destroy the keys of tokens, which makes their values and texts unreadable; return how many there were."""
        count = 0
        self._known.clear()
        self._ciphers.clear()
        for batch in _batches(sorted(set(tokens))):
            with self._store.begin() as connection:
                connection.execute(sa.delete(VAULT_TEXTS).where(VAULT_TEXTS.c.token.in_(batch)))
                connection.execute(sa.delete(CONTACTS).where(CONTACTS.c.token.in_(batch)))
                marks = [mark_of_token(token) for token in batch]
                connection.execute(sa.delete(NAME_WORDS).where(NAME_WORDS.c.card_id.in_(marks)))
                connection.execute(sa.delete(CONTACT_CARDS).where(CONTACT_CARDS.c.card_id.in_(marks)))
                count += connection.execute(sa.delete(VAULT_TOKENS).where(VAULT_TOKENS.c.token.in_(batch))).rowcount
        return count

    def seal(self, content: bytes, place: str) -> bytes:
        """Encrypt a dead letter, bound to its place."""
        return _encrypt(self._letters, content, place)

    def unseal(self, sealed: bytes, place: str) -> bytes:
        """Decrypt a dead letter. Raises MasterKeyError when it was changed or moved."""
        return self._decrypt(self._letters, sealed, place)

    def seal_text(self, text: str, place: str) -> str:
        """Encrypt a text for a column of texts, bound to its place."""
        return SEALED + b64encode(self.seal(text.encode(errors="replace"), place)).decode()

    def unseal_text(self, sealed: str, place: str) -> str:
        """Decrypt a text; one that was never sealed is returned as it is. Raises MasterKeyError when it was changed."""
        if not sealed.startswith(SEALED):
            return sealed
        return self.unseal(b64decode(sealed.removeprefix(SEALED)), place).decode()

    def _store_new(self, kind: str, values: dict[str, str], created_at: datetime) -> None:
        already = self._rows(set(values)) if values else {}
        new = [token for token in values if token not in already]
        rows = []
        for token in new:
            key = os.urandom(KEY_BYTES)
            cipher = AESGCM(key)
            if len(self._ciphers) < REMEMBERED:
                self._ciphers[token] = cipher
            rows.append(
                {
                    "token": token,
                    "kind": kind,
                    "ciphertext": _encrypt(cipher, values[token].encode(), token),
                    "wrapped_key": _encrypt(self._master, key, f"key {token}"),
                    "created_at": created_at,
                }
            )
        self._insert(VAULT_TOKENS, rows)
        mixed = [token for token in new if kind == "user_id" and values[token] != values[token].casefold()]
        self._insert(CONTACTS, [{"contact": self.token(FOLDED, values[token]), "token": token} for token in mixed])

    def _rows(self, tokens: set[str]) -> dict[str, tuple[bytes, bytes]]:
        rows_by_token = {}
        table = VAULT_TOKENS.c
        with self._store.begin() as connection:
            for batch in _batches(sorted(tokens)):
                chosen = sa.select(table.token, table.ciphertext, table.wrapped_key).where(table.token.in_(batch))
                rows_by_token.update({row[0]: (row[1], row[2]) for row in connection.execute(chosen)})
        return rows_by_token

    def _insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        with self._store.begin() as connection:
            upsert(connection, table, rows)

    def _unwrap(self, token: str, wrapped: bytes) -> bytes:
        return self._decrypt(self._master, wrapped, f"key {token}")

    def _decrypt(self, cipher: AESGCM, content: bytes, place: str) -> bytes:
        try:
            return cipher.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], place.encode())
        except InvalidTag:
            raise MasterKeyError(
                VAULT_ROW_CLOSED,
                where=f"vault {place.rsplit(maxsplit=1)[-1]}",
                todo=RIGHT_KEY_BACK,
            ) from None


def mark_of_token(token: str) -> int:
    """Short number of a token: of the 2^63 hardly two in a shop are the same."""
    return int(token.rpartition("_")[2][: 2 * MARK_BYTES], 16) >> 1


def initial_customer_id(token: str) -> str:
    """Opaque id of the customer whose first token it is."""
    return hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()


def customer_mark(customer_id: str) -> bytes | None:
    """Short form of an opaque customer id; None for any other text. Many ids may have one form, if rarely."""
    return bytes.fromhex(customer_id)[:MARK_BYTES] if CUSTOMER_ID.fullmatch(customer_id) else None


def normal_form(kind: str, value: str) -> str:
    """Write an identifier the one way that its token is made from."""
    value = value.strip()
    if kind == FOLDED:
        return value.casefold()
    if kind == "email":
        return value.lower()
    if kind in IDENTIFYING_KEYS:
        return str(json_object(value).get(IDENTIFYING_KEYS[kind]) or value)
    return re.sub(r"[^\d+]", "", value) if kind == "phone" else value


def _place(source: str, event_id: str, field: str) -> str:
    return f"{source}\x00{event_id}\x00{field}"


def _encrypt(cipher: AESGCM, content: bytes, place: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, place.encode())


def _batches(items: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
