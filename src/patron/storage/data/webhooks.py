"""Webhooks as rows: endpoints of the shop, the messages that report events, and each delivery."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from patron.schema.common_sentences import NO_SUCH_MESSAGE
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.storage.data.webhook_tables import (
    WEBHOOK_CUSTOMERS,
    WEBHOOK_DELIVERIES,
    WEBHOOK_ENDPOINTS,
    WEBHOOK_MESSAGES,
)
from patron.storage.models.model_decisions import utc
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.outreach.campaign_tables import CAMPAIGN_STEPS
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS
from patron.storage.runs.job_tables import JOBS
from patron.storage.store.store import MODEL_DECISIONS, RUNS, Store, upsert
from patron.storage.store.store_metadata import in_utc

NO_SUCH_WEBHOOK = Sentence("no_such_webhook", "no such webhook")
NO_SUCH_DELIVERY = Sentence("no_such_delivery", "no such delivery")
LIST_WEBHOOKS = Sentence("list_webhooks", "List them with `patron webhooks list`.")
DELIVERIES_KEPT = Sentence("deliveries_kept", "The log keeps deliveries for 30 days.")
MESSAGES_KEPT = Sentence("messages_kept", "The log keeps messages for 30 days.")

WAITING = "waiting"
DELIVERED = "delivered"
FAILED = "failed"
FAILURES, GONE, PERSON = "failures", "gone", "person"
"""Why an endpoint is disabled."""
KEPT_FOR = timedelta(days=30)
"""How long messages and their deliveries stay in the log."""


EndpointId = Annotated[str, Field(max_length=40, description="Id of the webhook, as the list has it.")]
MessageId = Annotated[str, Field(max_length=80, description="webhook-id of the message.")]


@dataclass(frozen=True)
class WebhookEndpoint:
    """An address of the shop's that events are reported to, without its secret."""

    endpoint_id: str
    url: str
    events: tuple[str, ...]
    """Kinds that it gets."""
    note: str
    created_at: datetime
    created_by: str
    enabled_at: datetime
    """What happened before is not sent."""
    old_secret_until: datetime | None = None
    """Until then the secret before the last rotation signs, too."""
    failing_since: datetime | None = None
    """First failure since the last success."""
    disabled_at: datetime | None = None
    """None while it is sent to."""
    disabled_why: str = ""
    """failures, gone, or person; empty while enabled."""

    @property
    def is_enabled(self) -> bool:
        """Whether it is sent to."""
        return self.disabled_at is None


@dataclass(frozen=True)
class WebhookDelivery:
    """One message on its way to one endpoint."""

    endpoint_id: str
    message_id: str
    event: str
    happened_at: datetime
    state: str
    """waiting, delivered or failed."""
    attempt_count: int
    attempted_at: datetime | None
    """Last attempt."""
    next_attempt_at: datetime | None
    """None once it is over."""
    answer: str
    """Of the last attempt: HTTP status, or why there was none."""


@dataclass(frozen=True)
class WebhookMessage:
    """What is reported of one fact."""

    message_id: str
    event: str
    happened_at: datetime
    data: Mapping[str, Any]
    customer_ids: tuple[str, ...] = ()
    """Whom it is about, opaque ids; an erasure deletes them here, too."""


SHOWN = tuple(WEBHOOK_ENDPOINTS.c[name] for name in WebhookEndpoint.__dataclass_fields__)
LISTED = tuple(
    (WEBHOOK_MESSAGES if name in {"event", "happened_at"} else WEBHOOK_DELIVERIES).c[name]
    for name in WebhookDelivery.__dataclass_fields__
)
OF_MESSAGE = WEBHOOK_DELIVERIES.c.message_id == WEBHOOK_MESSAGES.c.message_id


def webhook_endpoints(store: Store) -> tuple[WebhookEndpoint, ...]:
    """Every endpoint, the oldest first."""
    chosen = sa.select(*SHOWN).order_by(WEBHOOK_ENDPOINTS.c.created_at, WEBHOOK_ENDPOINTS.c.endpoint_id)
    with store.begin() as connection:
        return tuple(_endpoint(row) for row in connection.execute(chosen).mappings())


def webhook_endpoint(store: Store, endpoint_id: str) -> WebhookEndpoint:
    """One endpoint. Raises NotFound."""
    with store.begin() as connection:
        chosen = sa.select(*SHOWN).where(WEBHOOK_ENDPOINTS.c.endpoint_id == endpoint_id)
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_SUCH_WEBHOOK, where=endpoint_id, todo=LIST_WEBHOOKS)
    return _endpoint(row)


def deliveries_of(
    store: Store, endpoint_id: str, *, before: tuple[datetime, str] | None = None, limit: int
) -> tuple[WebhookDelivery, ...]:
    """Deliveries to an endpoint, the newest event first; `before` is time and message of the last one of a page."""
    at, message_id = WEBHOOK_MESSAGES.c.happened_at, WEBHOOK_MESSAGES.c.message_id
    chosen = sa.select(*LISTED).where(OF_MESSAGE, WEBHOOK_DELIVERIES.c.endpoint_id == endpoint_id)
    if before:
        chosen = chosen.where((at < before[0]) | ((at == before[0]) & (message_id > before[1])))
    with store.begin() as connection:
        rows = connection.execute(chosen.order_by(at.desc(), message_id).limit(limit)).mappings()
        return tuple(_delivery(row) for row in rows)


def delivery_of(store: Store, endpoint_id: str, message_id: str) -> WebhookDelivery:
    """One delivery. Raises NotFound."""
    table = WEBHOOK_DELIVERIES.c
    chosen = sa.select(*LISTED).where(OF_MESSAGE, table.endpoint_id == endpoint_id, table.message_id == message_id)
    with store.begin() as connection:
        row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(NO_SUCH_DELIVERY, where=message_id, todo=DELIVERIES_KEPT)
    return _delivery(row)


def due_deliveries(store: Store, now: datetime, *, per_endpoint: int) -> tuple[WebhookDelivery, ...]:
    """Deliveries to enabled endpoints that are due, the longest due first, a bounded number of each endpoint."""
    table = WEBHOOK_DELIVERIES.c
    number = sa.func.row_number().over(
        partition_by=table.endpoint_id, order_by=(table.next_attempt_at, table.message_id)
    )
    due = (
        sa.select(*LISTED, number.label("number"))
        .where(OF_MESSAGE, table.next_attempt_at <= now)
        .where(WEBHOOK_ENDPOINTS.c.endpoint_id == table.endpoint_id, WEBHOOK_ENDPOINTS.c.disabled_at.is_(None))
    ).subquery()
    columns = [column for column in due.c if column.name != "number"]
    with store.begin() as connection:
        rows = connection.execute(sa.select(*columns).where(due.c.number <= per_endpoint)).mappings()
        return tuple(_delivery(row) for row in rows)


def next_delivery_at(store: Store) -> datetime | None:
    """When the next delivery to an enabled endpoint is due; None where none waits."""
    table = WEBHOOK_DELIVERIES.c
    chosen = sa.select(sa.func.min(table.next_attempt_at)).where(
        WEBHOOK_ENDPOINTS.c.endpoint_id == table.endpoint_id, WEBHOOK_ENDPOINTS.c.disabled_at.is_(None)
    )
    with store.begin() as connection:
        at = connection.scalar(chosen)
    return utc(at) if at else None


def message_of(store: Store, message_id: str) -> WebhookMessage:
    """A message with those of its customers who were not erased. Raises NotFound."""
    table, customers = WEBHOOK_MESSAGES, WEBHOOK_CUSTOMERS.c
    with store.begin() as connection:
        row = connection.execute(sa.select(table).where(table.c.message_id == message_id)).mappings().first()
        listed = sa.select(customers.customer_id).where(customers.message_id == message_id)
        ids = tuple(connection.scalars(listed.order_by(customers.customer_id)))
    if row is None:
        raise NotFound(NO_SUCH_MESSAGE, where=message_id, todo=MESSAGES_KEPT)
    return WebhookMessage(**{**row, "happened_at": utc(row["happened_at"])}, customer_ids=ids)


def known_messages(store: Store, message_ids: Iterable[str]) -> frozenset[str]:
    """Those of some messages that are written."""
    chosen = sa.select(WEBHOOK_MESSAGES.c.message_id).where(WEBHOOK_MESSAGES.c.message_id.in_(list(message_ids)))
    with store.begin() as connection:
        return frozenset(connection.scalars(chosen))


def write_messages(
    connection: sa.Connection, messages: Iterable[WebhookMessage], endpoints: Iterable[WebhookEndpoint], now: datetime
) -> None:
    """Write messages, and a delivery of each to every endpoint that chose its kind; what is written stays."""
    endpoints = tuple(endpoints)
    for message in messages:
        row = {
            "message_id": message.message_id,
            "event": message.event,
            "happened_at": message.happened_at,
            "data": dict(message.data),
        }
        upsert(connection, WEBHOOK_MESSAGES, [row])
        people = [{"message_id": message.message_id, "customer_id": customer} for customer in message.customer_ids]
        upsert(connection, WEBHOOK_CUSTOMERS, people)
        waiting = {"message_id": message.message_id, "state": WAITING, "attempt_count": 0, "answer": ""}
        waiting |= {"next_attempt_at": now, "attempted_at": None}
        getters = [e for e in endpoints if message.event in e.events and e.enabled_at <= message.happened_at]
        upsert(connection, WEBHOOK_DELIVERIES, [{"endpoint_id": e.endpoint_id, **waiting} for e in getters])


def delete_old_messages(connection: sa.Connection, now: datetime) -> None:
    """Delete messages and deliveries that are older than the log keeps them."""
    old = sa.select(WEBHOOK_MESSAGES.c.message_id).where(WEBHOOK_MESSAGES.c.happened_at < now - KEPT_FOR)
    for table in (WEBHOOK_DELIVERIES, WEBHOOK_CUSTOMERS):
        connection.execute(sa.delete(table).where(table.c.message_id.in_(old)))
    connection.execute(sa.delete(WEBHOOK_MESSAGES).where(WEBHOOK_MESSAGES.c.happened_at < now - KEPT_FOR))


def fact_marks(store: Store) -> tuple[str, ...]:
    """Marks that change when something happened that webhooks report; cheap, to be asked every few seconds."""
    newest = (
        sa.select(sa.func.max(RUNS.c.finished_at)),
        sa.select(sa.func.max(JOBS.c.finished_at)),
        sa.select(sa.func.max(CAMPAIGN_STEPS.c.taken_at)),
        sa.select(sa.func.max(POLICY_PROPOSALS.c.proposed_at)),
        sa.select(sa.func.max(POLICY_PROPOSALS.c.decided_at)),
        sa.select(sa.func.max(MODEL_DECISIONS.c.decided_at)),
        sa.select(sa.func.count()).select_from(PRIVACY_REQUESTS),
        sa.select(sa.func.max(WEBHOOK_ENDPOINTS.c.enabled_at)).where(WEBHOOK_ENDPOINTS.c.disabled_at.is_(None)),
    )
    with store.begin() as connection:
        return tuple(str(connection.scalar(one)) for one in newest)


def _endpoint(row: sa.RowMapping) -> WebhookEndpoint:
    return WebhookEndpoint(**{**in_utc(row), "events": tuple(row["events"])})


def _delivery(row: sa.RowMapping) -> WebhookDelivery:
    return WebhookDelivery(**in_utc(row))
