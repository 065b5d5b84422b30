"""The event catalogue: every event Patron knows. To add one: a class, and its name in EVENTS."""

from dataclasses import dataclass
from typing import get_type_hints

from msgspec import Meta

from patron.schema.events.ecommerce_events import (
    Alias,
    CartShared,
    CartViewed,
    CheckoutStarted,
    CheckoutStepCompleted,
    CheckoutStepViewed,
    CouponApplied,
    CouponDenied,
    CouponEntered,
    CouponRemoved,
    Group,
    Identify,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    OrderUpdated,
    Page,
    PaymentInfoEntered,
    ProductAdded,
    ProductAddedToWishlist,
    ProductClicked,
    ProductListFiltered,
    ProductListViewed,
    ProductRemoved,
    ProductRemovedFromWishlist,
    ProductReviewed,
    ProductShared,
    ProductsSearched,
    ProductViewed,
    PromotionClicked,
    PromotionViewed,
    Screen,
    WishlistProductAddedToCart,
)
from patron.schema.events.event_fields import Event, Item
from patron.schema.events.loop_events import (
    AdClicked,
    AdShown,
    ConsentGiven,
    ConsentWithdrawn,
    ContractCancelled,
    ContractStarted,
    CustomerReferred,
    CustomerRegistered,
    IdentityUnlinked,
    MessageBounced,
    MessageClicked,
    MessageComplained,
    MessageDelivered,
    MessageOpened,
    MessageSent,
    MessageUnsubscribed,
    OfferAssigned,
    OrderLineCompleted,
    OrderLineRefunded,
    ProductUpdated,
    PromotionScheduled,
    RecommendationClicked,
    RecommendationHidden,
    RecommendationShown,
)

EVENTS: tuple[type[Event], ...] = (
    ProductsSearched,
    ProductListViewed,
    ProductListFiltered,
    PromotionViewed,
    PromotionClicked,
    ProductClicked,
    ProductViewed,
    ProductAdded,
    ProductRemoved,
    CartViewed,
    CheckoutStarted,
    CheckoutStepViewed,
    CheckoutStepCompleted,
    PaymentInfoEntered,
    OrderUpdated,
    OrderCompleted,
    OrderRefunded,
    OrderCancelled,
    CouponEntered,
    CouponApplied,
    CouponDenied,
    CouponRemoved,
    ProductAddedToWishlist,
    ProductRemovedFromWishlist,
    WishlistProductAddedToCart,
    ProductShared,
    CartShared,
    ProductReviewed,
    Identify,
    Group,
    Alias,
    Page,
    Screen,
    OrderLineCompleted,
    OrderLineRefunded,
    ProductUpdated,
    PromotionScheduled,
    CustomerRegistered,
    CustomerReferred,
    ContractStarted,
    ContractCancelled,
    IdentityUnlinked,
    ConsentGiven,
    ConsentWithdrawn,
    MessageSent,
    MessageOpened,
    MessageClicked,
    MessageDelivered,
    MessageBounced,
    MessageComplained,
    MessageUnsubscribed,
    OfferAssigned,
    RecommendationShown,
    RecommendationClicked,
    RecommendationHidden,
    AdShown,
    AdClicked,
)
BY_NAME: dict[str, type[Event]] = {event.event: event for event in EVENTS}

ALIASES = {
    "Viewed Product Category": "Product List Viewed",
    "Viewed Product List": "Product List Viewed",
    "Viewed Product": "Product Viewed",
    "Clicked Product": "Product Clicked",
    "Added Product": "Product Added",
    "Removed Product": "Product Removed",
    "Viewed Promotion": "Promotion Viewed",
    "Clicked Promotion": "Promotion Clicked",
    "Started Order": "Checkout Started",
    "Viewed Checkout Step": "Checkout Step Viewed",
    "Completed Checkout Step": "Checkout Step Completed",
    "Updated Order": "Order Updated",
    "Completed Order": "Order Completed",
}
"""Names of the specification's first version."""


OF_PRODUCTS = ("Product Updated", "Promotion Scheduled")
"""Events that nobody did: what the shop says about a product."""
NEEDS_NO_CONSENT = frozenset(
    {
        *("Order Completed", "Order Updated", "Order Refunded", "Order Cancelled"),
        *("Order Line Completed", "Order Line Refunded", *OF_PRODUCTS),
        *("Identify", "Group", "Alias", "Identity Unlinked", "Customer Registered", "Customer Referred"),
        *("Contract Started", "Contract Cancelled"),
        *("Consent Given", "Consent Withdrawn"),
        *("Message Sent", "Message Delivered", "Message Bounced", "Message Complained", "Message Unsubscribed"),
        *("Offer Assigned", "Recommendation Shown", "Ad Shown"),
    }
)
"""Events of a contract, of who somebody is, of what they agreed to and of what the shop did; all others are behaviour,
which a policy may take with consent only."""


@dataclass(frozen=True)
class Property:
    """One property of an event: what it means and where it goes."""

    name: str
    meaning: str
    column: str
    """Column of `events`, or empty."""
    vault: str
    """`personal` or `texts` when the vault takes it, or empty."""
    kind: str
    """text, amount, number, integer, items or any."""


def properties_of(of: type[Event] | type[Item]) -> tuple[Property, ...]:
    """List the properties of an event, as its class declares them."""
    hints = get_type_hints(of, include_extras=True)
    return tuple(_property(name, hints[name]) for name in of.__struct_fields__)


def _property(name: str, hint: object) -> Property:
    annotation = hint.__metadata__[0]  # pyright: ignore[reportAttributeAccessIssue] - every field is Annotated
    if not isinstance(annotation, Meta):
        raise TypeError(f"{name} does not say what it means")
    extra = annotation.extra or {}
    return Property(name, annotation.description or "", extra["column"], extra["vault"], _kind(hint))


def _kind(hint: object) -> str:
    kinds = {"str": "text", "Decimal": "amount", "float": "number", "int": "integer", "Item": "items"}
    written = str(hint.__origin__)  # pyright: ignore[reportAttributeAccessIssue] - every field is Annotated
    return next((kind for name, kind in kinds.items() if name in written), "any")
