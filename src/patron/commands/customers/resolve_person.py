"""Resolve a person from any of the shop's identifiers: all of their tokens and customer ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self

import pyarrow as pa
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from patron.govern.access.request_context import RequestContext
from patron.govern.vault import FOLDED, PREFIXES, Vault, initial_customer_id, normal_form
from patron.schema.common_sentences import USE_ONE_OF
from patron.schema.errors import NotFound, SettingsError
from patron.schema.sentences import Sentence
from patron.schema.table_definition import TEXT
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store.store import CONTACTS
from patron.understand.facts.aliases import aliases, persons
from patron.understand.facts.identities import identities
from patron.understand.facts.token_pairs import token_pairs
from patron.understand.facts.usable_events import END_OF_TIME, Scope

NO_CUSTOMER_WITH = Sentence("no_customer_with", "no customer with {kind} {value!r} is known")
CHECK_OR_LOOK_UP = Sentence("check_or_look_up", "Check it, or look the customer up in the console.")
ONE_WAY_TO_NAME = Sentence("one_way_to_name", "name the customer in exactly one way")


@dataclass(frozen=True)
class PersonIdentifier:
    """Exactly one identifier of a person. Raises SettingsError otherwise."""

    user_id: str | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: str | None = None
    customer_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse none and several."""
        if sum(value is not None for value in vars(self).values()) != 1:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in vars(self))
            raise SettingsError(ONE_WAY_TO_NAME, where="customer", todo=USE_ONE_OF(names=options))


IdentifierText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None


class NamedPerson(BaseModel):
    """A person, identified in exactly one way; in a body only, never in an address."""

    model_config = ConfigDict(extra="forbid")

    user_id: IdentifierText = None
    email: IdentifierText = None
    phone: IdentifierText = None
    anonymous_id: IdentifierText = None
    customer_id: IdentifierText = None

    @model_validator(mode="after")
    def _in_one_way(self) -> Self:
        if len(self.identifier) != 1:
            raise ValueError(f"identify the person by exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def identifier(self) -> dict[str, str]:
        """The one identifier."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Person:
    """A person: all of their tokens."""

    tokens: tuple[str, ...]
    """Tokens of their user ids, devices, and of contacts that nobody else has."""

    @property
    def customer_id(self) -> str:
        """Opaque id of the customer, the first where several customers share a contact."""
        return initial_customer_id(
            min(self.tokens, key=lambda token: (not token.startswith(PREFIXES["user_id"]), token))
        )

    def token_count(self, kind: str) -> int:
        """How many of their tokens are of a kind of id: user_id, anonymous_id, email, phone."""
        return sum(token.startswith(PREFIXES[kind]) for token in self.tokens)

    @property
    def customer_ids(self) -> tuple[str, ...]:
        """Every opaque id that a customer with these tokens has or ever had."""
        return tuple(initial_customer_id(token) for token in self.tokens)


def find_identifier_tokens(shop: Shop, identifier: PersonIdentifier) -> tuple[str, ...]:
    """Tokens of an identifier itself, of an address those of everybody who has it; none of a customer_id."""
    return tuple(sorted(_named_tokens(Vault.open(shop), identifier)))


def find_person(shop: Shop, vault: Vault, identifier: PersonIdentifier) -> Person:
    """Find the person of an identifier in all events until now. Raises NotFound."""
    starts = _named_tokens(vault, identifier)
    tokens = starts | _customer_tokens(shop, starts, identifier.customer_id)
    if not tokens:
        raise unknown_person(identifier)
    return Person(tuple(sorted(tokens | _unshared_contacts(shop, tokens))))


def unknown_person(identifier: PersonIdentifier) -> NotFound:
    """Refusal for an identifier that nobody has, and for that of somebody whom the reader may not see."""
    [(how, value)] = [(how, value) for how, value in vars(identifier).items() if value is not None]
    return NotFound(
        NO_CUSTOMER_WITH(kind=how.replace("_", " "), value=value),
        todo=CHECK_OR_LOOK_UP,
    )


def require_visible_person(context: RequestContext, identifier: PersonIdentifier) -> None:
    """Refuse a person whom who asks does not see. Raises NotFound, as for somebody whom nobody knows."""
    visible = context.visible
    if visible is not None and not visible.select(customer_ids_of_person(context.shop, identifier)):
        raise unknown_person(identifier)


def customer_ids_of_person(shop: Shop, identifier: PersonIdentifier) -> tuple[str, ...]:
    """Every opaque id of a person. Raises NotFound."""
    return find_person(shop, Vault.open(shop), identifier).customer_ids


def customer_ids_of(shop: Shop, user_id: str) -> tuple[str, ...]:
    """Every opaque id of the customer with one of the shop's own ids; none for an unknown one."""
    try:
        return find_person(shop, Vault.open(shop), PersonIdentifier(user_id=user_id)).customer_ids
    except NotFound:
        return ()


def _named_tokens(vault: Vault, identifier: PersonIdentifier) -> set[str]:
    """Tokens of the identifier itself that are known or were forgotten."""
    tokens = {token for token in vault.forgotten if initial_customer_id(token) == identifier.customer_id}
    ids = {("user_id", identifier.user_id), ("anonymous_id", identifier.anonymous_id)}
    for kind, value in (("email", identifier.email), ("phone", identifier.phone)):
        if value is not None:
            tokens |= set(vault.tokens_with_contact(kind, value)) | ({vault.token(kind, value)} & vault.forgotten)
            # why: many shops use the e-mail address or the telephone number as their customer id
            ids |= {("user_id", one) for one in (value, value.lower(), normal_form(kind, value))}
    for kind, value in ids:
        token = vault.token(kind, value) if value else ""
        if value and (token in vault.forgotten or vault.find(kind, value)):
            tokens.add(token)
    return tokens


def _customer_tokens(shop: Shop, tokens: set[str], customer_id: str | None) -> set[str]:
    """Every token of the customers that these belong to, or of the one named by an opaque id, older ids included.

    A device that several users share names none of them: only what nobody did there while signed in goes with it.
    """
    if not shop.lake.exists(EVENTS):
        return set()
    view = shop.newest_snapshot()
    asks: list[str | None] = [*sorted(tokens), None]
    selected = pa.table({"token": pa.array(asks, TEXT), "customer_id": pa.array([customer_id] * len(asks), TEXT)})
    every = Scope(END_OF_TIME)
    rows = view.query(
        f"""
        with known as ({identities(every)}),
        meant as (
            select distinct k.customer_id from known k
            join selected a on (a.token = k.token and k.shared_from is null)
                or a.customer_id = k.customer_id or a.customer_id = md5(k.token)
        )
        select distinct k.token from known k join meant m on m.customer_id = k.customer_id""",
        selected=selected,
        persons=persons(view.query(aliases(every))),
        token_pairs=view.query(token_pairs(every)),
    )
    return set(rows["token"].to_pylist())


def _unshared_contacts(shop: Shop, tokens: Iterable[str]) -> set[str]:
    """Tokens of e-mail addresses and phone numbers that only these tokens have."""
    listed = sorted(tokens)
    is_folded = CONTACTS.c.contact.startswith(f"{PREFIXES[FOLDED]}_", autoescape=True)
    own_contacts = sa.select(CONTACTS.c.contact).where(CONTACTS.c.token.in_(listed), ~is_folded)
    foreign_contacts = sa.select(CONTACTS.c.contact).where(CONTACTS.c.token.not_in(listed))
    with shop.store.begin() as connection:
        return set(connection.scalars(own_contacts.where(CONTACTS.c.contact.not_in(foreign_contacts))))
