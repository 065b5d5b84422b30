"""The live profile of a customer: what every acknowledged event adds up to, as people read it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class EventCount:
    """Events of one name; those that are not in the catalogue have the name ''."""

    name: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class ViewedProduct:
    """A product the customer viewed, and when last."""

    product_id: str
    viewed_at: datetime


@dataclass(frozen=True)
class CartItem:
    """A product in the cart."""

    product_id: str
    quantity: int


@dataclass(frozen=True)
class Visit:
    """The last visit: events without a pause of 30 minutes."""

    started_at: datetime
    last_at: datetime
    event_count: int
    is_open: bool
    has_more_events: bool = False
    """Whether it may have begun earlier and have more events: only the newest 50 events of a customer are kept."""
    order_probability: float | None = None
    """Probability, after its last event, that an order comes before it ends; None of a closed visit, without a model,
    and after orders alone."""


@dataclass(frozen=True)
class RecentEvent:
    """One of the newest events."""

    occurred_at: datetime
    name: str
    product_id: str | None


@dataclass(frozen=True)
class LiveProfile:
    """A customer now, from every acknowledged event."""

    customer_id: str
    read_at: datetime
    is_identified: bool
    first_event_at: datetime | None
    last_active_at: datetime | None
    seconds_since_last_active: int | None
    event_count: int
    events: tuple[EventCount, ...]
    order_count: int
    """Distinct orders; of a customer with 200 or more, events of whole orders where these are more."""
    has_more_orders: bool
    """Whether there may be more orders than `order_count`: only the newest 200 are told apart."""
    first_order_at: datetime | None
    last_order_at: datetime | None
    days_since_last_order: int | None
    paid_cents: int
    """Paid minus refunded amounts, in the shop's currency."""
    refunded_cents: int
    orders_per_30_days: float | None
    """Since the first event, which counts as at least 30 days ago; None where there may be more orders than counted."""
    lifecycle_stage: str | None
    products: tuple[ViewedProduct, ...]
    cart: tuple[CartItem, ...]
    visit: Visit | None
    recent: tuple[RecentEvent, ...]
