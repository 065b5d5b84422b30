"""What shoppers do, as lists of recommendations know it: from accepted messages, or from stored profiles."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from patron.collect.request import Request
from patron.recommenders.live.session_memory import CLICK, ORDER, RETURN, SHOWN, SessionEvent
from patron.understand.profiles.token_profile import StoredEvent

KIND_OF_EVENT = {
    "Product Viewed": "view",
    "Product Clicked": CLICK,
    "Product Added": "cart_add",
    "Wishlist Product Added to Cart": "cart_add",
    "Product Removed": "cart_remove",
    "Product Added to Wishlist": "wishlist",
    "Order Completed": ORDER,
    "Order Line Completed": ORDER,
    "Order Refunded": RETURN,
    "Order Line Refunded": RETURN,
    "Recommendation Shown": SHOWN,
    "Recommendation Clicked": CLICK,
    "Recommendation Hidden": "hide",
}
"""Kind of each event that lists look at; of a bad review see `_kind`."""
REVIEW, BAD_STARS = "Product Reviewed", 2
IGNORED_FLAGS = frozenset({"no_consent", "test", "bot"})
DAY_MICROSECONDS, DAY_SECONDS = 86_400e6, 86_400.0


@dataclass(frozen=True)
class ShopperEvents:
    """One message: who did what with which products."""

    user_id: str | None
    anonymous_id: str | None
    events: tuple[SessionEvent, ...]
    feedback: "Feedback | None" = None


@dataclass(frozen=True)
class Feedback:
    """What happened to one place of a list, as the message says."""

    kind: str
    """shown, click or hide."""
    decision_id: str
    product_id: str
    properties: Mapping[str, Any]


def events_of_request(request: Request) -> Iterator[ShopperEvents]:
    """What the messages of an accepted request say about products."""
    for message in request.messages:
        row = message.row
        name = row.get("name")
        if name is None or (name not in KIND_OF_EVENT and name != REVIEW):
            continue
        products = [row["product_id"]] if row.get("product_id") else _product_ids(row)
        kind = _kind(name, row)
        if not products or kind is None or not IGNORED_FLAGS.isdisjoint(row.get("flags") or ()):
            continue
        day = day_of(row["occurred_at"])
        # why: a million events are remembered, of few products; each message has its own copy of an id
        events = tuple(SessionEvent(day, kind, sys.intern(product)) for product in products)
        yield ShopperEvents(row.get("user_id"), row.get("anonymous_id"), events, _feedback(name, row))


def events_of_profile(events: Iterable[StoredEvent]) -> list[SessionEvent]:
    """The newest events of a stored profile, in order of time."""
    known = [
        SessionEvent(event.at_us / DAY_MICROSECONDS, KIND_OF_EVENT[event.name], sys.intern(event.product_id))
        for event in events
        if event.product_id and event.name in KIND_OF_EVENT
    ]
    return sorted(known)


def day_of(at: datetime) -> float:
    """A time as days since 1970."""
    return at.timestamp() / DAY_SECONDS


def time_of(day: float) -> datetime:
    """A day since 1970 as a time, to the second."""
    return datetime.fromtimestamp(round(day * DAY_SECONDS), UTC)


def _kind(name: str, row: Mapping[str, Any]) -> str | None:
    if name == REVIEW:
        return "bad_review" if (row.get("rating") or BAD_STARS + 1) <= BAD_STARS else None
    return KIND_OF_EVENT[name]


def _product_ids(row: Mapping[str, Any]) -> list[str]:
    return [one["product_id"] for one in row.get("products") or () if one.get("product_id")]


def _feedback(name: str, row: Mapping[str, Any]) -> Feedback | None:
    if not (name.startswith("Recommendation ") and row.get("decision_id")):
        return None
    properties = json.loads(row.get("properties") or "{}")
    return Feedback(KIND_OF_EVENT[name], row["decision_id"], row["product_id"], properties)
