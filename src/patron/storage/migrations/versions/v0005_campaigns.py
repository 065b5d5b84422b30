"""Segments that people define, campaigns, their messages, and who must not be sent any."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make room for a campaign's assignments: those of experiments get a table of their own name."""
    op.rename_table("assignments", "experiment_arms")
    _create_segments_and_campaigns()
    _create_assignments()
    _create_messages()


def _create_segments_and_campaigns() -> None:
    op.create_table(
        "segment_definitions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "campaigns",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "campaign_steps",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "entry"),
    )


def _create_assignments() -> None:
    op.create_table(
        "assignments",
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("is_holdout", sa.Boolean(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_planned", sa.Boolean(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True)),
        sa.Column("expected_response", sa.Float()),
        sa.Column("expected_net_cents", sa.Float()),
        sa.Column("expected_cost_cents", sa.Float()),
        sa.PrimaryKeyConstraint("campaign", "customer_id"),
    )
    op.create_index("ix_assignments_customer", "assignments", ["customer_id"])
    op.create_index("ix_assignments_send_at", "assignments", ["campaign", "send_at"])


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("token", sa.Text()),
        sa.Column("contact", sa.Text()),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("consent_basis", sa.Text(), nullable=False),
        sa.Column("consent_event", sa.Text()),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("ix_messages_contact", "messages", ["contact"])
    op.create_index("ix_messages_campaign", "messages", ["campaign", "state"])
    op.create_index("ix_messages_customer", "messages", ["customer_id", "sent_at"])
    op.create_table(
        "message_receipts",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_permanent", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "kind", "occurred_at"),
    )
    op.create_table(
        "suppressions",
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("suppressed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("contact", "channel", "topic"),
    )
