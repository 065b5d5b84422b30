"""The ledger of consents."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the ledger, and the words that its entries refer to."""
    op.create_table(
        "consents",
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.Text(), nullable=False, comment="hash of the source and id of the event that told it"),
        sa.Column("token", sa.Text(), nullable=False, comment="user or device it was told of"),
        sa.Column("purpose", sa.Text(), nullable=False, comment="as it was told, in small letters"),
        sa.Column("is_given", sa.Boolean(), nullable=False, comment="false when it was withdrawn"),
        sa.Column("basis", sa.Text(), nullable=False, comment="consent, contract, legitimate_interest ..."),
        sa.Column("wording", sa.Text(), nullable=True, comment="hash of the exact words"),
        sa.Column("wording_version", sa.Text(), nullable=True),
        sa.Column("policy_version", sa.Text(), nullable=True, comment="version of the privacy policy that was shown"),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.Text(), nullable=False, comment="when it was told, UTC, ISO 8601"),
        sa.Column("known_at", sa.Text(), nullable=False, comment="since when Patron could know"),
        sa.Column("previous", sa.Text(), nullable=False, comment="hash of the entry before"),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of this entry and of the hash before"),
        sa.PrimaryKeyConstraint("entry"),
    )
    op.create_index("ix_consents_event", "consents", ["event", "purpose"], unique=True)
    op.create_index("ix_consents_token", "consents", ["token", "purpose"])
    op.create_table(
        "consent_wordings",
        sa.Column("wording", sa.Text(), nullable=False, comment="SHA-256 of the words"),
        sa.Column("words", sa.Text(), nullable=False, comment="what customers were shown"),
        sa.PrimaryKeyConstraint("wording"),
    )
