"""The section `webhooks` of the OpenAPI document: what endpoints of the shop are sent, and how it is signed."""

from typing import Any

from patron.schema.data.webhook_events import TEST_EVENT, WEBHOOK_EVENTS, WebhookEvent

TEST = WebhookEvent(TEST_EVENT, "Somebody tests the endpoint.", {}, {})
HEADERS = {
    "webhook-id": "The message, the same however often it is sent: take each id once.",
    "webhook-timestamp": "When this attempt was made, seconds since 1970; refuse what is over 5 minutes old.",
    "webhook-signature": "v1, and the base64 HMAC-SHA256 of `id.timestamp.body`; two between a space while a secret is "
    "replaced.",
}
PARAMETERS = [
    {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
    for name, text in HEADERS.items()
]


def webhook_operations() -> dict[str, Any]:
    """Every kind of event as an operation that the receiver answers."""
    return {event.name: {"post": _operation(event)} for event in (*WEBHOOK_EVENTS, TEST)}


def _operation(event: WebhookEvent) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": event.name},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {"type": "object", "required": [*event.data], "properties": dict(event.data)},
        },
    }
    example = {"type": event.name, "timestamp": "2026-03-01T12:00:00+00:00", "data": dict(event.example)}
    return {
        "tags": ["webhooks"],
        "summary": event.meaning,
        "operationId": f"on_{event.name.replace('.', '_')}",
        "parameters": PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {
            "2XX": {"description": "Taken. Any other answer is tried again; 410 disables the endpoint."},
        },
    }
