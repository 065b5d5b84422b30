"""Live profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table of profiles; they are built at the next start of the collector."""
    op.create_table(
        "profiles",
        sa.Column("generation", sa.Integer(), nullable=False, comment="which building of the profiles; one is in use"),
        sa.Column("token", sa.Text(), nullable=False, comment="user or device token"),
        sa.Column("own_id", sa.Text(), nullable=False, comment="customer the token is when it stands alone"),
        sa.Column(
            "owner",
            sa.Text(),
            nullable=True,
            comment="user token that a device was told together with, when it is one only",
        ),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="sums, times and the newest events, as MessagePack"
        ),
        sa.PrimaryKeyConstraint("generation", "token"),
    )
    op.create_index("ix_profiles_own_id", "profiles", ["own_id"])
    op.create_index("ix_profiles_owner", "profiles", ["owner"])
