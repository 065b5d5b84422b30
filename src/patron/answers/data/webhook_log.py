"""Webhooks of a shop, and the log of what was sent to each."""

from dataclasses import dataclass
from datetime import datetime

from patron.storage.data.webhooks import (
    WebhookDelivery,
    WebhookEndpoint,
    deliveries_of,
    delivery_of,
    webhook_endpoint,
    webhook_endpoints,
)
from patron.storage.shop import Shop

PAGE_SIZE = 50


@dataclass(frozen=True)
class DeliveryPage:
    """An endpoint, and a page of its deliveries."""

    webhook: WebhookEndpoint
    deliveries: tuple[WebhookDelivery, ...]
    has_more: bool
    """Whether older ones follow."""


def list_webhooks(shop: Shop) -> tuple[WebhookEndpoint, ...]:
    """Every webhook, the oldest first, without the secrets."""
    return webhook_endpoints(shop.store)


def find_webhook(shop: Shop, endpoint_id: str) -> WebhookEndpoint:
    """One webhook, without its secret. Raises NotFound."""
    return webhook_endpoint(shop.store, endpoint_id)


def list_deliveries(
    shop: Shop, endpoint_id: str, *, before: tuple[datetime, str] | None = None, length: int = PAGE_SIZE
) -> DeliveryPage:
    """A page of the log, the newest event first; `before` is time and message of the last row of the page before.

    Raises NotFound.
    """
    endpoint = webhook_endpoint(shop.store, endpoint_id)
    rows = deliveries_of(shop.store, endpoint_id, before=before, limit=length + 1)
    return DeliveryPage(endpoint, rows[:length], len(rows) > length)


def find_delivery(shop: Shop, endpoint_id: str, message_id: str) -> WebhookDelivery:
    """One delivery. Raises NotFound."""
    return delivery_of(shop.store, endpoint_id, message_id)
