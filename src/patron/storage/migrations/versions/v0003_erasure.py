"""The audit log, and what erasing a customer needs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables of contacts, of the forgotten, of unfinished erasures, and of the audit log."""
    op.create_table(
        "contacts",
        sa.Column("contact", sa.Text(), nullable=False, comment="token of an e-mail address or telephone number"),
        sa.Column("token", sa.Text(), nullable=False, comment="token of the user or visitor who told it"),
        sa.PrimaryKeyConstraint("contact", "token"),
    )
    op.create_index(op.f("ix_contacts_token"), "contacts", ["token"], unique=False)
    op.create_table(
        "forgotten",
        sa.Column("token", sa.Text(), nullable=False, comment="nothing is taken of its owner any more"),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table(
        "erasures",
        sa.Column("certificate_id", sa.Text(), nullable=False),
        sa.Column("tokens", sa.JSON(), nullable=False, comment="whom an erasure that is not finished is about"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="what it has erased until now, by place"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id"),
    )
    op.create_table(
        "audit",
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Text(), nullable=False, comment="UTC, ISO 8601"),
        sa.Column("action", sa.Text(), nullable=False, comment="what was done"),
        sa.Column("details", sa.Text(), nullable=False, comment="JSON without personal values"),
        sa.Column("previous", sa.Text(), nullable=False, comment="hash of the entry before"),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of this entry and of the hash before"),
        sa.PrimaryKeyConstraint("entry"),
    )
