"""Webhooks of a shop, and the log of what was sent to each."""

from dataclasses import dataclass

from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.storage.data.webhooks import (
    EndpointId,
    MessageId,
    WebhookDelivery,
    WebhookEndpoint,
    deliveries_of,
    delivery_of,
    webhook_endpoint,
    webhook_endpoints,
)
from patron.storage.shop import Shop

PAGE_SIZE = 50


READ_SETTINGS = Right(Action.READ, Area.SETTINGS)


@dataclass(frozen=True)
class WebhookLog:
    """An endpoint, and a page of its deliveries."""

    webhook: WebhookEndpoint
    deliveries: tuple[WebhookDelivery, ...]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


@operation(READ_SETTINGS, "GET /api/webhooks")
def list_webhooks(shop: Shop) -> tuple[WebhookEndpoint, ...]:
    """Every webhook, the oldest first, without the secrets."""
    return webhook_endpoints(shop.store)


def find_webhook(shop: Shop, endpoint_id: str) -> WebhookEndpoint:
    """One webhook, without its secret. Raises NotFound."""
    return webhook_endpoint(shop.store, endpoint_id)


@operation(READ_SETTINGS, "GET /api/webhooks/{endpoint_id}")
def list_deliveries(shop: Shop, endpoint_id: EndpointId, cursor: CursorText = "", limit: Limit = None) -> WebhookLog:
    """One webhook and its deliveries of the last 30 days, the newest event first."""
    endpoint, length = webhook_endpoint(shop.store, endpoint_id), limit or PAGE_SIZE
    before, following = None, None
    if cursor:
        at, message_id = Cursor.in_list(cursor, endpoint_id, int, str).place
        before = (time_of(at), message_id)
    rows = deliveries_of(shop.store, endpoint_id, before=before, limit=length + 1)
    shown = rows[:length]
    if len(rows) > length:
        following = str(Cursor(endpoint_id, (microseconds_of(shown[-1].happened_at), shown[-1].message_id)))
    return WebhookLog(endpoint, shown, following)


@operation(READ_SETTINGS, "GET /api/webhooks/{endpoint_id}/deliveries/{message_id}")
def find_delivery(shop: Shop, endpoint_id: EndpointId, message_id: MessageId) -> WebhookDelivery:
    """One delivery."""
    return delivery_of(shop.store, endpoint_id, message_id)
