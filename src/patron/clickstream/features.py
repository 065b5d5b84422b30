"""Features of a visit after each of its events: one pure function, for training rows and for the live service alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

ORDER = "order"
EVENT_KINDS = (
    *("page", "search", "list_view", "list_filter", "view", "click", "share", "promotion_view", "promotion_click"),
    *("recommendation_clicked", "recommendation_hidden", "wishlist", "wishlist_remove", "review", "registration"),
    *("cart_add", "cart_remove", "cart_view", "coupon", "coupon_try", "checkout", ORDER),
)
"""What people do in a shop, as `interactions` and `orders` name it; other kinds are no part of a visit."""
PLACE_OF_KIND = {kind: place for place, kind in enumerate(EVENT_KINDS)}
PAUSE_SECONDS = 30 * 60
"""A pause this long ends a visit."""
SECONDS_UNTIL_KNOWN = 60
"""What a shop knows of a visitor this long after the first event counts as known when the visit began."""
MAX_EVENTS = 40
"""Newest events of a visit that its features look at, and distinct counts stop at; the live profile keeps 50."""
MAX_ORDERS = 50
"""Earlier orders beyond this many count no more."""
SECONDS_A_DAY = 86_400.0
START = "^"
"""Stands before the first event in a sequence of types."""
GRAMS = ("last_type", "last_2_types", "last_3_types")
COUNTS = tuple(f"{kind}_count" for kind in EVENT_KINDS)
NUMBERS = (
    *COUNTS,
    "event_count",
    "seconds_in_visit",
    "seconds_since_previous_event",
    "seconds_since_cart_add",
    "cart_product_count",
    "has_cart",
    "product_count",
    "repeat_view_count",
    "views_of_last_product",
    "is_last_product_in_cart",
    "is_known",
    "earlier_order_count",
    "days_since_last_order",
)
FEATURES = (*NUMBERS, *GRAMS)
SCHEMA = pa.schema([*((name, pa.float64()) for name in NUMBERS), *((name, pa.string()) for name in GRAMS)])
Row = tuple[float | str | None, ...]
"""One value per feature, in the order of FEATURES; None is unknown."""


class SessionEvent(NamedTuple):
    """One event of a visit."""

    at_seconds: float
    """Seconds since 1970."""
    kind: str
    """One of EVENT_KINDS."""
    product_id: str | None = None


@dataclass(frozen=True)
class VisitorHistory:
    """What was known of a visitor when the visit began."""

    is_known: bool = False
    """Whether it was known whose visit it is."""
    order_count: int = 0
    """Earlier orders."""
    last_order_at_seconds: float | None = None
    """When the last of them was, seconds since 1970."""


def features_after(events: Sequence[SessionEvent], history: VisitorHistory) -> Row:
    """Features of a visit after the last of these events, which are in the order of their times; never of later ones.

    Counts are of the newest MAX_EVENTS; times are in seconds, the last order's in days before the first event.
    """
    newest = events[-MAX_EVENTS:]
    first, last = newest[0], newest[-1]
    counts = [0.0] * len(EVENT_KINDS)
    views: dict[str, int] = {}
    for _, kind, product_id in newest:
        if kind in PLACE_OF_KIND:
            counts[PLACE_OF_KIND[kind]] += 1.0
        if kind == "view" and product_id is not None:
            views[product_id] = views.get(product_id, 0) + 1
    cart, added_at = _cart(newest)
    since_order = history.last_order_at_seconds
    return (
        *counts,
        float(len(newest)),
        last.at_seconds - first.at_seconds,
        last.at_seconds - newest[-2].at_seconds if len(newest) > 1 else None,
        None if added_at is None else last.at_seconds - added_at,
        float(len(cart)),
        float(bool(cart)),
        float(len({event.product_id for event in newest if event.product_id is not None})),
        float(sum(views.values()) - len(views)),
        float(views.get(last.product_id or "", 0)),
        float(last.product_id in cart),
        float(history.is_known),
        float(min(history.order_count, MAX_ORDERS)),
        None if since_order is None else (first.at_seconds - since_order) / SECONDS_A_DAY,
        *_grams(newest),
    )


def rows_of(rows: Iterable[Row]) -> pa.Table:
    """A table with a column per feature, of rows as `features_after` gives them."""
    columns = list(zip(*rows, strict=True)) or [()] * len(FEATURES)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def _cart(events: Sequence[SessionEvent]) -> tuple[set[str], float | None]:
    """Products put into the cart since the last order and not removed, and when the last one was."""
    cart: set[str] = set()
    added_at = None
    for event in events:
        if event.kind == "cart_add":
            cart.add(event.product_id or "")
            added_at = event.at_seconds
        elif event.kind == "cart_remove":
            cart.discard(event.product_id or "")
        elif event.kind == ORDER:
            cart.clear()
            added_at = None
    return cart, added_at


def _grams(events: Sequence[SessionEvent]) -> tuple[str, ...]:
    """The types of the newest event, of the newest two, of the newest three, oldest first."""
    kinds = [*[START] * (len(GRAMS) - 1), *(event.kind for event in events[-len(GRAMS) :])]
    return tuple(">".join(kinds[-length:]) for length in range(1, len(GRAMS) + 1))
