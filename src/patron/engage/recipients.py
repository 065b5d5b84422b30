"""Who customers are to a message: address, name, declared traits, language and time zone, opened from the vault.

The lake knows which event brought the latest address or name, and the vault holds them. An address is of the kind that
the channel needs: the e-mail address or telephone number of the customer's latest event with one, the latest value of
a trait, or the shop's own id. Customers are looked up
thousands at a time and opened in batches, so that no more than a batch of people is in clear in memory.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa

from patron.engage.customer_time_zones import time_zones
from patron.engage.mime import one_line
from patron.engage.providers.provider_description import phone_country_code
from patron.engage.templates.customer_names import FURTHER
from patron.govern.customers.contact_values import contacts_in
from patron.govern.customers.customer_names import customer_name, names_in
from patron.govern.customers.phone_numbers import international_number
from patron.govern.privacy.personal_data import text_of
from patron.govern.vault import Vault, normal_form
from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS, PHONE_NUMBER, USER_ID, AddressKind
from patron.schema.privacy.personal_keys import snake_case
from patron.schema.table_definition import TEXT
from patron.storage.shop import Shop, Snapshot

BATCH = 1_000
"""Most recipients in clear at once."""
LOOKED_UP = 20_000
"""Customers whose events are looked up by one query."""
LOCALES = ("locale", "language")
CUSTOMER_EVENTS = ("Identify", "Customer Registered", "Order Completed", "Order Line Completed")
"""Events whose address and name are the customer's own."""


@dataclass(frozen=True)
class Recipient:
    """A customer as a message needs them."""

    customer_id: str
    token: str
    """First known user token: whose key seals what is sent, and whose consent counts; empty once forgotten."""
    tokens: tuple[str, ...]
    """All of the customer's user tokens."""
    contact: str
    """Token of the address, a blind index: suppressions and links know the address by it; empty without one."""
    address: str
    """Address of the kind that was asked for; empty without one."""
    variables: Mapping[str, Any]
    """What templates may name: {"customer": {"first_name": ...}, "shop": {"name": ...}}."""
    locale: str
    """Such as en or zh_CN; empty where it is not known."""
    time_zone: str
    """Of the IANA database; empty where it is not known."""

    @property
    def contacts(self) -> tuple[str, ...]:
        """Tokens under which the address may be suppressed: of a user id all, as the first may change in a merge."""
        return self.tokens if self.contact in self.tokens else (self.contact,) if self.contact else ()


@dataclass(frozen=True)
class _Facts:
    """What the lake knows of customers."""

    tokens: Mapping[str, Sequence[str]]
    address_kind: AddressKind
    country_code: str
    """Of telephone numbers without one."""
    events: Mapping[str, "_Events"]
    traits: Mapping[str, Mapping[str, str]]
    zones: Mapping[str, str]


@dataclass(frozen=True)
class _Events:
    """Places of a customer's texts in the order of their events, and what the events say in clear."""

    order: dict[tuple[str, str], int]
    contact: str
    """Token of the latest e-mail address or telephone number; empty without one, and for other kinds."""
    context: Mapping[str, str]


def recipients(
    shop: Shop,
    customer_ids: Iterable[str],
    *,
    address: AddressKind = EMAIL_ADDRESS,
    tokens: Mapping[str, str] | None = None,
    vault: Vault | None = None,
) -> Iterator[list[Recipient]]:
    """Recipients of customers, in their order, in lists of at most BATCH; one for each customer.

    Who was forgotten since the last run, or never had an address of this kind, has an empty one. `tokens` has a user
    token of customers that the last run does not know. Raises MasterKeyError; ChannelUnavailable for telephone numbers
    where the description of their provider is wrong.
    """
    vault = vault or Vault.open(shop)
    country_code = phone_country_code(shop) if address == PHONE_NUMBER else ""
    snapshot = shop.snapshot() or shop.newest_snapshot()
    ids = iter(customer_ids)
    while some := list(islice(ids, LOOKED_UP)):
        users = _tokens(snapshot, some)
        users |= {one: [tokens[one]] for one in some if one in tokens and one not in users} if tokens else {}
        events = _events(snapshot, users, address.event_column)
        facts = _Facts(users, address, country_code, events, _traits(snapshot, some), time_zones(snapshot, some))
        vault.reload_forgotten()
        for start in range(0, len(some), BATCH):
            yield _open(shop, vault, some[start : start + BATCH], facts)


def _tokens(snapshot: Snapshot, customer_ids: Sequence[str]) -> dict[str, list[str]]:
    rows = snapshot.query(
        "select i.customer_id, i.token from identities i join wanted w on w.customer_id = i.customer_id"
        " where i.is_user order by i.customer_id, i.known_at, i.token",
        wanted=pa.table({"customer_id": pa.array(sorted(set(customer_ids)), TEXT)}),
    )
    tokens: dict[str, list[str]] = defaultdict(list)
    for customer_id, token in zip(*(rows[name].to_pylist() for name in ("customer_id", "token")), strict=True):
        tokens[customer_id].append(token)
    return tokens


def _events(snapshot: Snapshot, tokens: Mapping[str, Sequence[str]], contact_column: str) -> dict[str, _Events]:
    owner = {token: customer_id for customer_id, some in tokens.items() for token in some}
    names = ", ".join(f"'{name}'" for name in CUSTOMER_EVENTS)
    rows = snapshot.query(
        f"select e.user_token, e.source, e.event_id, {f'e.{contact_column}' if contact_column else 'null'} as contact,"
        " case when e.properties like '%\"context\"%' then e.properties end as properties"
        f" from events e join wanted w on w.token = e.user_token where e.name in ({names})"
        " order by e.occurred_at, e.source, e.event_id",
        wanted=pa.table({"token": pa.array(sorted(owner), TEXT)}),
    )
    order: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    contacts: dict[str, str] = {}
    context: dict[str, dict[str, str]] = defaultdict(dict)
    columns = ("user_token", "source", "event_id", "contact", "properties")
    for number, row in enumerate(zip(*(rows[name].to_pylist() for name in columns), strict=True)):
        user, source, event_id, contact, properties = row
        customer_id = owner[user]
        order[customer_id][source, event_id] = number
        if contact:
            contacts[customer_id] = contact
        if properties:
            context[customer_id] |= _context(properties)
    return {one: _Events(places, contacts.get(one, ""), context.get(one, {})) for one, places in order.items()}


def _context(properties: str) -> dict[str, str]:
    content = msgspec.json.decode(properties)
    context = content.get("context") if isinstance(content, dict) else None
    return {k: v for k, v in context.items() if isinstance(v, str)} if isinstance(context, dict) else {}


def _traits(snapshot: Snapshot, customer_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    rows = snapshot.query(
        "select t.customer_id, t.trait, t.value from traits t join wanted w on w.customer_id = t.customer_id"
        " order by t.customer_id, t.trait, t.known_at, t.event_id",
        wanted=pa.table({"customer_id": pa.array(sorted(set(customer_ids)), TEXT)}),
    )
    traits: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows.to_pylist():
        traits[row["customer_id"]][row["trait"]] = row["value"]
    return traits


def _open(shop: Shop, vault: Vault, customer_ids: Sequence[str], facts: _Facts) -> list[Recipient]:
    users = {one: [t for t in facts.tokens.get(one, ()) if t not in vault.forgotten] for one in customer_ids}
    owner = {token: customer_id for customer_id, some in users.items() for token in some}
    texts: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for text in vault.texts(sorted(owner), ("personal",)):
        customer_id = owner[text["token"]]
        events = facts.events.get(customer_id)
        place = events.order.get((text["source"], text["event_id"])) if events else None
        if place is not None:
            texts[customer_id].append((place, text["text"]))
    shop_values = {"name": shop.settings.shop.name}
    people = [
        _recipient(vault, shop_values, one, users[one], facts, [text for _, text in sorted(texts[one])])
        for one in customer_ids
    ]
    return _with_user_ids(vault, people) if facts.address_kind == USER_ID else people


def _with_user_ids(vault: Vault, people: Sequence[Recipient]) -> list[Recipient]:
    """People whose address is the shop's own id, of their first user token."""
    values = vault.reveal([person.token for person in people])
    return [
        replace(one, address=value, contact=one.token) if value else one
        for one, value in zip(people, values, strict=True)
    ]


def _recipient(
    vault: Vault,
    shop_values: Mapping[str, str],
    customer_id: str,
    tokens: Sequence[str],
    facts: _Facts,
    texts: Sequence[str],
) -> Recipient:
    events = facts.events.get(customer_id)
    traits = facts.traits.get(customer_id, {})
    kind = facts.address_kind
    personal: dict[str, str] = {}
    names: dict[str, tuple[str, float]] = {}
    address, contact = "", events.contact if events else ""
    for position, text in enumerate(texts):
        content = json.loads(text)
        if not isinstance(content, dict):
            continue
        values = {snake_case(k): str(v) for k, v in content.items() if isinstance(v, str | int | float) and str(v)}
        personal |= values
        names |= {name: (value, float(position)) for name, value in names_in(values).items()}
        for of_kind, value in contacts_in(text) if contact else ():
            if of_kind == kind.name and vault.token(of_kind, value) == contact:
                address = value.strip() if kind == EMAIL_ADDRESS else _number(value)
        if kind.is_trait:
            address = _trait(content, kind.name) or address
    if address and kind != EMAIL_ADDRESS:
        contact = contact_of(vault, kind, address, facts.country_code)
    further = {name: value for name in FURTHER if (value := _first(personal, (name,)))}
    customer = dict(traits) | further | customer_name(names).variables
    # why: in a text message or the lines of a template message a line break would begin something of its own
    customer = {name: one_line(value) for name, value in customer.items()}
    context = events.context if events else {}
    return Recipient(
        customer_id=customer_id,
        token=tokens[0] if tokens else "",
        tokens=tuple(tokens),
        contact=contact if address else "",
        address=address,
        variables={"customer": customer, "shop": shop_values},
        locale=_locale(_first(personal, LOCALES) or _first(traits, LOCALES) or _first(context, LOCALES)),
        time_zone=facts.zones.get(customer_id, ""),
    )


def contact_of(vault: Vault, kind: AddressKind, address: str, country_code: str) -> str:
    """Token of an address; of a telephone number the same however it is written: 030 1 is +49 30 1."""
    number = international_number(address, country_code) if kind == PHONE_NUMBER else ""
    return vault.token(kind.name, number or address)


def _number(text: str) -> str:
    """A telephone number: with its country code where it is written with one, else its digits as they are."""
    return international_number(text) or normal_form(PHONE_NUMBER.name, text)


def _trait(content: Mapping[str, Any], name: str) -> str:
    """The value of a trait as text, JSON of an object; empty without one."""
    text = next((text_of(value) or "" for key, value in content.items() if snake_case(key) == name), "")
    return text.encode(errors="replace").decode()  # why: a token needs whole characters


def _first(values: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((values[key].strip() for key in keys if values.get(key, "").strip()), "")


def _locale(text: str) -> str:
    """A locale as gettext writes it: zh-cn is zh_CN."""
    language, _, rest = text.replace("-", "_").partition("_")
    region = rest.rpartition("_")[2]
    return f"{language.lower()}_{region.upper()}" if region else language.lower()
