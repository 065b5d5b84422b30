"""Webhooks of the shop: added, changed, rotated, disabled and deleted; a secret is shown once."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import Field

from patron.engage.providers.standard_webhooks import new_secret
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.sealed_texts import seal, unseal
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CHOOSE_AT_LEAST_ONE, ONE_LINE_MOST, SHORTEN, TOO_LONG, USE_24_HOURS
from patron.schema.data.webhook_events import EVENT_NAMES
from patron.schema.errors import BadWebhook
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean
from patron.storage.data.webhook_tables import (
    WEBHOOK_CUSTOMERS,
    WEBHOOK_DELIVERIES,
    WEBHOOK_ENDPOINTS,
    WEBHOOK_MESSAGES,
)
from patron.storage.data.webhooks import PERSON, EndpointId, WebhookEndpoint, webhook_endpoint, webhook_endpoints
from patron.storage.models.model_decisions import utc
from patron.storage.shop import Shop

WEBHOOK_COUNT = Sentence("webhook_count", "there are {count} webhooks already")
SECRET_HOURS = Sentence("secret_hours", "both secrets can sign for 0 to 168 hours")
NAME_LOCAL_HOST = Sentence(
    "name_local_host", "List hosts of this machine or its network in [webhooks] local_hosts of patron.toml."
)
NOT_EVENT_KIND = Sentence("not_event_kind", "{name!r} is not a kind of event")
NO_EVENT_KIND = Sentence("no_event_kind", "no kind of event is chosen")
DELETE_ONE_FIRST = Sentence("delete_one_first", "Delete one first.")
SHORTER_ADDRESS = Sentence("shorter_address", "Use a shorter address.")
THERE_ARE = Sentence("there_are", "There are {names}.")

MAX_ENDPOINTS = 50
MAX_URL_LENGTH, MAX_NOTE_LENGTH = 500, 200
MAX_OVERLAP = timedelta(days=7)
"""Longest time for which both secrets sign after a rotation."""
ADMINISTER = Right(Action.ADMINISTER, Area.SETTINGS)
Url = Annotated[
    str, Field(min_length=1, max_length=MAX_URL_LENGTH, description="https address; others if [webhooks] allows.")
]
Events = Annotated[Sequence[str], Field(min_length=1, max_length=len(EVENT_NAMES), description=", ".join(EVENT_NAMES))]
Note = Annotated[str, Field(max_length=MAX_NOTE_LENGTH)]
OverlapHours = Annotated[float, Field(ge=0, le=168)]


@dataclass(frozen=True)
class NewWebhookSecret:
    """An endpoint whose secret is new; the secret itself is shown this once."""

    endpoint_id: str
    secret: str
    old_secret_until: datetime | None
    """Until then the previous secret signs, too."""


@operation(ADMINISTER, "POST /api/webhooks", audit=AuditAction.WEBHOOK_ADDED, needs_password=True)
def add_webhook(context: RequestContext, url: Url, events: Events, *, note: Note = "") -> NewWebhookSecret:
    """Report events to an address from now on; this answer alone holds the secret."""
    values = _valid_fields(context.shop, url, events, note)
    if len(webhook_endpoints(context.shop.store)) >= MAX_ENDPOINTS:
        raise BadWebhook(WEBHOOK_COUNT(count=MAX_ENDPOINTS), where="url", todo=DELETE_ONE_FIRST)
    endpoint_id, secret = secrets.token_hex(6), new_secret()
    row = {"endpoint_id": endpoint_id, **values, "secret": seal(context.shop, _purpose(endpoint_id), secret)}
    row |= {"created_at": context.now, "created_by": context.by, "enabled_at": context.now, "disabled_why": ""}
    with context.shop.store.begin() as connection:
        connection.execute(sa.insert(WEBHOOK_ENDPOINTS).values(row))
        details = {"webhook": endpoint_id, **_entry(values)}
        context.record(connection, AuditAction.WEBHOOK_ADDED, details)
    return NewWebhookSecret(endpoint_id, secret, None)


@operation(ADMINISTER, "PUT /api/webhooks/{endpoint_id}", audit=AuditAction.WEBHOOK_CHANGED, needs_password=True)
def change_webhook(
    context: RequestContext, endpoint_id: EndpointId, *, url: Url, events: Events, note: Note = ""
) -> WebhookEndpoint:
    """Change where and what is reported; the secret stays."""
    webhook_endpoint(context.shop.store, endpoint_id)
    values = _valid_fields(context.shop, url, events, note)
    _update(context, endpoint_id, values, AuditAction.WEBHOOK_CHANGED, _entry(values))
    return webhook_endpoint(context.shop.store, endpoint_id)


@operation(
    ADMINISTER, "POST /api/webhooks/{endpoint_id}/rotate", audit=AuditAction.WEBHOOK_ROTATED, needs_password=True
)
def rotate_webhook_secret(
    context: RequestContext, endpoint_id: EndpointId, *, overlap_hours: OverlapHours = 24
) -> NewWebhookSecret:
    """Make a new secret; for the overlap both sign. This answer alone holds it."""
    webhook_endpoint(context.shop.store, endpoint_id)
    if not 0 <= overlap_hours <= MAX_OVERLAP / timedelta(hours=1):
        raise BadWebhook(SECRET_HOURS, where="overlap_hours", todo=USE_24_HOURS)
    secret, until = new_secret(), context.now + timedelta(hours=overlap_hours)
    values = {"secret": seal(context.shop, _purpose(endpoint_id), secret), "old_secret": WEBHOOK_ENDPOINTS.c.secret}
    values |= {"old_secret_until": until}
    _update(context, endpoint_id, values, AuditAction.WEBHOOK_ROTATED, {"until": until.isoformat()})
    return NewWebhookSecret(endpoint_id, secret, until)


@operation(
    ADMINISTER, "POST /api/webhooks/{endpoint_id}/enable", audit=AuditAction.WEBHOOK_ENABLED, needs_password=True
)
def enable_webhook(context: RequestContext, endpoint_id: EndpointId) -> WebhookEndpoint:
    """Report again, from now on."""
    if not webhook_endpoint(context.shop.store, endpoint_id).is_enabled:
        values = {"disabled_at": None, "disabled_why": "", "failing_since": None, "enabled_at": context.now}
        _update(context, endpoint_id, values, AuditAction.WEBHOOK_ENABLED, {})
    return webhook_endpoint(context.shop.store, endpoint_id)


@operation(
    ADMINISTER, "POST /api/webhooks/{endpoint_id}/disable", audit=AuditAction.WEBHOOK_DISABLED, needs_password=True
)
def disable_webhook(context: RequestContext, endpoint_id: EndpointId) -> WebhookEndpoint:
    """Report nothing until it is enabled again."""
    return disable_for(context, endpoint_id, PERSON)


def disable_for(context: RequestContext, endpoint_id: str, why: str) -> WebhookEndpoint:
    """Report nothing to an endpoint until somebody enables it, for a reason. Raises NotFound."""
    if webhook_endpoint(context.shop.store, endpoint_id).is_enabled:
        values = {"disabled_at": context.now, "disabled_why": why}
        _update(context, endpoint_id, values, AuditAction.WEBHOOK_DISABLED, {"reason": why})
    return webhook_endpoint(context.shop.store, endpoint_id)


@operation(ADMINISTER, "DELETE /api/webhooks/{endpoint_id}", audit=AuditAction.WEBHOOK_DELETED, needs_password=True)
def delete_webhook(context: RequestContext, endpoint_id: EndpointId) -> None:
    """Delete a webhook, its secret and its log."""
    webhook_endpoint(context.shop.store, endpoint_id)
    table, log = WEBHOOK_ENDPOINTS, WEBHOOK_DELIVERIES
    with context.shop.store.begin() as connection:
        connection.execute(sa.delete(log).where(log.c.endpoint_id == endpoint_id))
        connection.execute(sa.delete(table).where(table.c.endpoint_id == endpoint_id))
        if not connection.scalar(sa.select(sa.func.count()).select_from(table)):
            for of_messages in (WEBHOOK_CUSTOMERS, WEBHOOK_MESSAGES):
                connection.execute(sa.delete(of_messages))
        context.record(connection, AuditAction.WEBHOOK_DELETED, {"webhook": endpoint_id})


def signing_secrets(shop: Shop, endpoint_id: str, *, now: datetime) -> str:
    """Secrets that sign now, between spaces: the one, and the one before for as long as they overlap."""
    table = WEBHOOK_ENDPOINTS.c
    chosen = sa.select(table.secret, table.old_secret, table.old_secret_until).where(table.endpoint_id == endpoint_id)
    with shop.store.begin() as connection:
        row = connection.execute(chosen).one()
    sealed = [row.secret]
    if row.old_secret and row.old_secret_until and now < utc(row.old_secret_until):
        sealed.append(row.old_secret)
    return " ".join(unseal(shop, _purpose(endpoint_id), one) for one in sealed)


def _valid_fields(shop: Shop, url: str, events: Iterable[str], note: str) -> dict[str, object]:
    """What an endpoint is, checked. Raises BadWebhook."""
    url, chosen = url.strip(), set(events)
    if len(url) > MAX_URL_LENGTH:
        raise BadWebhook(TOO_LONG(count=MAX_URL_LENGTH), where="url", todo=SHORTER_ADDRESS)
    try:
        shop.settings.webhooks.require_allowed(url)
    except ValueError as error:
        todo = NAME_LOCAL_HOST
        raise BadWebhook(str(error), where="url", todo=todo) from error
    for one in sorted(chosen - set(EVENT_NAMES)):
        todo = both(did_you_mean(one, EVENT_NAMES), THERE_ARE(names=", ".join(EVENT_NAMES)))
        raise BadWebhook(NOT_EVENT_KIND(name=one), where="events", todo=todo)
    if not chosen:
        raise BadWebhook(NO_EVENT_KIND, where="events", todo=CHOOSE_AT_LEAST_ONE)
    if len(note) > MAX_NOTE_LENGTH or not note.isprintable():
        raise BadWebhook(ONE_LINE_MOST(count=MAX_NOTE_LENGTH), where="note", todo=SHORTEN)
    return {"url": url, "events": [name for name in EVENT_NAMES if name in chosen], "note": note.strip()}


def _entry(values: Mapping[str, object]) -> dict[str, object]:
    """What the audit log says of where and what is reported: the path of an address may be secret."""
    return {"host": urlsplit(str(values["url"])).hostname, "events": values["events"]}


def _update(
    context: RequestContext,
    endpoint_id: str,
    values: dict[str, object],
    action: AuditAction,
    details: dict[str, object],
) -> None:
    with context.shop.store.begin() as connection:
        changed = sa.update(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.endpoint_id == endpoint_id).values(**values)
        connection.execute(changed)
        context.record(connection, action, {"webhook": endpoint_id, **details})


def _purpose(endpoint_id: str) -> str:
    return f"webhook {endpoint_id}"
