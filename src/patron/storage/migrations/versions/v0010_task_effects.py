"""Tasks know how they were drawn, so that their effect can be measured."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"


def upgrade() -> None:
    """Tasks of before were created by hand: nobody was held out."""
    op.add_column("customer_tasks", sa.Column("reason", sa.Text(), server_default="", nullable=False))
    op.add_column("customer_tasks", sa.Column("batch_id", sa.Text(), server_default="", nullable=False))
    op.add_column("customer_tasks", sa.Column("holdout_share", sa.Float(), nullable=True))
    op.add_column("customer_tasks", sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("customer_tasks", sa.Column("measured_until", sa.DateTime(timezone=True), nullable=True))
