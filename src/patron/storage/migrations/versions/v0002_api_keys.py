"""Keys of programs that send events and read scores."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of keys."""
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.Text(), nullable=False, comment="SHA-256 of the key, which itself is not kept"),
        sa.Column("key_id", sa.Text(), nullable=False, comment="what people call it by"),
        sa.Column("source", sa.Text(), nullable=False, comment="source of the events sent with it"),
        sa.Column("kind", sa.Text(), nullable=False, comment="write, secret or read"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_hash"),
        sa.UniqueConstraint("key_id"),
    )
