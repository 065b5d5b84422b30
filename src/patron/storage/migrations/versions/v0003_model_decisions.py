"""What people decided about models: which one a question is pinned to, and which they approved."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table of decisions about models."""
    op.create_table(
        "model_decisions",
        sa.Column("model_version", sa.Text(), nullable=False, comment="folder under models/"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False, comment="pinned, released or approved"),
        sa.Column("name", sa.Text(), nullable=False, comment="who approved it, as written; empty otherwise"),
        sa.Column("note", sa.Text(), nullable=False, comment="reason or note, as written"),
        sa.Column(
            "manifest_sha256", sa.Text(), nullable=False, comment="of the manifest that was approved; empty otherwise"
        ),
        sa.PrimaryKeyConstraint("model_version", "decided_at", "decision"),
    )
