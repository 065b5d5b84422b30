"""Tables of the store for the mail digest: who gets it, and what became of each."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

DIGEST_SUBSCRIPTIONS = sa.Table(
    "digest_subscriptions",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("parts", sa.JSON, nullable=False, comment="list of parts: today, questions, brief"),
    sa.Column("rhythm", sa.Text, nullable=False, comment="every_run or weekly"),
    sa.Column("subscribed_at", UTC_TIME, nullable=False),
    sa.Column("confirmed_at", UTC_TIME, comment="when the link in the mailbox was used; NULL before: nothing is sent"),
)
DIGEST_DELIVERIES = sa.Table(
    "digest_deliveries",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True, comment="one digest of a run and person"),
    sa.Column("run_finished_at", UTC_TIME, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="waiting, sending, sent, failed, unknown or skipped"),
    sa.Column("attempt_count", sa.Integer, nullable=False),
    sa.Column("attempted_at", UTC_TIME, comment="last attempt"),
    sa.Column("next_attempt_at", UTC_TIME, index=True, comment="NULL once it is over"),
    sa.Column("answer", sa.Text, nullable=False, comment="of the last attempt: what the SMTP server said, or why none"),
)
