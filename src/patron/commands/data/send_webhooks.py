"""Sends webhooks as Standard Webhooks says: signed, tried again over three days, at least once, in no promised order.

A message keeps its id over all attempts, so that a receiver takes it once. Each attempt reaches public addresses only
(or hosts that the settings name), follows no redirect, and has a bounded time and size. An endpoint that answers 410,
or never succeeds for days, is disabled; Today says so.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import sqlalchemy as sa

from patron.commands.data.manage_webhooks import ADMINISTER, disable_for, signing_secrets
from patron.commands.data.report_webhook_events import report_webhook_events
from patron.engage.channels.guarded_http import GuardedClient
from patron.engage.providers.standard_webhooks import keys_of, signature_headers
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.common_sentences import CONTINUES_BY_ITSELF
from patron.schema.data.webhook_events import TEST_EVENT
from patron.schema.errors import WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.storage.data.webhook_tables import WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS, WEBHOOK_MESSAGES
from patron.storage.data.webhooks import (
    DELIVERED,
    FAILED,
    FAILURES,
    GONE,
    WAITING,
    EndpointId,
    MessageId,
    WebhookDelivery,
    WebhookEndpoint,
    delivery_of,
    due_deliveries,
    message_of,
    next_delivery_at,
    webhook_endpoint,
    webhook_endpoints,
)
from patron.storage.outreach.sending_hold import current_hold, require_not_held
from patron.storage.shop import Shop
from patron.storage.store.store import upsert
from patron.storage.workspace.work_lock import hold_work_lock

WEBHOOKS_ELSEWHERE = Sentence("webhooks_elsewhere", "webhooks are sent by another process")

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""Pauses after each attempt that failed; after the last one a delivery has failed. Standard Webhooks proposes them."""
IN_ONE_ROUND = 100
"""Deliveries of one endpoint that are tried before the store is asked again."""
BY_ITSELF = "patron serve"


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt."""

    delivery: WebhookDelivery
    at: datetime
    is_success: bool
    answer: str
    """HTTP status, or why there was none."""


Clock = Callable[[], datetime]


def send_webhooks(shop: Shop, *, clock: Clock, should_stop: Callable[[], bool] = lambda: False) -> datetime | None:
    """Report what happened and send what is due; returns when the next delivery is.

    Raises WorkspaceBusy, SendingHeld while sending is held, also where that began meanwhile.
    """
    require_not_held(shop.store)
    busy = WorkspaceBusy(WEBHOOKS_ELSEWHERE, where="webhooks", todo=CONTINUES_BY_ITSELF)
    with hold_work_lock(shop.folder, "webhooks", "", busy):
        report_webhook_events(shop, now=clock())
        while not should_stop() and (due := due_deliveries(shop.store, clock(), per_endpoint=IN_ONE_ROUND)):
            _write(shop, asyncio.run(_attempt_all(shop, due, clock)))
            require_not_held(shop.store)
    return next_delivery_at(shop.store)


@operation(ADMINISTER, "POST /api/webhooks/{endpoint_id}/test")
def send_test_event(shop: Shop, endpoint_id: EndpointId, *, clock: Clock) -> WebhookDelivery:
    """Send a test event at once, and say what was answered.

    An endpoint that is disabled gets it, too. Raises NotFound.
    """
    webhook_endpoint(shop.store, endpoint_id)
    now = clock()
    message_id = f"msg_test_{endpoint_id}_{int(now.timestamp() * 1000)}"
    row = {"message_id": message_id, "event": TEST_EVENT, "happened_at": now, "data": {}}
    waiting = {"endpoint_id": endpoint_id, "message_id": message_id, "state": WAITING, "attempt_count": 0}
    with shop.store.begin() as connection:
        upsert(connection, WEBHOOK_MESSAGES, [row])
        upsert(connection, WEBHOOK_DELIVERIES, [{**waiting, "answer": ""}])
    return _send_now(shop, endpoint_id, message_id, clock)


@operation(ADMINISTER, "POST /api/webhooks/{endpoint_id}/deliveries/{message_id}/resend")
def resend_webhook(shop: Shop, endpoint_id: EndpointId, message_id: MessageId, *, clock: Clock) -> WebhookDelivery:
    """Send a message of the log once more, under the same id, and say what was answered.

    Raises NotFound, SendingHeld for anything but a test event.
    """
    webhook_endpoint(shop.store, endpoint_id)
    return _send_now(shop, endpoint_id, message_id, clock)


def webhook_body(shop: Shop, message_id: str) -> bytes:
    """What is sent of a message, JSON; who was erased since is left out. Raises NotFound."""
    message = message_of(shop.store, message_id)
    data = dict(message.data)
    if message.event.startswith("segment."):
        data["customer_ids"] = list(message.customer_ids)
    content = {"type": message.event, "timestamp": message.happened_at.isoformat(), "data": data}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _send_now(shop: Shop, endpoint_id: str, message_id: str, clock: Clock) -> WebhookDelivery:
    delivery = delivery_of(shop.store, endpoint_id, message_id)
    if delivery.event != TEST_EVENT:
        require_not_held(shop.store)
    _write(shop, asyncio.run(_attempt_all(shop, (delivery,), clock)), is_by_hand=True)
    return delivery_of(shop.store, endpoint_id, message_id)


async def _attempt_all(shop: Shop, deliveries: tuple[WebhookDelivery, ...], clock: Clock) -> list[Attempt]:
    """One attempt of each delivery; endpoints at the same time, so that a slow one holds up no other."""
    by_endpoint: dict[str, list[WebhookDelivery]] = {}
    for delivery in deliveries:
        by_endpoint.setdefault(delivery.endpoint_id, []).append(delivery)
    endpoints = {endpoint.endpoint_id: endpoint for endpoint in webhook_endpoints(shop.store)}
    listed = [(endpoints[name], of_endpoint) for name, of_endpoint in by_endpoint.items()]
    results = await asyncio.gather(*(_attempt_endpoint(shop, *one, clock) for one in listed))
    return [attempt for attempts in results for attempt in attempts]


async def _attempt_endpoint(
    shop: Shop, endpoint: WebhookEndpoint, deliveries: list[WebhookDelivery], clock: Clock
) -> list[Attempt]:
    """Send to one endpoint, one delivery after the other; after a failure, or once sending is held, the rest wait."""
    settings, attempts = shop.settings.webhooks, list[Attempt]()
    async with GuardedClient(local_hosts=settings.local_hosts, timeout_seconds=settings.timeout_seconds) as client:
        for delivery in deliveries:
            if delivery.event != TEST_EVENT and current_hold(shop.store):
                break
            attempts.append(await _attempt(shop, client, endpoint, delivery, clock()))
            if not attempts[-1].is_success:
                break
    return attempts


async def _attempt(
    shop: Shop, client: GuardedClient, endpoint: WebhookEndpoint, delivery: WebhookDelivery, at: datetime
) -> Attempt:
    body = webhook_body(shop, delivery.message_id)
    keys = keys_of(signing_secrets(shop, endpoint.endpoint_id, now=at))
    headers = signature_headers(keys, delivery.message_id, at, body) | {"Content-Type": "application/json"}
    try:
        response = await client.post(endpoint.url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return Attempt(delivery, at, is_success=False, answer=str(error)[:200] or type(error).__name__)
    return Attempt(delivery, at, response.is_success, f"HTTP {response.status_code}")


def _write(shop: Shop, attempts: list[Attempt], *, is_by_hand: bool = False) -> None:
    """Write what came of attempts, and disable endpoints that are gone or have failed for days."""
    disabled: dict[str, tuple[str, datetime]] = {}
    with shop.store.begin() as connection:
        for attempt in attempts:
            _write_attempt(connection, attempt, is_by_hand=is_by_hand)
    endpoints = {one.endpoint_id: one for one in webhook_endpoints(shop.store)}
    longest = timedelta(days=shop.settings.webhooks.disable_after_days)
    for attempt in attempts:
        endpoint = endpoints.get(attempt.delivery.endpoint_id)
        if endpoint is None or is_by_hand:
            continue
        if attempt.answer == f"HTTP {httpx.codes.GONE.value}":
            disabled[endpoint.endpoint_id] = (GONE, attempt.at)
        elif endpoint.failing_since and attempt.at - endpoint.failing_since >= longest:
            disabled[endpoint.endpoint_id] = (FAILURES, attempt.at)
    for endpoint_id, (why, at) in disabled.items():
        disable_for(RequestContext.from_name(shop, BY_ITSELF, now=at), endpoint_id, why)


def _write_attempt(connection: sa.Connection, attempt: Attempt, *, is_by_hand: bool) -> None:
    delivery = attempt.delivery
    table = WEBHOOK_DELIVERIES
    endpoint = WEBHOOK_ENDPOINTS
    count = delivery.attempt_count + 1
    if attempt.is_success:
        state, next_at = DELIVERED, None
    elif is_by_hand:
        # why: an attempt by hand that fails changes nothing about whether and when it is tried by itself
        is_over = delivery.next_attempt_at is None
        state = FAILED if is_over and delivery.state == WAITING else delivery.state
        next_at = delivery.next_attempt_at
        count = count if is_over else delivery.attempt_count
    else:
        is_last = count > len(PAUSES)
        state, next_at = (FAILED, None) if is_last else (WAITING, attempt.at + PAUSES[count - 1])
    values = {"state": state, "attempt_count": count, "next_attempt_at": next_at}
    values |= {"attempted_at": attempt.at, "answer": attempt.answer}
    of_delivery = (table.c.endpoint_id == delivery.endpoint_id) & (table.c.message_id == delivery.message_id)
    connection.execute(sa.update(table).where(of_delivery).values(**values))
    of_endpoint = endpoint.c.endpoint_id == delivery.endpoint_id
    if attempt.is_success:
        connection.execute(sa.update(endpoint).where(of_endpoint).values(failing_since=None))
    elif not is_by_hand:
        first = of_endpoint & endpoint.c.failing_since.is_(None)
        connection.execute(sa.update(endpoint).where(first).values(failing_since=attempt.at))
