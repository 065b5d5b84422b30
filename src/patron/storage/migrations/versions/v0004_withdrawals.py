"""Runs whose offers were withdrawn before they were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table of withdrawn runs."""
    op.create_table(
        "withdrawals",
        sa.Column("run_id", sa.Text(), nullable=False, comment="whose offers were withdrawn before they were sent"),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", sa.Text(), nullable=False, comment="as written"),
        sa.Column("reason", sa.Text(), nullable=False, comment="as written; empty without one"),
        sa.PrimaryKeyConstraint("run_id"),
    )
