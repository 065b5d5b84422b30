"""Tables of the store for webhooks: endpoints of the shop, what happened, whom it is about, and each delivery."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

WEBHOOK_ENDPOINTS = sa.Table(
    "webhook_endpoints",
    METADATA,
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", sa.JSON, nullable=False, comment="kinds of events that it gets"),
    sa.Column("note", sa.Text, nullable=False, comment="what it is for, as written"),
    sa.Column("secret", sa.LargeBinary, nullable=False, comment="encrypted secret that signs"),
    sa.Column("old_secret", sa.LargeBinary, comment="encrypted secret before the last rotation"),
    sa.Column("old_secret_until", UTC_TIME, comment="until then both secrets sign"),
    sa.Column("created_at", UTC_TIME, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("enabled_at", UTC_TIME, nullable=False, comment="what happened before is not sent"),
    sa.Column("failing_since", UTC_TIME, comment="first failure since the last success"),
    sa.Column("disabled_at", UTC_TIME, comment="NULL while it is sent to"),
    sa.Column("disabled_why", sa.Text, nullable=False, comment="code: failures, gone or person; empty while enabled"),
)
WEBHOOK_MESSAGES = sa.Table(
    "webhook_messages",
    METADATA,
    sa.Column("message_id", sa.Text, primary_key=True, comment="msg_ and a hash of the fact: each is one message"),
    sa.Column("event", sa.Text, nullable=False, comment="kind, such as run.finished"),
    sa.Column("happened_at", UTC_TIME, nullable=False),
    sa.Column("data", sa.JSON, nullable=False, comment="facts without personal values and without customer ids"),
)
WEBHOOK_CUSTOMERS = sa.Table(
    "webhook_customers",
    METADATA,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True, index=True, comment="whom the message is about"),
)
WEBHOOK_DELIVERIES = sa.Table(
    "webhook_deliveries",
    METADATA,
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False, comment="waiting, delivered or failed"),
    sa.Column("attempt_count", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", UTC_TIME, index=True, comment="NULL once it is over"),
    sa.Column("attempted_at", UTC_TIME, comment="last attempt"),
    sa.Column("answer", sa.Text, nullable=False, comment="of the last attempt: HTTP status, or why there was none"),
)
