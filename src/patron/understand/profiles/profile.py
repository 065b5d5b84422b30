"""What is kept of one token: integers and times that add up to the same bytes in whatever order events come.

Every part is a sum, a smallest or largest, or the first few of an order without ties; so profiles of two sets of
events, put together, are the profile of both.
"""

from collections.abc import Callable, Iterable
from itertools import starmap
from operator import attrgetter
from typing import TypeVar

import msgspec

Kept = TypeVar("Kept")

NEWEST_ACTS = 50
NEWEST_PRODUCTS = 20
NEWEST_ORDERS = 200
FEWEST_OWNERS = 2
"""Users of a device that are remembered: one owns it, two share it."""


class StoredEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event, as the newest ones are remembered."""

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
    """Paid and refunded in one currency, hundredths."""

    paid_cents: int
    refunded_cents: int


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything that is kept of one token. Times are microseconds since 1970."""

    names: dict[str, EventTally] = {}
    """By event name; names that are not in the catalogue are counted together under ''."""
    money: dict[str, CurrencyTotals] = {}
    """By currency; '' is the shop's."""
    acts: list[StoredEvent] = []
    """The newest events that the customer did."""
    cart: list[StoredEvent] = []
    """The newest events that change a cart, orders included."""
    products: list[tuple[int, str]] = []
    """When the most recently viewed products were last viewed."""
    orders: list[tuple[int, str]] = []
    """Time and number of the newest orders."""
    users: list[tuple[int, str]] = []
    """Of a device: the first users it was used with, and since when that was known."""

    @property
    def owner(self) -> str | None:
        """The one user a device was used with; a device of several is nobody's."""
        return self.users[0][1] if len(self.users) == 1 else None


ENCODER = msgspec.msgpack.Encoder(order="sorted")
DECODER = msgspec.msgpack.Decoder(Profile)


def profile_of(*parts: list[tuple]) -> Profile:
    """Profile of the parts a query found, in the order of its fields, each a list of rows in any order."""
    names, money, acts, cart, products, orders, users = parts
    return Profile(
        names={name: EventTally(*rest) for name, *rest in names},
        money={currency: CurrencyTotals(*rest) for currency, *rest in money},
        acts=_newest(starmap(StoredEvent, acts)),
        cart=_newest(starmap(StoredEvent, cart)),
        products=sorted(products, reverse=True),
        orders=sorted(orders, reverse=True),
        users=sorted(users),
    )


def merge(one: Profile, other: Profile) -> Profile:
    """Profile of the events of both; no event may be in both."""
    return Profile(
        names=_joined(one.names, other.names, _add_tallies),
        money=_joined(one.money, other.money, _add_amounts),
        acts=_newest(one.acts + other.acts),
        cart=_newest(one.cart + other.cart),
        products=_latest(one.products + other.products, NEWEST_PRODUCTS),
        orders=_latest(one.orders + other.orders, NEWEST_ORDERS),
        users=_earliest(one.users + other.users, FEWEST_OWNERS),
    )


def encode(profile: Profile) -> bytes:
    """The one form of a profile in bytes."""
    return ENCODER.encode(profile)


def decode(content: bytes) -> Profile:
    """Profile of its bytes."""
    return DECODER.decode(content)


BY_TIME = attrgetter("at_us", "source", "event_id")
"""Time and id make an order without ties."""


def _newest(acts: Iterable[StoredEvent]) -> list[StoredEvent]:
    return sorted(acts, key=BY_TIME, reverse=True)[:NEWEST_ACTS]


def _joined(one: dict[str, Kept], other: dict[str, Kept], both: Callable[[Kept, Kept], Kept]) -> dict[str, Kept]:
    return {**one, **{key: both(one[key], value) if key in one else value for key, value in other.items()}}


def _add_tallies(one: EventTally, other: EventTally) -> EventTally:
    first, last = min(one.first_us, other.first_us), max(one.last_us, other.last_us)
    return EventTally(one.event_count + other.event_count, first, last)


def _add_amounts(one: CurrencyTotals, other: CurrencyTotals) -> CurrencyTotals:
    return CurrencyTotals(one.paid_cents + other.paid_cents, one.refunded_cents + other.refunded_cents)


def _latest(pairs: Iterable[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """The last time of each key, the latest few. What was cut off stays off: its time never was among the latest."""
    last = {key: at for at, key in sorted(pairs)}
    return sorted(((at, key) for key, at in last.items()), reverse=True)[:most]


def _earliest(pairs: Iterable[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    first = {key: at for at, key in sorted(pairs, reverse=True)}
    return sorted((at, key) for key, at in first.items())[:most]
