"""Webhooks for administrators: added, changed, rotated, tested; the log of deliveries, and sending one once more."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from patron.answers.data.webhook_log import PAGE_SIZE, find_delivery, list_deliveries, list_webhooks
from patron.commands.data.manage_webhooks import (
    MAX_NOTE_LENGTH,
    MAX_URL_LENGTH,
    NewWebhookSecret,
    add_webhook,
    change_webhook,
    delete_webhook,
    disable_webhook,
    enable_webhook,
    rotate_webhook_secret,
)
from patron.commands.data.send_webhooks import resend_webhook, send_test_event
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.access.key_routes import Confirmed, RotationBody
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.data.webhook_events import EVENT_NAMES
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.storage.data.webhooks import WebhookDelivery, WebhookEndpoint
from patron.storage.shop import Shop

EndpointId = Annotated[str, Path(max_length=40, description="Id of the webhook, as the list has it.")]
MessageId = Annotated[str, Path(max_length=80, description="webhook-id of the message.")]


class WebhookBody(BaseModel):
    """Where events are reported, and which."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=MAX_URL_LENGTH, description="https address; others if [webhooks] allows.")
    events: list[str] = Field(min_length=1, max_length=len(EVENT_NAMES), description=", ".join(EVENT_NAMES))
    note: str = Field(default="", max_length=MAX_NOTE_LENGTH)


@dataclass(frozen=True)
class WebhookLog:
    """An endpoint, and a page of its deliveries."""

    webhook: WebhookEndpoint
    deliveries: tuple[WebhookDelivery, ...]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


router = APIRouter(
    prefix="/api/webhooks",
    tags=["webhooks"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)


def webhook_log(shop: Shop, endpoint_id: str, cursor: str, *, length: int = PAGE_SIZE) -> WebhookLog:
    """An endpoint and a page of its log, the newest event first. Raises NotFound, BadQuery."""
    before = None
    if cursor:
        at, message_id = Cursor.in_list(cursor, endpoint_id, int, str).place
        before = (time_of(at), message_id)
    page = list_deliveries(shop, endpoint_id, before=before, length=length)
    rows, following = page.deliveries, None
    if page.has_more:
        following = str(Cursor(endpoint_id, (microseconds_of(rows[-1].happened_at), rows[-1].message_id)))
    return WebhookLog(page.webhook, rows, following)


@router.get("")
@needs(Action.READ, Area.SETTINGS)
def webhooks(request: Request) -> list[WebhookEndpoint]:
    """Every webhook, the oldest first, without the secrets."""
    return list(list_webhooks(answers_of(request).shop))


@router.post("", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.SETTINGS)
def add(request: Request, body: WebhookBody) -> NewWebhookSecret:
    """Report events to an address from now on; this answer alone holds the secret."""
    return add_webhook(context_of(request), body.url, body.events, note=body.note)


@router.get("/{endpoint_id}")
@needs(Action.READ, Area.SETTINGS)
def webhook(request: Request, endpoint_id: EndpointId, cursor: CursorText = "", limit: Limit = None) -> WebhookLog:
    """One webhook and its deliveries of the last 30 days, the newest event first."""
    return webhook_log(answers_of(request).shop, endpoint_id, cursor, length=limit or PAGE_SIZE)


@router.put("/{endpoint_id}", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.SETTINGS)
def change(request: Request, endpoint_id: EndpointId, body: WebhookBody) -> WebhookEndpoint:
    """Change where and what is reported; the secret stays."""
    return change_webhook(context_of(request), endpoint_id, url=body.url, events=body.events, note=body.note)


@router.delete("/{endpoint_id}", status_code=204, dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.SETTINGS)
def delete(request: Request, endpoint_id: EndpointId) -> None:
    """Delete a webhook, its secret and its log."""
    delete_webhook(context_of(request), endpoint_id)


@router.post("/{endpoint_id}/rotate", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.SETTINGS)
def rotate(request: Request, endpoint_id: EndpointId, body: RotationBody) -> NewWebhookSecret:
    """Make a new secret; for the overlap both sign. This answer alone holds it."""
    return rotate_webhook_secret(context_of(request), endpoint_id, overlap_hours=body.overlap_hours)


@router.post("/{endpoint_id}/enable", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.SETTINGS)
def enable(request: Request, endpoint_id: EndpointId) -> WebhookEndpoint:
    """Report again, from now on."""
    return enable_webhook(context_of(request), endpoint_id)


@router.post("/{endpoint_id}/disable", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.SETTINGS)
def disable(request: Request, endpoint_id: EndpointId) -> WebhookEndpoint:
    """Report nothing until it is enabled again."""
    return disable_webhook(context_of(request), endpoint_id)


@router.post("/{endpoint_id}/test")
@needs(Action.ADMINISTER, Area.SETTINGS)
def send_test(request: Request, endpoint_id: EndpointId) -> WebhookDelivery:
    """Send a test event at once, and say what was answered."""
    return send_test_event(answers_of(request).shop, endpoint_id, clock=lambda: datetime.now(UTC))


@router.get("/{endpoint_id}/deliveries/{message_id}")
@needs(Action.READ, Area.SETTINGS)
def delivery(request: Request, endpoint_id: EndpointId, message_id: MessageId) -> WebhookDelivery:
    """One delivery."""
    return find_delivery(answers_of(request).shop, endpoint_id, message_id)


@router.post("/{endpoint_id}/deliveries/{message_id}/resend")
@needs(Action.ADMINISTER, Area.SETTINGS)
def resend(request: Request, endpoint_id: EndpointId, message_id: MessageId) -> WebhookDelivery:
    """Send a message of the log once more, under the same id, and say what was answered."""
    return resend_webhook(answers_of(request).shop, endpoint_id, message_id, clock=lambda: datetime.now(UTC))
