"""Why the deadline of a privacy request was extended."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    """Make room for the reason of the one extension that the law allows."""
    op.add_column("privacy_requests", sa.Column("extension", sa.Text(), server_default="", nullable=False))
