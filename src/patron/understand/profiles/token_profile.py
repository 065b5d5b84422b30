"""What is kept of one token: integers and times that add up to the same bytes in whatever order events come.

Every part is a sum, a minimum or maximum, or the first few in an order without ties. So the merged profiles of two sets
of events are the profile of their union.
"""

from collections.abc import Callable, Iterable
from itertools import starmap
from operator import attrgetter
from typing import TypeVar

import msgspec

Aggregate = TypeVar("Aggregate")

MAX_EVENTS = 50
MAX_PRODUCTS = 20
MAX_ORDERS = 200
MAX_OWNERS = 2
"""Users of a device that are remembered: one owns it, two share it."""


class StoredEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of the newest events."""

    at_us: int
    source: str
    event_id: str
    name: str
    product_id: str | None
    quantity: int | None
    order_id: str | None


class EventTally(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Events of one name: how many, the first and the last."""

    event_count: int
    first_us: int
    last_us: int


class CurrencyTotals(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Paid and refunded in one currency, in hundredths."""

    paid_cents: int
    refunded_cents: int


class TokenProfile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything that is kept of one token. Times are microseconds since 1970."""

    tallies: dict[str, EventTally] = {}
    """By event name; names outside the event catalogue are counted together under ''."""
    totals: dict[str, CurrencyTotals] = {}
    """By currency; '' is the shop's."""
    recent_events: list[StoredEvent] = []
    """The newest events that the customer did."""
    cart_events: list[StoredEvent] = []
    """The newest events that change a cart, orders included."""
    viewed_products: list[tuple[int, str]] = []
    """When the most recently viewed products were last viewed."""
    orders: list[tuple[int, str]] = []
    """Time and number of the newest orders."""
    users: list[tuple[int, str]] = []
    """Of a device: the first users it was used with, and since when that was known."""

    @property
    def owner(self) -> str | None:
        """The only user a device was used with; None for a device of several users."""
        return self.users[0][1] if len(self.users) == 1 else None


ENCODER = msgspec.msgpack.Encoder(order="sorted")
DECODER = msgspec.msgpack.Decoder(TokenProfile)


def profile_from_rows(*fields: list[tuple]) -> TokenProfile:
    """Profile from the rows of each of its fields, in the order of the fields; rows in any order."""
    tallies, totals, recent_events, cart_events, viewed_products, orders, users = fields
    return TokenProfile(
        tallies={name: EventTally(*rest) for name, *rest in tallies},
        totals={currency: CurrencyTotals(*rest) for currency, *rest in totals},
        recent_events=_newest_events(starmap(StoredEvent, recent_events)),
        cart_events=_newest_events(starmap(StoredEvent, cart_events)),
        viewed_products=sorted(viewed_products, reverse=True),
        orders=sorted(orders, reverse=True),
        users=sorted(users),
    )


def merge(first: TokenProfile, second: TokenProfile) -> TokenProfile:
    """Profile of the events of both profiles; no event may be in both."""
    return TokenProfile(
        tallies=_merge_dicts(first.tallies, second.tallies, _add_tallies),
        totals=_merge_dicts(first.totals, second.totals, _add_amounts),
        recent_events=_newest_events(first.recent_events + second.recent_events),
        cart_events=_newest_events(first.cart_events + second.cart_events),
        viewed_products=_latest_by_key(first.viewed_products + second.viewed_products, MAX_PRODUCTS),
        orders=_latest_by_key(first.orders + second.orders, MAX_ORDERS),
        users=_earliest_by_key(first.users + second.users, MAX_OWNERS),
    )


def encode(profile: TokenProfile) -> bytes:
    """Bytes of a profile; equal profiles have equal bytes."""
    return ENCODER.encode(profile)


def decode(content: bytes) -> TokenProfile:
    """Profile from its bytes."""
    return DECODER.decode(content)


EVENT_ORDER = attrgetter("at_us", "source", "event_id")
"""Sort key: time, source and id leave no ties."""


def _newest_events(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return sorted(events, key=EVENT_ORDER, reverse=True)[:MAX_EVENTS]


def _merge_dicts(
    first: dict[str, Aggregate], second: dict[str, Aggregate], add: Callable[[Aggregate, Aggregate], Aggregate]
) -> dict[str, Aggregate]:
    return {**first, **{key: add(first[key], value) if key in first else value for key, value in second.items()}}


def _add_tallies(first: EventTally, second: EventTally) -> EventTally:
    first_us, last_us = min(first.first_us, second.first_us), max(first.last_us, second.last_us)
    return EventTally(first.event_count + second.event_count, first_us, last_us)


def _add_amounts(first: CurrencyTotals, second: CurrencyTotals) -> CurrencyTotals:
    return CurrencyTotals(first.paid_cents + second.paid_cents, first.refunded_cents + second.refunded_cents)


def _latest_by_key(pairs: Iterable[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """The latest keys with their last times. A key that was cut off before could not be among them now."""
    last = {key: at for at, key in sorted(pairs)}
    return sorted(((at, key) for key, at in last.items()), reverse=True)[:most]


def _earliest_by_key(pairs: Iterable[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    first = {key: at for at, key in sorted(pairs, reverse=True)}
    return sorted((at, key) for key, at in first.items())[:most]
